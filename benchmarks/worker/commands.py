"""The child: one framework, one model, obeying one command at a time.

The only place where a framework, a model and a phase meet. ``serving`` is how it is spoken to.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import allocator, peaks
from benchmarks.request import discovery
from benchmarks.results.stored.codec import to_json
from benchmarks.worker import build, checks, clock, recording
from benchmarks.worker.disturbances import EdgeMonitor
from benchmarks.worker.phases._protocol import Built, Work
from profilers import host
from profilers.flames import pyspy

NUMBER_BYTES = {"float64": 8, "bfloat16": 2, "float16": 2}
UNKNOWN_PEAK = "the allocator's peak is older than this phase, and cannot be reset"
LONGEST = 5
"""A turn may take so many times the time that it is meant to take."""


@dataclass
class Worker:
    """What a worker remembers between commands; ``now`` gives monotonic seconds."""

    now: clock.Now = time.perf_counter
    device: str = "cpu"
    scaled: bool = False
    built: Built | None = None
    work: Work | None = None
    iterations: int = 1
    turn_s: float = 0.0
    traced: int | None = None
    watch: EdgeMonitor = field(default_factory=EdgeMonitor)

    def start(self, *, spawned: float, job: dict[str, Any]) -> dict[str, Any]:
        """Import and build, each stamped in seconds."""
        settings = job["settings"]
        self.device = settings["device"]
        if settings["policy"] != "defaults":
            allocator.keep()
        self.scaled = settings["precision"] == "float16"
        device = build.device(job["framework"], settings)
        imported = self.now()
        self.built = build.build(device, job)
        device.synchronize()
        built = self.now()
        return {
            "import_s": imported - spawned,
            "build_s": built - imported,
        }

    def rebuild(self, *, job: dict[str, Any]) -> dict[str, Any]:
        """Delete the model, and build another one on the same device."""
        device = self._built().device
        self.built = self.work = None
        gc.collect()
        self.built = build.build(device, job)
        return {}

    def settings(self) -> dict[str, Any]:
        """Everything that could make stacks unequal, read back."""
        told = self._built().device.settings()
        return {"settings": told | {"freed_memory": allocator.freed_memory()}}

    def ceiling(self, *, framework: str, settings: dict[str, Any], size: int) -> dict[str, Any]:
        """What the device can do at most, and whether the clock waits for it."""
        chosen = build.device(framework, settings)
        product, copy = chosen.ceiling_work(size, peaks.COPIED)
        found = peaks.measure(
            product,
            copy,
            chosen.synchronize,
            self.now,
            size=size,
            copied_bytes=peaks.COPIED * NUMBER_BYTES.get(settings["precision"], 4),
        )
        return asdict(found)

    def first_step(self) -> dict[str, Any]:
        """The first training step, with all the tracing and compiling that it sets off."""
        built = self._built()
        began = self.now()
        built.program.set_training(training=True)
        built.program.step(built.batch)
        built.device.synchronize()
        return {"first_step_s": self.now() - began}

    def check(self, *, part: str, path: str) -> dict[str, Any]:
        """Write what the timed callables compute, for comparison with the float64 reference."""
        checks.write_check(self._built(), Path(path), part, scaled=self.scaled)
        return {}

    def prepare(
        self, *, phase: str, turn_s: float, warm_s: float, slow: float = 0.0
    ) -> dict[str, Any]:
        """Warm up a phase and settle how many iterations make a turn.

        ``slow`` adds that share of its time to every iteration from here on.
        """
        built = self._built()
        built.program.reset()
        host.reset_peak_rss()
        built.device.peak_memory()
        self.work = work = discovery.load("phases", phase).prepare(built)
        if work.before:
            work.before()
        runs = [work.run, *([work.baseline] if work.baseline else [])]
        warm = [self._warm_up(run, work, warm_s / len(runs)) for run in runs]
        typical = min(warm[0].samples_s[-10:])  # a disturbed warm-up must not shorten the turns
        if slow:
            more_s = slow * median(warm[0].samples_s[-10:])
            self.work = replace(work, run=slowed(work.run, more_s, self.now))
        self.turn_s = turn_s
        self.iterations = work.iterations or clock.iterations_for(typical, turn_s)
        self.traced = built.program.traced()
        return {
            "warmup_s": warm[0].samples_s,
            "steady": all(w.steady for w in warm),
            "iterations": self.iterations,
            "turn_s": self.iterations * typical,
            "items": work.items,
        }

    def turn(self) -> dict[str, Any]:
        """Seconds per iteration of the work and of its baseline (0 where it has none), watched."""
        work, synchronize = self._work(), self._built().device.synchronize
        if work.before:
            work.before()
        block = None  # a device that queues its work would run dry at the end of each
        if self.device == "cpu" and not work.bursts:
            block = clock.iterations_for(self.turn_s / self.iterations, clock.BLOCK_S)

        def timed(run: Any) -> float:
            return clock.turn(
                run,
                synchronize,
                self.now,
                iterations=self.iterations,
                block=block,
                discard=work.discard,
                settle_s=clock.SETTLE_S if work.discard else 0.0,
                watch=self.watch,
                cap_s=math.inf if work.iterations else LONGEST * self.turn_s,
            )

        run_s = timed(work.run)
        if not work.iterations and run_s * self.iterations < self.turn_s / 2:
            # The warm-up was disturbed, and promised too long an iteration.
            self.iterations = clock.iterations_for(run_s, self.turn_s)
        return {
            "run_s": run_s,
            "baseline_s": timed(work.baseline) if work.baseline else 0.0,
            "record": self.watch.record(),
        }

    def sustain(self, *, seconds: float) -> dict[str, Any]:
        """Repeat the phase for so long, for whoever watches from outside; it is never a sample."""
        work, synchronize = self._work(), self._built().device.synchronize
        learned = len(work.learned)
        if work.before:
            work.before()
        for _ in range(work.discard):  # the first may trace anew, and refill caches
            work.run()
        # A device waits for nobody within a turn; an eighth of one keeps it as busy.
        each = 1 if self.device == "cpu" else max(1, self.iterations // 8)
        taken = list[float]()
        synchronize()
        began_ns = time.monotonic_ns()
        until = self.now() + seconds
        while not taken or self.now() < until:
            taken.append(clock.turn(work.run, synchronize, self.now, iterations=each, discard=0))
        del work.learned[learned:]  # epochs on end, and not one from the first weights
        return {
            "iterations": len(taken) * each,
            "median_s": median(taken),
            "began_ns": began_ns,
            "ended_ns": time.monotonic_ns(),
        }

    def paces(self, *, iterations: int) -> dict[str, Any]:
        """Seconds of each of a turn's first iterations by itself, and of waits for nothing."""
        work, synchronize = self._work(), self._built().device.synchronize
        if work.before:
            work.before()

        def each(run: Any) -> list[float]:
            return [
                clock.turn(run, synchronize, self.now, iterations=1, discard=0)
                for _ in range(iterations)
            ]

        return {"samples_s": each(work.run), "waits_s": each(_nothing)}

    def ops(self, *, steps: int, events: bool, dumped: str) -> dict[str, Any]:
        """Record some steps in the framework's profiler, and say what they are made of."""
        return recording.ops(
            self._built(), self._work(), steps=steps, events=events, dumped=Path(dumped)
        )

    def watched(self, *, by: int) -> dict[str, Any]:
        """Let a process and its children look into this one; 0: none any more."""
        pyspy.allow(by)
        return {}

    def finish(self) -> dict[str, Any]:
        """Memory peaks and what was learned; the phase's work is dropped."""
        built, work = self._built(), self._work()
        peak = host.peak_rss_bytes()
        device = built.device.peak_memory()
        why = "not a CUDA device" if self.device == "cpu" else UNKNOWN_PEAK
        self.work = None
        traced = built.program.traced()
        if work.after:
            work.after()
        return {
            "retraced": None if traced is None else traced - (self.traced or 0),
            "memory": {
                "peak_rss_bytes": peak.value,
                "peak_rss_reason": peak.reason,
                "device_peak_bytes": device,
                "device_reason": None if device is not None else why,
            },
            "learned": to_json(tuple(work.learned)),
        }

    def _warm_up(self, run: Any, work: Work, cap_s: float) -> clock.WarmUp:
        synchronize = self._built().device.synchronize
        if work.warm_up is None:
            return clock.warm_up(run, synchronize, self.now, cap_s=cap_s)
        samples = (
            clock.turn(run, synchronize, self.now, iterations=1, discard=0)
            for _ in range(work.warm_up)
        )
        return clock.WarmUp(samples_s=tuple(samples), steady=True)

    def _built(self) -> Built:
        if self.built is None:
            raise RuntimeError("the worker has not been started")
        return self.built

    def _work(self) -> Work:
        if self.work is None:
            raise RuntimeError("no phase has been prepared")
        return self.work


def _nothing() -> None:
    """What is waited for where the wait itself is timed."""


def slowed(
    run: Callable[[], object], more_s: float, now: clock.Now = time.perf_counter
) -> Callable[[], object]:
    """The same work and a busy wait behind it: on a GPU it runs beside what is still queued."""

    def both() -> None:
        run()
        until = now() + more_s
        while now() < until:
            pass

    return both
