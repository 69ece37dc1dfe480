"""What a case's times say about the device, and what the device says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from benchmarks.machine import peaks
from benchmarks.results.records import Case
from profilers import roofline


def judged(case: Case, ceiling: Mapping[str, Any] | None) -> Case:
    """The case as it may be published: an error where it is faster than its device can be.

    Else with its place under the device's roofline, where all figures for that are there.

    Args:
        case: with its samples.
        ceiling: ``flops_per_s`` and ``bytes_per_s`` of the device, or ``None``.
    """
    if case.status != "ok" or not case.samples_s:
        return case
    why = peaks.obstacle(case.flops_per_iteration, min(case.samples_s), ceiling)
    if why:
        return replace(case, status="error", reason=why)
    most = [(ceiling or {}).get(name) for name in ("flops_per_s", "bytes_per_s")]
    flops, traffic = case.flops_per_iteration, case.bytes_per_iteration
    if not flops or not traffic or not all(most):
        return case
    place = roofline.place(flops, traffic, median(case.samples_s), *map(float, most))  # type: ignore[arg-type]
    return replace(case, roofline=asdict(place))
