"""One folder per model: its SPEC and a twin per dialect; an underscore marks shared parts."""
