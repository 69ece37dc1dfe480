"""Which launches a run makes next, and how long they will take."""
