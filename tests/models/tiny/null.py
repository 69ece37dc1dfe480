"""The twin of the adapter that computes nothing."""
