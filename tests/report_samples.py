"""Plausible runs for the tests of the reports.

They hold every status, several models and phases, both pairs, failures, and names chosen to break
whatever shows them.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results.machine import Check, Environment, Floor
from benchmarks.results.observed import Memory
from benchmarks.results.records import (
    Case,
    ColdStart,
    Difference,
    Failure,
    Launch,
    Learned,
    Matchup,
    MatchupResult,
    Parity,
    Run,
    Status,
    TimedCheck,
    Verdict,
    VerdictWord,
)
from benchmarks.results.stored.codec import encode

if TYPE_CHECKING:
    from pathlib import Path

STACKS = ("torch-eager", "tensorflow-graph", "torch-compile", "tensorflow-xla")
PAIRS = ((STACKS[0], STACKS[1]), (STACKS[2], STACKS[3]))
MODELS = {"mlp": 3e-4, "cnn": 4e-3, "lstm": 9e-3, "transformer": 2.4e-2, "resnet50": 0.31}
PHASES = {"forward": 1.0, "backward": 1.9, "train_step": 3.2, "dataload": 0.6, "epoch": 180.0}
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "../../etc/passwd",
    "CON",
    "n" * 300,
    "right\u202eleft",
    "=cmd|' /C calc'!A0",
    "two\nlines\x1b[31m",
    "pipe|char",
    "$\\foo$",
    "\ud800 lone surrogate",
    "\N{SNOWMAN} \N{CJK UNIFIED IDEOGRAPH-6A21}",
    "{{ 7 * 7 }}",
)


def parity(**changes: object) -> Parity:
    """A proof that holds."""
    fields: dict[str, object] = {
        "status": "proven",
        "adapters": ("torch", "tensorflow"),
        "max_rel_error": {
            "output": 8.1e-16,
            "loss": 0.0,
            "gradients": 3.4e-15,
            "after_steps": 9.7e-15,
        },
        "parameters": 25_557_032,
        "forward_flops": 8.2e9,
        "weights_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "timed": tuple(
            TimedCheck(stack=stack, quantity=quantity, error=3e-7, bound=2e-5)
            for stack in STACKS
            for quantity in ("output", "gradients")
        ),
        "notes": ("dropout is compared switched off: the generators differ",),
    }
    return Parity(**(fields | changes))  # type: ignore[arg-type]  # free-form on purpose: a test builder


def launches(
    rng: random.Random, middle_s: float, count: int = 3, samples: int = 20
) -> tuple[Launch, ...]:
    """Launches with a skew, a shift per launch and the odd outlier."""
    made = []
    for index in range(count):
        base = middle_s * math.exp(rng.gauss(0, 0.01))
        values = [base * math.exp(abs(rng.gauss(0, 0.02))) for _ in range(samples)]
        values[rng.randrange(samples)] *= 1.25
        made.append(Launch(index=index, samples_s=tuple(values), warmup_s=(base * 3, base * 1.4)))
    return tuple(made)


def verdict(result: tuple[Case, ...], a: str, b: str, margin: float = 0.02) -> Verdict:
    """The verdict over the launches of two cases; the interval is plausible, not computed."""
    cases = {case.stack: case for case in result}
    bad = [s for s in (a, b) if s not in cases or cases[s].status != "ok"]
    if bad:
        return Verdict(
            a=a,
            b=b,
            ratio=None,
            ci95=None,
            launches=0,
            margin=margin,
            verdict="not comparable",
            reason=f"{', '.join(bad)} gave no valid time",
        )
    ratio = median(cases[b].samples_s) / median(cases[a].samples_s)
    ci95 = (ratio * 0.965, ratio * 1.035)
    word: VerdictWord = (
        "faster" if ci95[0] > 1 + margin else "slower" if ci95[1] < 1 / (1 + margin) else "no call"
    )
    return Verdict(a=a, b=b, ratio=ratio, ci95=ci95, launches=3, margin=margin, verdict=word)


def case(
    matchup: Matchup, stack: str, rng: random.Random, middle_s: float, **changes: object
) -> Case:
    """A valid case."""
    fields: dict[str, object] = {
        "id": matchup.case_id(stack),
        "stack": stack,
        "status": "ok",
        "launches": launches(rng, middle_s),
        "flops_per_iteration": middle_s * 4e10,
        "items_per_iteration": matchup.batch,
        "memory": Memory(
            peak_rss_bytes=int((0.6 + rng.random()) * 2**30), device_reason="the device is the CPU"
        ),
        "settings": {"threads": 2, "tf32": False},
    }
    if matchup.phase == "epoch":
        fields["learned"] = tuple(
            Learned(
                train_loss=0.41 + 0.01 * i,
                train_accuracy=0.88,
                test_loss=0.45,
                test_accuracy=0.861 + 0.001 * i,
                train_samples=1437,
                test_samples=360,
            )
            for i in range(3)
        )
    return Case(**(fields | changes))  # type: ignore[arg-type]  # free-form on purpose: a test builder


def result(matchup: Matchup, cases: tuple[Case, ...], proof: Parity | None = None) -> MatchupResult:
    """A matchup with a verdict for each pair whose stacks both are among its cases."""
    stacks = {c.stack for c in cases}
    shown = tuple(verdict(cases, a, b) for a, b in PAIRS if {a, b} <= stacks)
    return MatchupResult(matchup=matchup, parity=proof or parity(), cases=cases, verdicts=shown)


def cold_start(model: str, rng: random.Random) -> MatchupResult:
    """The phase whose samples are total seconds until the first result."""
    matchup = Matchup(model=model, phase="cold_start", batch=8)
    first = {"torch-eager": 0.4, "tensorflow-graph": 2.1, "torch-compile": 31.0}
    cases = []
    for stack in STACKS:
        starts = tuple(
            ColdStart(
                launch=i,
                cache="empty" if cache else "warm",
                import_s=1.8 + rng.random() * 0.1 + ("tensorflow" in stack) * 2,
                build_s=0.3 + rng.random() * 0.05,
                first_step_s=first.get(stack, 12.0) * (1 if cache else 0.2),
            )
            for i in range(3)
            for cache in (True, False)
        )
        totals = tuple(
            Launch(index=s.launch, samples_s=(s.total_s,)) for s in starts if s.cache == "empty"
        )
        cases.append(
            case(matchup, stack, rng, 1.0, launches=totals, cold_starts=starts, memory=Memory())
        )
    return result(matchup, tuple(cases))


def failures(rng: random.Random) -> tuple[MatchupResult, ...]:
    """A matchup for every way to fail, and one whose twins are not the same function."""
    logs = (
        'Traceback (most recent call last):\n  File "w.py", line 7\n<b>MemoryError</b> \x1b[31mred'
    )
    made = []
    statuses: tuple[Status, ...] = (
        "oom_device",
        "oom_host",
        "timeout",
        "crash",
        "error",
        "parity_failed",
        "unsupported",
        "interrupted",
    )
    for status in statuses:
        matchup = Matchup(model=f"broken_{status}", phase="train_step", batch=8)
        bad = case(
            matchup,
            "tensorflow-graph",
            rng,
            0.02,
            launches=(),
            status=status,
            reason=f"what {status} says",
            failure=Failure(
                launch=1,
                signal="SIGSEGV" if status == "crash" else None,
                exit_code=-11 if status == "crash" else 1,
                stack='File "phase.py", line 12 in step',
                stderr=logs,
            ),
        )
        made.append(result(matchup, (case(matchup, "torch-eager", rng, 0.02), bad)))
    wrong = Matchup(model="unequal", phase="forward", batch=8)
    difference = Difference(
        where="layer3.conv1",
        quantity="output",
        a="torch",
        b="tensorflow",
        shape_a=(8, 256, 14, 14),
        shape_b=(8, 256, 15, 15),
        error=0.013,
    )
    proof = parity(
        status="failed", reason="output differs by 1.3e-02", first_difference=difference, timed=()
    )
    made.append(MatchupResult(matchup=wrong, parity=proof, cases=()))
    return tuple(made)


def environment() -> Environment:
    """A small machine without a GPU."""
    return Environment(
        fingerprint="3f9c2a",
        cpu="AMD EPYC 7B13",
        cores=2,
        memory_bytes=16 * 2**30,
        gpu_reason="no NVIDIA driver",
        os="Linux 6.8",
        python="3.11.9",
        versions={"keras": "3.15.1", "torch": "2.15.0", "tensorflow": "2.21.0", "numpy": "2.4"},
        threads=2,
        fairness=(
            Check(check="threads", state="equal", detail="2 intra-op, 1 inter-op"),
            Check(check="TF32", state="equal", detail="off for all"),
            Check(check="memory layout", state="unequal", detail="NCHW against NHWC"),
            Check(check="allocator", state="unknown", detail="not readable"),
            Check(check="libraries", state="info", detail="oneDNN in both"),
        ),
    )


def run(results: tuple[MatchupResult, ...], **changes: object) -> Run:
    """A run around some matchups."""
    fields: dict[str, object] = {
        "run_id": "20261121-070213-ab12",
        "started": "2026-11-21T07:02:13Z",
        "seconds": 1834.2,
        "exit": 0,
        "command": (
            "python",
            "-m",
            "benchmarks",
            "run",
            "--models",
            "mlp, cnn",
            "--effort",
            "quick",
        ),
        "environment": environment(),
        "aa_floor": Floor(value=0.013, how="3 launches of torch-eager against itself"),
        "matchups": results,
    }
    return Run(**(fields | changes))  # type: ignore[arg-type]  # free-form on purpose: a test builder


def healthy_run(
    models: tuple[str, ...] = tuple(MODELS), phases: tuple[str, ...] = tuple(PHASES)
) -> Run:
    """Both pairs in every phase of every model, and a cold start each."""
    rng = random.Random(7)  # noqa: S311  plausible times, no secrets
    results = []
    for model in models:
        for phase in phases:
            variant = "digits-1797" if phase == "epoch" else ""
            matchup = Matchup(model=model, phase=phase, batch=8, variant=variant)
            base = MODELS.get(model, 0.01) * PHASES[phase]
            cases = tuple(
                case(matchup, stack, rng, base * math.exp(rng.gauss(0, 0.18))) for stack in STACKS
            )
            results.append(result(matchup, cases))
        results.append(cold_start(model, rng))
    return run(tuple(results))


def failing_run() -> Run:
    """Two healthy models beside one matchup for every way to fail."""
    healthy = healthy_run(("mlp", "resnet50"))
    return run(healthy.matchups + failures(random.Random(3)), exit=4)  # noqa: S311  as above


def hostile_run() -> Run:
    """Every field that carries a name or a text carries a hostile one."""
    rng = random.Random(5)  # noqa: S311  as above
    results = []
    for word in HOSTILE:
        matchup = Matchup(
            model=word, phase=word, batch=8, variant=word, precision=word, device=word
        )
        cases = tuple(case(matchup, s, rng, 0.01) for s in (STACKS[0], STACKS[1]))
        failed = case(
            matchup,
            f"{word}-eager",
            rng,
            0.01,
            status="crash",
            reason=word,
            failure=Failure(signal=word, stack=word, stderr=word, peak_rss_bytes=1 << 30),
            notes=(word,),
        )
        proof = parity(reason=word, notes=(word,), weights_sha256=word)
        results.append(result(matchup, (*cases, failed), proof))
    env = replace(
        environment(),
        cpu=HOSTILE[0],
        os=HOSTILE[4],
        versions={HOSTILE[0]: HOSTILE[9]},
        fairness=tuple(Check(check=word, state="unknown", detail=word) for word in HOSTILE),
    )
    return run(tuple(results), run_id=HOSTILE[0], command=HOSTILE, environment=env)


def large_run(cases: int = 200, samples: int = 400) -> Run:
    """Four stacks in many matchups, each with far more samples than a page can carry."""
    rng = random.Random(1)  # noqa: S311  as above
    results = []
    for i in range(cases // len(STACKS)):
        matchup = Matchup(model=f"model{i // 5}", phase=list(PHASES)[i % 5], batch=8)
        made = (
            case(
                matchup,
                s,
                rng,
                0.01,
                launches=launches(rng, 0.01 + rng.random() / 500, 7, samples // 7),
            )
            for s in STACKS
        )
        results.append(result(matchup, tuple(made)))
    return run(tuple(results))


def write(folder: Path, record: Run) -> Path:
    """Write ``run.json`` as a run does; returns the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(encode(record))
    return folder
