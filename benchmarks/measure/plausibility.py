"""What a case's times say about the device, and what the device says about them."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.machine import peaks
from benchmarks.results.machine import Ceiling
from benchmarks.results.records import Case
from profilers import roofline


def checked(case: Case, ceiling: Ceiling | None) -> Case:
    """The case as it may be published: an error where it is faster than its device can be.

    Else with its place under the device's roofline, where all figures for that are there.

    Args:
        case: with its samples.
        ceiling: of the device, or ``None``.
    """
    if case.status != "ok" or not case.min_s or not case.median_s or not ceiling:
        return case
    flops, traffic = case.flops_per_iteration, case.bytes_per_iteration
    why = peaks.obstacle(flops, case.min_s, ceiling.flops_per_s)
    if why:
        return replace(case, status="error", reason=why)
    if not (flops and traffic and ceiling.flops_per_s and ceiling.bytes_per_s):
        return case
    most = ceiling.flops_per_s, ceiling.bytes_per_s
    return replace(case, roofline=roofline.place(flops, traffic, case.median_s, *most))
