"""PyTorch's GELU in its tanh approximation against the exact one."""

from tests.wrong_twins._net import SPEC

__all__ = ["SPEC"]
