"""Schedules of the learning rate: the share of it that is left at each step, from 0 on.

Every constant is rounded to float32, as those of optimizers are.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from ctypes import c_float
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Schedule(ABC):
    """What all schedules share."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float):
                object.__setattr__(self, one.name, c_float(value).value)

    @abstractmethod
    def share(self, step: int) -> float:
        """The share of the learning rate that a step takes; ``step`` counts those before it."""


@dataclass(frozen=True, slots=True)
class Cosine(Schedule):
    """A linear warm-up from 0, then half a cosine down to ``floor`` of the rate.

    ``step / warmup`` before ``warmup``, and from there, with ``t = min(step - warmup, steps)``,
    ``(1 - floor) * (1 + cos(pi * t / steps)) / 2 + floor`` (Loshchilov & Hutter 2017, without
    restarts).
    """

    steps: int
    warmup: int = 0
    floor: float = 0.0

    def share(self, step: int) -> float:
        """As the base says."""
        if step < self.warmup:
            return step / self.warmup
        done = min(step - self.warmup, self.steps) / self.steps
        return (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2 + self.floor


@dataclass(frozen=True, slots=True)
class Exponential(Schedule):
    """``factor ^ (step / steps)``; ``whole``: of whole multiples of ``steps`` alone."""

    factor: float
    steps: int = 1
    whole: bool = False

    def share(self, step: int) -> float:
        """As the base says."""
        power = step // self.steps if self.whole else step / self.steps
        return float(self.factor**power)


@dataclass(frozen=True, slots=True)
class Piecewise(Schedule):
    """1 up to and with the first of ``after``, then ``shares[0]``, and so on."""

    after: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.after) != len(self.shares) or list(self.after) != sorted(set(self.after)):
            raise ValueError("a piecewise schedule needs as many shares as steps, which rise")
        rounded = tuple(c_float(share).value for share in self.shares)
        object.__setattr__(self, "shares", rounded)

    def share(self, step: int) -> float:
        """As the base says."""
        return (1.0, *self.shares)[bisect_left(self.after, step)]
