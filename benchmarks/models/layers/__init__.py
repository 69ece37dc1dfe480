"""Models of one layer each; most have the mean squared difference from given values as loss."""
