"""Frameworks for the tests alone, found as a user's own are: one that computes nothing."""
