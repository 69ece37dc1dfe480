"""The variance over launches, estimated with help from like matchups.

Three launches tell little of their own variance, so a matchup leans on the others of the same pair
of stacks and the same kind of phase. Each variance ``s²`` with ``d`` degrees of freedom is taken to
come from a scaled inverse chi-squared distribution around ``s0²`` with ``d0`` degrees of freedom,
both estimated from the logarithms of all variances. The posterior variance
``(d0 s0² + d s²) / (d0 + d)`` has ``d0 + d`` degrees of freedom (Smyth 2004, "Linear models and
empirical Bayes methods for assessing differential expression", section 6.2).

By simulation (``tests/test_moderation.py``) that alone covers too little where matchups are few or
their variances have a heavy tail. So there are three limits. Fewer than ``FEWEST`` variances make
no prior. ``d0`` is at most half their number, because so few cannot show that all are alike. A
matchup whose variance lies in the upper fifth of what the prior expects keeps its own interval
where that is wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from benchmarks.results import special

FEWEST = 5
"""Variances below which there is no prior."""
OUTLYING = 0.2
"""Probability, under the prior, of a variance at least as large as one that counts as outlying."""
PROBABILITY = 0.975
"""The quantile of t that makes a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The sample variance of the log-ratios of a matchup's launches, with its degrees of freedom.

    ``variance`` is that of one launch; ``freedom`` is the number of launches less 1.
    """

    variance: float
    freedom: float

    @classmethod
    def of(cls, log_ratios: Sequence[float]) -> Spread:
        """Of at least two launches."""
        return cls(variance(log_ratios), len(log_ratios) - 1)

    def half_width(self, launches: int) -> float:
        """Half the 95 % t-interval of the mean over so many launches."""
        t = float(special.stdtrit(self.freedom, PROBABILITY))
        return t * math.sqrt(self.variance / launches)


@dataclass(frozen=True, slots=True)
class Prior:
    """What the variances of like matchups come to; ``total`` is the sum of their freedoms."""

    variance: float
    freedom: float
    total: float

    def moderated(self, own: Spread, launches: int) -> Spread:
        """The posterior of a matchup, or its own variance where that is outlying and wider."""
        freedom = self.freedom + own.freedom
        posterior = self.freedom * self.variance + own.freedom * own.variance
        made = Spread(posterior / freedom, min(freedom, self.total))
        outlying = special.fdtrc(own.freedom, self.freedom, own.variance / self.variance) < OUTLYING
        if outlying and own.half_width(launches) > made.half_width(launches):
            return own
        return made


def prior(spreads: Sequence[Spread]) -> Prior | None:
    """Estimate the prior from the variances of like matchups; ``None`` where they are too few.

    The mean and the variance of ``log s² - ψ(d/2) + log(d/2)`` over matchups give ``s0²`` and
    ``d0``. A variance of 0, which a coarse clock can cause, has no logarithm and is left out.
    """
    known = [s for s in spreads if s.variance > 0]
    if len(known) < FEWEST:
        return None
    halves = np.array([s.freedom / 2 for s in known])
    logs = np.log([s.variance for s in known]) - special.digamma(halves) + np.log(halves)
    excess = variance(logs.tolist()) - fmean(special.polygamma(1, halves).tolist())
    center, half = fmean(logs.tolist()), math.inf
    if excess > 0:
        half = _trigamma_inverse(excess)
        center += float(special.digamma(half)) - math.log(half)
    freedom = min(2 * half, len(known) / 2)
    return Prior(math.exp(center), freedom, sum(s.freedom for s in known))


def _trigamma_inverse(value: float) -> float:
    """The ``x`` with ``ψ'(x) = value``, by Newton's method on ``1 / ψ'`` (Smyth 2004, appendix)."""
    x, step = 0.5 + 1 / value, math.inf
    while abs(step) > 1e-8 * x:
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
    return x
