"""Running statistics with Keras' own momentum: forward and backward agree, training does not."""

from tests.wrong_twins._net import SPEC

__all__ = ["SPEC"]
