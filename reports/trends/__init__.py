"""Runs beside each other: history, comparison, the check, and how a terminal shows them."""
