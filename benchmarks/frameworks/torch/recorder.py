"""Steps of PyTorch as Kineto records them.

A layer is known by a range that hooks open around each module's forward pass; the backward pass of
an operation carries the sequence number of its forward pass, and so belongs to the same layer.
Compiled code has no modules: its kernels are named by what was fused into them, if the compiler was
told to mark them before it compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from profilers.ops import taxonomy
from profilers.ops.rows import Event, Recording
from profilers.ops.taxonomy import BACKWARD, FORWARD, OPTIMIZER

STEP = "twinbench.step"
LAYER = "twinbench.layer:"
_NODE = re.compile(r"autograd::engine::evaluate_function: \w+")
_FUSED = re.compile(r"(?:graph_\d+_)?(?:cpp|triton)_(?:fused|poi|red|per|tem)_(?P<ops>\w*?)_?\d*$")
_WRAPPERS = (
    "autograd::engine::",
    "ProfilerStep",
    "Torch-Compiled Region",
    "TorchDynamo Cache Lookup",
    "CompiledFunction",
    "Pregraph bytecode",
    "AOTDispatcher",
    "Optimizer.",
    "PyTorch Profiler",
    "profiler::",
    "twinbench.",
    "##",
)
"""What is around operations: its own time is the framework's."""
_RUNTIME = re.compile(r"(cuda|cu|hip)[A-Z]")
"""Calls of the device's runtime, which the profiler of the device counts by itself."""


def record(
    device: Any, program: Any, step: Callable[[], object], steps: int, dumped: Path
) -> Recording:
    """As ``contracts.Recorder`` says; nothing is dumped."""
    del dumped
    return recorded(
        step,
        device.synchronize,
        steps=steps,
        modules=program.layers,
        python=device.asked.mode == "eager",
    )


def recorded(
    step: Callable[[], object],
    synchronize: Callable[[], object],
    *,
    steps: int,
    modules: Mapping[str, Any],
    python: bool,
) -> Recording:
    """Record so many steps.

    Args:
        step: one iteration.
        synchronize: returns only when the device is idle.
        steps: how many.
        modules: PyTorch modules or Keras layers by the name of the layer.
        python: whether they run as Python, so that each may be marked while it does.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    kinds = {name: type(module).__name__ for name, module in modules.items()}
    with _marked(modules, record_function) if python else nullcontext():
        step()  # the first step behind a new hook is slower
        synchronize()
        with profile(activities=activities) as taken:
            for _ in range(steps):
                with record_function(STEP):
                    step()
                    synchronize()
    found = taken.profiler.kineto_results.events()
    return normalise(found, kinds)


@contextmanager
def _marked(modules: Mapping[str, Any], record_function: Any) -> Iterator[None]:
    """Open a range around each forward pass of a module."""
    with ExitStack() as undo:
        for name, module in modules.items():
            if callable(getattr(module, "call", None)):
                _wrap_call(module, LAYER + name, record_function, undo)
            else:
                _hook(module, LAYER + name, record_function, undo)
        yield


def _hook(module: Any, name: str, record_function: Any, undo: ExitStack) -> None:
    open_: list[Any] = []

    def enter(*_: object) -> None:
        open_.append(record_function(name))
        open_[-1].__enter__()

    def leave(*_: object) -> None:
        open_.pop().__exit__(None, None, None)

    undo.callback(module.register_forward_pre_hook(enter).remove)
    undo.callback(module.register_forward_hook(leave, always_call=True).remove)


def _wrap_call(layer: Any, name: str, record_function: Any, undo: ExitStack) -> None:
    """Keras goes past PyTorch's hooks, but calls ``call``."""
    plain = layer.call

    def call(*arguments: Any, **keywords: Any) -> Any:
        with record_function(name):
            return plain(*arguments, **keywords)

    object.__setattr__(layer, "call", call)
    undo.callback(object.__delattr__, layer, "call")


def normalise(found: Iterable[Any], kinds: Mapping[str, str]) -> Recording:
    """Kineto's events in the common vocabulary.

    Args:
        found: events with the methods of ``torch._C._autograd._KinetoEvent``.
        kinds: class of each layer, by its dotted name.
    """
    every = list(found)
    host = [e for e in every if _on_host(e)]
    marks = sorted((e.start_ns(), e.start_ns() + e.duration_ns()) for e in host if e.name() == STEP)
    if not marks:
        return Recording(events=(), starts_ns=(), ends_ns=())
    zero = marks[0][0]
    steps = _Steps(marks)
    placed = _Places(host, kinds)
    events = []
    for event in host:
        place = placed.of.get(id(event))
        index = steps.at(event.start_ns())
        if place is None or index is None:
            continue
        events.append(
            Event(
                name=place.name,
                category=place.category,
                phase=place.phase,
                layer=place.layer,
                start_ns=event.start_ns() - zero,
                duration_ns=event.duration_ns(),
                thread=str(event.start_thread_id()),
                device=False,
                step=index,
            )
        )
    events += _device_events(every, placed, steps, zero)
    return Recording(
        events=tuple(events),
        starts_ns=tuple(start - zero for start, _ in marks),
        ends_ns=tuple(end - zero for _, end in marks),
        syncs=_syncs(host, steps) - len(marks) if any(e.device for e in events) else None,
    )


def _syncs(host: Iterable[Any], steps: _Steps) -> int:
    """How often CUDA made the host wait within the steps."""
    waits = (e for e in host if e.name().startswith("cuda") and e.name().endswith("Synchronize"))
    return sum(steps.at(e.start_ns()) is not None for e in waits)


def _on_host(event: Any) -> bool:
    return "CPU" in str(event.device_type())


