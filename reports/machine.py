"""What a run says about its machine. Any key may be missing, or hold what it should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import frameworks
from reports import text
from reports.load import number

if TYPE_CHECKING:
    from benchmarks.results.records import Run

_CAUSES = {
    "taken": "others on the cores",
    "stolen": "cores taken by the hypervisor",
    "slow": "a slow core",
    "gpu": "a device throttled or shared",
}
_CHECK_PARTS = (("check", "unnamed check"), ("state", "unknown"), ("detail", ""))


class Check(NamedTuple):
    """One line of the fairness or noise checklist."""

    check: str
    state: str
    detail: str


def checks(run: Run, key: str) -> tuple[Check, ...]:
    """The ``fairness`` or ``noise`` checklist of the environment; what is odd is left out."""
    entries = run.environment.get(key)
    if not isinstance(entries, list):
        return ()
    return tuple(
        Check(*(str(entry.get(part) or fallback) for part, fallback in _CHECK_PARTS))
        for entry in entries
        if isinstance(entry, dict)
    )


def fairness_words(run: Run) -> tuple[str, ...]:
    """One phrase for the whole fairness checklist; nothing where there is none."""
    found = checks(run, "fairness")
    odd = [
        f"{count} {state}"
        for state in ("unequal", "unknown")
        if (count := sum(check.state == state for check in found))
    ]
    words = ", ".join(odd) or "none unequal"
    return (f"{text.plural(len(found), 'fairness check')}: {words}",) if found else ()


def machine(run: Run) -> tuple[str, ...]:
    """Processor, cores, memory, GPU and system; a GPU that is missing is said to be missing."""
    env = run.environment
    gpu = env.get("gpu")
    cores, size = number(env.get("cores")), number(env.get("memory_bytes"))
    threads = number(env.get("threads"))
    parts = (
        str(env.get("cpu") or "processor unknown"),
        text.plural(int(cores), "core") if cores else "",
        text.plural(int(threads), "thread") + " for each stack" if threads else "",
        f"{text.size(size)} memory" if size else "",
        _gpus(gpu) if gpu else "no GPU",
        str(env.get("os") or ""),
    )
    return tuple(part for part in parts if part)


def gpu_reason(run: Run) -> str | None:
    """Why there is no GPU, where that was recorded."""
    reason = run.environment.get("gpu_reason")
    return str(reason) if reason and not run.environment.get("gpu") else None


def _gpus(found: object) -> str:
    """The names of the GPUs, each once with its number."""
    devices = found if isinstance(found, list) else [found]
    names = [str(d.get("name") if isinstance(d, Mapping) else d) for d in devices]
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if n == 1 else f"{n} x {name}" for name, n in counts.items())


def versions(run: Run) -> tuple[tuple[str, str], ...]:
    """Python and the libraries, the frameworks first."""
    stored = run.environment.get("versions")
    found = {str(k): str(v) for k, v in stored.items() if v} if isinstance(stored, Mapping) else {}
    python = run.environment.get("python")
    ranked = dict.fromkeys(n for n in (*_main(), *found) if n in found)
    return (*((n, found[n]) for n in ranked), *([("Python", str(python))] if python else []))


def main_versions(run: Run) -> tuple[tuple[str, str], ...]:
    """Those of ``versions`` that times depend on most."""
    return tuple((n, version) for n, version in versions(run) if n in {*_main(), "Python"})


def _main() -> tuple[str, ...]:
    return (*frameworks.packages(), "numpy")


def ceiling(run: Run) -> str:
    """What the device was seen to do at most; empty where that was not measured."""
    found = run.environment.get("ceiling")
    if not isinstance(found, Mapping):
        return ""
    parts = (
        text.quantity(value, unit)
        for name, unit in (("flops_per_s", "FLOP/s"), ("bytes_per_s", "B/s"))
        if (value := number(found.get(name)))
    )
    return " · ".join(parts)


def _disturbed(told: Mapping[str, Any]) -> Iterator[str]:
    """What disturbed how many turns, and how long these took beside those left alone."""
    found = told.get("disturbed")
    for cause, of_turns in found.items() if isinstance(found, Mapping) else ():
        if not isinstance(of_turns, Mapping):
            continue
        times = number(of_turns.get("times_as_long"))
        longer = f" ({text.times(times)} as long as those left alone)" if times else ""
        turns = f"{of_turns.get('turns')} of {told.get('turns')} turns"
        yield f"{_CAUSES.get(cause, cause)} in {turns}{longer}"


def watching(run: Run) -> str:
    """Rounds taken again, and what the watching cost; empty where nothing was watched."""
    told = run.interference
    share = number(told.get("gate_share"))
    cost = f"watching cost {100 * share:.1f} % of a turn" if share is not None else ""
    parts = (
        f"{told['repeated']} of {told['rounds']} rounds taken again" if told.get("rounds") else "",
        *_disturbed(told),
        cost if told.get("rounds") else "",
    )
    return " · ".join(part for part in parts if part)
