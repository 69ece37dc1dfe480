"""Finds, reads and indexes stored runs, and writes files whole."""
