"""Keras' own ``fit`` and ``evaluate``, as on every engine."""

from benchmarks.frameworks._keras.trainers.fit import fit

__all__ = ["fit"]
