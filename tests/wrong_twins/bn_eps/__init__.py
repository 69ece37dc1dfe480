"""Normalisation with Keras' own epsilon, 1e-3, against PyTorch's 1e-5."""

from tests.wrong_twins._net import TASK

__all__ = ["TASK"]
