"""The proof that twins are one function: match their weights, compare, say why they differ.

``prove`` asks the workers of ``sides`` and holds each against the first (``comparison``); ``group``
does so for what a run times.
"""
