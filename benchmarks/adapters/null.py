"""No framework: fixed delays and, on request, every way in which a worker can fail.

With it the whole pipeline runs in seconds where neither framework is installed. Mode ``a`` is
always healthy; mode ``b`` does what the environment variable ``TWINBENCH_NULL`` says, a JSON object
with ``slow`` (a factor on its delays), ``alone`` (another one on one thread), ``loss`` (how many of
them the loss takes), ``retraces`` (whether it pretends to compile at every step), ``fault`` (a name
of ``FAULTS``) and ``at`` (the method in which the fault strikes, ``forward`` unless said).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from benchmarks.adapters._protocol import Array, Epoch, Settings, Trace
from benchmarks.inputs import Batch, Dataset
from benchmarks.models._spec import ModelSpec
from benchmarks.weights import Weights
from profilers.ops.rows import Event, Recording

CONTROL = "TWINBENCH_NULL"
DELAY_S = 0.002
FOREVER_S = 3600


def _fill_stdout() -> None:
    sys.stdout.buffer.write(b"\x1b[31mnoise\xff\n" * 100_000)
    sys.stdout.flush()


def _fail() -> None:
    raise RuntimeError("the null adapter was told to fail")


def _run_out() -> None:
    raise MemoryError("the null adapter was told to run out of memory")


FAULTS: Mapping[str, Callable[[], object]] = {
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(0),
    "hang": lambda: time.sleep(FOREVER_S),
    # A call through PyDLL keeps the interpreter lock: no Python thread can interrupt it.
    "hang_native": lambda: ctypes.PyDLL(None).sleep(FOREVER_S),
    "error": _fail,
    "memory": _run_out,
    "noise": _fill_stdout,
    "wrong": lambda: None,
}


@dataclass
class Model:
    """The weights; every step subtracts a hundredth of them."""

    spec: ModelSpec
    weights: Weights
    steps: int = 0


class Null:
    """The adapter of no framework."""

    requires: ClassVar[tuple[str, ...]] = ()
    late: ClassVar[tuple[str, ...]] = ()
    dialect: ClassVar[str] = "null"
    layout: ClassVar[str] = "channels_last"
    modes: ClassVar[Mapping[str, bool]] = {"a": False, "b": False}
    proof_mode: ClassVar[str] = "a"
    env: ClassVar[Mapping[str, str]] = {}
    profile_env: ClassVar[Mapping[str, str]] = {}
    cache_env: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.asked = settings
        control = json.loads(os.environ.get(CONTROL, "{}")) if settings.mode == "b" else {}
        self.delay_s = DELAY_S * control.get("slow", 1.0)
        if settings.threads == 1:
            self.delay_s *= control.get("alone", 1.0)
        self.loss_delays = control.get("loss", 1)
        self.retraces, self.worked = bool(control.get("retraces")), 0
        self.fault, self.at = control.get("fault"), control.get("at", "forward")

    def build(self, _twin: ModuleType, spec: ModelSpec, weights: Weights) -> Model:
        """Nothing to build but the weights."""
        self._strike("build")
        return Model(spec, weights)

    def reset(self, model: Model, _weights: Weights) -> None:
        """No step taken."""
        model.steps = 0

    def place(self, batch: Batch) -> Any:
        """The batch as it is."""
        return batch

    def set_training(self, _model: Model, *, training: bool) -> None:
        """Nothing to switch."""

    def forward(self, model: Model, batch: Any) -> Any:
        """One delay; logits that follow from the weights alone."""
        self._work("forward")
        return self._logits(model, batch)

    def loss(self, model: Model, batch: Any) -> Any:
        """One delay, unless more are asked."""
        self._work("loss", self.loss_delays)
        return np.float64(self._logits(model, batch).mean())

    def backward(self, model: Model, batch: Any) -> Any:
        """Two delays."""
        self._work("backward", 2)
        return np.float64(self._logits(model, batch).mean())

    def train_step(self, model: Model, batch: Any) -> Any:
        """Three delays."""
        self._work("train_step", 3)
        model.steps += 1
        return np.float64(self._logits(model, batch).mean())

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        """One delay per batch."""
        return _Batches(self, data, batch)

    def epoch(self, _model: Model, _data: Dataset, _batch: int) -> Epoch:
        """Ten delays, and nothing learned."""

        def run() -> tuple[float, float, float, float]:
            self._work("epoch", 10)
            return 2.3, 0.1, 2.3, 0.1

        return Epoch(run=run)

    def synchronize(self) -> None:
        """Nothing runs elsewhere."""

    def device_peak_bytes(self) -> int | None:
        """No device."""
        return None

    def traced(self) -> int | None:
        """As many as steps were worked, where that is asked."""
        return self.worked if self.retraces else None

    def export(self, model: Model) -> Weights:
        """The weights; wrong ones where that is asked."""
        left = 1.0 - 0.01 * model.steps * (1.5 if self.fault == "wrong" else 1.0)
        return {name: values * left for name, values in model.weights.items()}

    def numpy(self, value: Any) -> Array:
        """As it is."""
        return np.asarray(value, dtype=np.float64)

    def trace(self, model: Model, batch: Any) -> Trace:
        """Logits and weights, so that there is something to compare."""
        logits = self._logits(model, batch)
        return Trace(output=logits, loss=logits.mean(), gradients=dict(model.weights))

    def trained(self, model: Model, _batch: Any, _optimizer: str, steps: int) -> Weights:
        """The weights after so many steps."""
        model.steps = steps
        return self.export(model)

    def parameter_count(self, model: Model) -> int:
        """As the spec has it."""
        return model.spec.parameters

    def flops(self, _model: Model, _batch: Any) -> float | None:
        """Nothing is computed."""
        return None

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A product of NumPy's, and a copy."""
        a = np.ones((size, size), dtype=np.float32)
        out, source = np.empty_like(a), np.ones(copied, dtype=np.float32)
        target = np.empty_like(source)
        return lambda: np.matmul(a, a, out=out), lambda: np.copyto(target, source)

    def record(
        self, _model: Model, step: Callable[[], object], steps: int, _dumped: Path
    ) -> Recording:
        """Half of each step a convolution of layer ``null``, a quarter its loss, else nothing."""
        marks = []
        for _ in range(steps):
            began = time.perf_counter_ns()
            step()
            marks.append((began, time.perf_counter_ns()))
        zero = marks[0][0]
        events = []
        for index, (start, end) in enumerate(marks):
            half, quarter = (end - start) // 2, (end - start) // 4
            at, host = start - zero, False
            events.append(Event("conv", "conv", "forward", "null", at, half, "0", host, index))
            events.append(
                Event("loss", "softmax/loss", "forward", None, at + half, quarter, "0", host, index)
            )
        return Recording(
            events=tuple(events),
            starts_ns=tuple(start - zero for start, _ in marks),
            ends_ns=tuple(end - zero for _, end in marks),
        )

    def settings(self) -> dict[str, Any]:
        """What was asked."""
        return {"threads": self.asked.threads, "precision": self.asked.precision}

    def _logits(self, model: Model, batch: Any) -> Array:
        logits = np.full(
            (len(batch.y), model.spec.classes), sum(w.sum() for w in model.weights.values())
        )
        return logits * (1.5 if self.fault == "wrong" else 1.0)

    def _work(self, method: str, delays: int = 1) -> None:
        self._strike(method)
        self.worked += 1
        time.sleep(delays * self.delay_s)

    def _strike(self, method: str) -> None:
        if self.fault and method == self.at:
            FAULTS[self.fault]()


@dataclass(frozen=True, slots=True)
class _Batches:
    """Batches in order; every pass starts anew, where a generator would end for ever."""

    adapter: Null
    data: Dataset
    batch: int

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self.data.y_train) - self.batch + 1, self.batch):
            self.adapter._work("loader")  # noqa: SLF001 - its own other half
            yield self.data.x_train[start : start + self.batch]


ADAPTER = Null
