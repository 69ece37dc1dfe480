"""What can be watched on this machine, metric by metric: a value, or the reason for none."""

from __future__ import annotations

import os
from typing import Any

from profilers.gpu import gpu_state
from profilers.metrics import Capability, Lost, Metric
from profilers.probes._protocol import Target, sources

SHOWN = {"gauge", "peak", "edge"}
"""Kinds whose single reading says something; of a counter only a difference does."""


def take() -> list[dict[str, Any]]:
    """Every metric with ``value``, ``reason`` and ``note``, read once of this very process.

    A metric that can be had but means nothing by itself, as a counter does, has neither value nor
    reason.
    """
    target = Target(pid=os.getpid(), gpu_uuid=gpu_state.visible_uuid().value or "")
    rows = []
    for source in sources():
        probe = source.start(target)
        if probe is None:
            continue
        try:
            able = probe.probe()
            found = probe.read(edge=True)
        except Lost as lost:
            able = {metric.name: Capability(str(lost)) for metric in source.METRICS}
            found = {}
        finally:
            probe.close()
        for metric in source.METRICS:
            reading = found.get(metric.name)
            rows.append(
                _row(metric, able[metric.name], reading.value if reading else None)
                | ({"reason": reading.reason} if reading and reading.reason else {})
            )
    return rows


def _row(metric: Metric, able: Capability, value: float | None) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "meaning": metric.meaning,
        "value": value if metric.kind in SHOWN else None,
        "reason": able.reason,
        "note": able.note,
    }
