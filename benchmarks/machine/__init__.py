"""The machine that a run is measured on: what it is, its memory, its lock, its peaks."""
