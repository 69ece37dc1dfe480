"""Stored predictions of pretrained models: read, scored, held against published tables."""
