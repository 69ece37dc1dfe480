"""Thousands of launches of the null framework, with faults and kills, and what they leave behind.

``python -m tests.soak`` starts ``parent``, which measures run after run and in each lets something
go wrong; it kills it at random moments and starts it again. ``audit`` then reads what is on disk.
"""
