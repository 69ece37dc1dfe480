"""What a run says about its machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmarks import frameworks
from benchmarks.results import wording
from benchmarks.results.machine import Ceiling
from reports.contents import text

if TYPE_CHECKING:
    from benchmarks.results.machine import Gpu
    from benchmarks.results.records import Run


def fairness_words(run: Run) -> tuple[str, ...]:
    """One phrase for the whole fairness checklist; nothing where there is none."""
    found = run.environment.fairness
    odd = [
        f"{count} {state}"
        for state in ("unequal", "unknown")
        if (count := sum(check.state == state for check in found))
    ]
    words = ", ".join(odd) or "none unequal"
    return (f"{wording.plural(len(found), 'fairness check')}: {words}",) if found else ()


def machine(run: Run) -> tuple[str, ...]:
    """Processor, cores, memory, GPU and system; a GPU that is missing is said to be missing."""
    env = run.environment
    parts = (
        env.cpu or "processor unknown",
        wording.plural(env.cores, "core") if env.cores else "",
        wording.plural(env.threads, "thread") + " for each stack" if env.threads else "",
        f"{text.size(env.memory_bytes)} memory" if env.memory_bytes else "",
        _gpus(env.gpu) if env.gpu else "no GPU",
        env.os,
    )
    return tuple(part for part in parts if part)


def gpu_reason(run: Run) -> str | None:
    """Why there is no GPU, where that was recorded."""
    return None if run.environment.gpu else run.environment.gpu_reason


def _gpus(found: Iterable[Gpu]) -> str:
    """The names of the GPUs, each once with its number."""
    names = [gpu.name for gpu in found]
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if n == 1 else f"{n} x {name}" for name, n in counts.items())


def versions(run: Run) -> tuple[tuple[str, str], ...]:
    """Python and the libraries, the frameworks first."""
    found = {name: version for name, version in run.environment.versions.items() if version}
    python = run.environment.python
    ranked = dict.fromkeys(n for n in (*_main(), *found) if n in found)
    return (*((n, found[n]) for n in ranked), *([("Python", python)] if python else []))


def main_versions(run: Run) -> tuple[tuple[str, str], ...]:
    """Those of ``versions`` that times depend on most."""
    return tuple((n, version) for n, version in versions(run) if n in {*_main(), "Python"})


def _main() -> tuple[str, ...]:
    return (*frameworks.packages(), "numpy")


def ceiling(run: Run) -> str:
    """What the device was seen to do at most; empty where that was not measured."""
    found = run.environment.ceiling or Ceiling()
    parts = ((found.flops_per_s, "FLOP/s"), (found.bytes_per_s, "B/s"))
    return " · ".join(text.quantity(value, unit) for value, unit in parts if value)


def watching(run: Run) -> str:
    """Rounds taken again, and what the watching cost; empty where nothing was watched."""
    told = run.interference
    if not told.rounds:
        return ""
    share = told.gate_share
    cost = [] if share is None else [f"watching cost {100 * share:.1f} % of a turn"]
    return " · ".join((wording.taken_again(told), *wording.disturbed(told), *cost))
