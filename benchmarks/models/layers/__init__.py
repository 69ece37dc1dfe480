"""Models of one layer each, with the mean squared difference from given values as the loss."""
