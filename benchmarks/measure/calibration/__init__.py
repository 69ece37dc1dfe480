"""What a run must know of its machine first: the A/A floor, its peaks, tuned settings."""
