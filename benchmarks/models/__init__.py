"""One folder per model: its SPEC and a twin per dialect. Names with an underscore are shared parts."""
