"""Models that give back, or make, what they were shown."""
