"""A Keras twin for the proof, on PyTorch: all of it is what Keras does alike everywhere."""

from benchmarks.frameworks._keras.inspection import Twin, set_up

__all__ = ["Twin", "set_up"]
