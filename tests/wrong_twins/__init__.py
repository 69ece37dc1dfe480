"""Twins that are wrong in one way each, as people get them wrong, and one that is right."""
