"""The engine: a session, its calibration, launches of workers, rounds, and the summary."""
