"""Keras' padding=same at stride two pads the right alone; PyTorch's padding=1 both sides."""

from tests.wrong_twins._net import TASK

__all__ = ["TASK"]
