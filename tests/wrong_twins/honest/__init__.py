"""The control: nothing is wrong here, so a refusal elsewhere is due to what is."""

from tests.wrong_twins._net import TASK

__all__ = ["TASK"]
