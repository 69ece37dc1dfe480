"""The report of a run, built from its files alone: no framework is imported, nothing is timed."""
