"""Real data sets in NumPy, read from files that are there already."""