def _device_events(
    every: Iterable[Any], placed: _Places, steps: _Steps, zero: int
) -> Iterator[Event]:
    """Kernels and copies, each with the place of the operation that launched it."""
    for event in every:
        index = steps.at(event.start_ns())
        if _on_host(event) or index is None or event.duration_ns() <= 0:
            continue
        if event.is_user_annotation() or event.name().startswith(_WRAPPERS):
            continue
        owner = placed.by_correlation.get(event.linked_correlation_id())
        fused = _fused_ops(event.name())
        yield Event(
            name=event.name(),
            category=(
                taxonomy.of_fused(fused)
                if fused is not None and not (owner and owner.phase == OPTIMIZER)
                else owner.category
                if owner
                else taxonomy.of_op(event.name())
            ),
            phase=owner.phase if owner else FORWARD,
            layer=owner.layer if owner else None,
            start_ns=event.start_ns() - zero,
            duration_ns=event.duration_ns(),
            thread=f"stream {event.device_resource_id()}",
            device=True,
            step=index,
        )


class _Steps:
    """Which step a moment belongs to."""

    def __init__(self, marks: list[tuple[int, int]]) -> None:
        self.marks = marks

    def at(self, moment: int) -> int | None:
        for index, (start, end) in enumerate(self.marks):
            if start <= moment < end:
                return index
        return None


class _Place:
    """Where an operation stands: what it is called, and what it is part of."""

    __slots__ = ("category", "layer", "name", "phase")

    def __init__(self, name: str, category: str, phase: str, layer: str | None) -> None:
        self.name, self.category, self.phase, self.layer = name, category, phase, layer


class _Places:
    """The place of every operation, from what is around it."""

    def __init__(self, host: list[Any], kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self.of: dict[int, _Place] = {}
        self.by_correlation: dict[int, _Place] = {}
        self.layer_of_sequence: dict[int, str] = {}
        marked = any(_FUSED.match(e.name()) for e in host)
        # In order of time: the forward pass of an operation comes before its backward pass.
        threads: dict[int, list[tuple[Any, int]]] = {}
        for event in sorted(host, key=lambda e: (e.start_ns(), -e.duration_ns())):
            around = threads.setdefault(event.start_thread_id(), [])
            while around and around[-1][1] <= event.start_ns():
                around.pop()
            self._place(event, [e for e, _ in around], marked=marked)
            around.append((event, event.start_ns() + event.duration_ns()))

    def _place(self, event: Any, around: list[Any], *, marked: bool) -> None:
        names = [e.name() for e in around]
        layer = next((n.removeprefix(LAYER) for n in reversed(names) if n.startswith(LAYER)), None)
        node = next((e for e in around if _NODE.match(e.name())), None)
        sequence = (node or event).sequence_nr()
        name = event.name()
        if node is None and layer and sequence >= 0 and not _NODE.match(name):
            self.layer_of_sequence[sequence] = layer
        if node is not None or _NODE.match(name):
            layer = self.layer_of_sequence.get(sequence, layer)
        phase = self._phase(name, names)
        outermost = next((n for n in names if _is_op(n, marked=marked)), name)
        place = _Place(name, self._category(outermost, name, phase, layer), phase, layer)
        # Kernels name the operation that launched them. The runtime's calls have numbers of another
        # series, which begins at 1, too, and 0 is no number.
        if event.correlation_id() and not _RUNTIME.match(name):
            self.by_correlation[event.correlation_id()] = place
        if _is_op(name, marked=marked):
            place.name = _short(name)
            self.of[id(event)] = place

    @staticmethod
    def _phase(name: str, names: list[str]) -> str:
        every = [*names, name]
        if any(n.startswith("Optimizer.") for n in every):
            return OPTIMIZER
        backward = any(n.startswith("autograd::engine") or "Backward" in n for n in every)
        return BACKWARD if backward else FORWARD

    def _category(self, outermost: str, name: str, phase: str, layer: str | None) -> str:
        if phase == OPTIMIZER:
            return OPTIMIZER
        fused = _fused_ops(name)
        if fused is not None:
            return taxonomy.of_fused(fused)
        kind = self.kinds.get(layer or "")
        found = taxonomy.category(outermost, phase, kind)
        return found if found != taxonomy.OTHER else taxonomy.category(name, phase, kind)


def _is_op(name: str, *, marked: bool) -> bool:
    """Whether an event does work, rather than being around something that does."""
    if name.startswith("## Call CompiledFxGraph"):
        return not marked  # without marks on its kernels, the whole graph is one operation
    return not name.startswith(_WRAPPERS) and not name.endswith(("Backward0", "Backward1"))


def _fused_ops(name: str) -> list[str] | None:
    """The operations that a compiled kernel was made of, from its name; ``None`` for other names.

    A kernel that only draws random numbers has a number and no operations in its name. Inductor
    joins them by underscores, so names that hold one themselves are looked for first.
    """
    match = _FUSED.match(name)
    if not match:
        return None
    text = match["ops"]
    joined = ("max_pool2d_with_indices", "native_batch_norm", "log_softmax", "nll_loss",
              "convolution_backward", "threshold_backward", "adaptive_avg_pool2d", "avg_pool2d",
              "native_layer_norm", "embedding_dense", "native_dropout", "batch_norm")  # fmt: skip
    found = [word for word in joined if word in text]
    for word in found:
        text = text.replace(word, "")
    return found + [word for word in text.split("_") if word and not word.isdecimal()]


def _short(name: str) -> str:
    return "compiled graph" if name.startswith("## Call CompiledFxGraph") else name
