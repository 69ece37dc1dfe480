"""The same two dense layers as in the model ``subclassed``."""

from tests.programs.subclassed.torch import build

__all__ = ["build"]
