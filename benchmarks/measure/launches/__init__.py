"""One launch: its workers, its rounds, and what is watched."""
