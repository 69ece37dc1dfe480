"""The work that every tool is given: one forward pass of `mlp` in eager PyTorch.

Threads that meet at a barrier after every operation, which is what a busy neighbour hurts most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from statistics import median

from benchmarks.machine import environment
from benchmarks.proof.group import handoffs
from benchmarks.request import discovery, plan
from benchmarks.request.selection import Selection
from benchmarks.worker import briefing, build, commands

MODEL, PHASE, STACK = "mlp", "forward", "torch-eager"
WARM, CALIBRATED = 20, 50


def make(slow: float = 0.0) -> Callable[[], object]:
    """One iteration as a callable that returns when it is done, slowed by a share of its time."""
    run = _prepared()
    return commands.slowed(run, slow * _typical(run)) if slow else run


@cache
def _prepared() -> Callable[[], object]:
    """The work, warmed up; once per process, because PyTorch takes its settings once."""
    chosen = Selection(models=(MODEL,), phases=(PHASE,), stacks=(STACK,))
    (group,) = plan.make(chosen).groups
    (stack,) = group.stacks
    (handoff,) = handoffs(group, chosen)[0].values()
    job = briefing.job(group, chosen, stack, environment.usable_cores(), handoff)
    device = build.device(stack.framework, job["settings"])
    session = build.build(device, job)
    work = discovery.load("phases", PHASE).prepare(session)

    def run() -> None:
        work.run()
        device.synchronize()

    for _ in range(WARM):
        run()
    return run


def _typical(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(CALIBRATED):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return median(taken)
