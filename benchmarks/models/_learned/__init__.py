"""Layers of one learnt array each, which neither framework has: a scale, a token, positions.

``benchmarks/tasks/layers/learned.py`` describes them.
"""
