"""Running statistics with Keras' own momentum: forward and backward agree, training does not."""

from tests.wrong_twins._net import TASK

__all__ = ["TASK"]
