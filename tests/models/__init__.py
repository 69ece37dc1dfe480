"""Models that only tests use."""
