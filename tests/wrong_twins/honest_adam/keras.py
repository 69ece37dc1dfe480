"""The small net in Keras, as it should be."""

from tests.wrong_twins._net.keras import build

__all__ = ["build"]
