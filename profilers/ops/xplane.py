"""The profile that XLA's and TensorFlow's runtimes share, in the common vocabulary.

Its host plane speaks three dialects: ``scope/name:OpType`` where a graph runs, names of HLO
instructions where XLA compiled it, and ``EagerLocalExecute: OpType`` around each eager operation.
What an HLO instruction was made from stands in the compiler's dump (``profilers.ops.hlo``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from profilers.ops import hlo, taxonomy
from profilers.ops.hlo import Made
from profilers.ops.rows import Event, Recording
from profilers.ops.taxonomy import BACKWARD, FORWARD, OPTIMIZER, OTHER

STEP = "twinbench.step"
STREAM = "Stream"
"""What the lines of a GPU's plane begin with that hold what ran, as it ran."""
_PS_PER_NS = 1000
_GRAPH = re.compile(r"^(?P<path>[A-Za-z0-9_.\\/ \-\[\]=>]*):(?P<type>[A-Za-z_]\w*)$")
_EAGER = re.compile(r"^EagerLocalExecute: (?P<type>\w+)$")
_BACKWARD = re.compile(r"gradient_tape|transpose\(|/gradients/|vjp\(.*transpose")
_OPTIMIZER = re.compile(
    r"(^|/)(adam|sgd|adamw|rmsprop|momentum|optimizer|apply_gradients)[_\d]*(/|$)", re.IGNORECASE
)
_LOSS = re.compile(
    r"(^|/)(\w*crossentropy\w*|compile_loss\w*|\w*_loss|loss)[_\d]*(/|$)", re.IGNORECASE
)
_METRIC = re.compile(
    r"(^|/)(metrics?|compile_metrics|mean_metric|update_state)[_\d]*(/|$)", re.IGNORECASE
)
_OF_GRADIENT = re.compile(r"Backprop|Grad(V\d)?$|Gradient")
_OF_UPDATE = re.compile(r"^(Resource)?(Sparse)?Apply|^Assign(Add|Sub)VariableOp$")
_TRAILING = re.compile(r"_\d+$")
_WAITING = re.compile(
    r"(while|(Stateful)?PartitionedCall|call|conditional|SyncDevice|XlaLaunch|XlaRun|__inference_.*"
    r"|_XlaRun|_XlaCompile|Switch|Merge|Enter|Exit|NextIteration|LoopCond)$",
    re.IGNORECASE,
)
"""Operations that run others or wait for them: their own time is the framework's."""
_MULTIPLIES = re.compile("conv|dense|einsum", re.IGNORECASE)


class Raw(NamedTuple):
    """One event as a reader of the file gives it; times are integers."""

    name: str
    thread: str
    device: bool
    start_ns: int
    duration_ns: int
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is known about the model: the class of each layer by its name, and compiled names."""

    layers: Mapping[str, str]
    made: Mapping[str, Made] = field(default_factory=dict)


def nanoseconds(line_ns: int, picoseconds: int) -> int:
    """An offset from the start of its line, rounded down, in integers."""
    return line_ns + picoseconds // _PS_PER_NS


def normalise(raw: Iterable[Raw], model: Model) -> Recording:
    """Events within the marked steps; an empty recording where no step was marked."""
    every = _recorded(raw)
    marks = sorted((e.start_ns, e.start_ns + e.duration_ns) for e in every if e.name == STEP)
    if not marks:
        return Recording(events=(), starts_ns=(), ends_ns=())
    zero = marks[0][0]
    events = []
    for one in every:
        step = next((i for i, (a, b) in enumerate(marks) if a <= one.start_ns < b), None)
        if step is None or one.duration_ns <= 0:
            continue
        place = _place(one, model)
        if place is None:
            continue
        op, category, phase, layer = place
        events.append(
            Event(
                name=op,
                category=category,
                phase=phase,
                layer=layer,
                start_ns=one.start_ns - zero,
                duration_ns=one.duration_ns,
                thread=one.thread,
                device=one.device,
                step=step,
                kernel=one.name if one.device or _EAGER.match(one.name) else "",
            )
        )
    return Recording(
        events=tuple(events),
        starts_ns=tuple(start - zero for start, _ in marks),
        ends_ns=tuple(end - zero for _, end in marks),
    )


def _recorded(raw: Iterable[Raw]) -> list[Raw]:
    """All but a device's derived lines, which tell again by operation what its streams ran."""
    every = list(raw)
    streams = any(e.device and e.thread.startswith(STREAM) for e in every)
    return [e for e in every if not (streams and e.device and not e.thread.startswith(STREAM))]


def _place(one: Raw, model: Model) -> tuple[str, str, str, str | None] | None:
    """Operation, category, phase and layer of an event; ``None`` where it is no operation."""
    made = hlo.find(
        model.made, str(one.stats.get("hlo_module", "")), str(one.stats.get("hlo_op", one.name))
    )
    if made is not None:
        return _compiled(made, model)
    graph = _GRAPH.match(one.name)
    if graph:
        return _described(graph["type"], graph["path"], model)
    if one.device:
        # A kernel's own name is no path: in C++ it is full of colons.
        path = one.stats.get("tf_op") or one.stats.get("name") or ""
        scope, _, type_ = str(path).partition(":")
        return _described(type_ or one.name, scope, model)
    eager = _EAGER.match(one.name)
    if eager:
        return _described(eager["type"], "", model, _eager_phase(eager["type"]))
    return None


def _eager_phase(type_: str) -> str:
    """The phase of an operation that tells no scope, as far as its type gives it away."""
    if _OF_GRADIENT.search(type_):
        return BACKWARD
    return OPTIMIZER if _OF_UPDATE.search(type_) else FORWARD


def _described(
    type_: str, path: str, model: Model, phase: str | None = None
) -> tuple[str, str, str, str | None] | None:
    """What an operation of this type under these scopes is; they tell the phase, if nobody does."""
    if _WAITING.match(type_):
        return None
    phase, layer = phase or phase_of(path), layer_of(path, model.layers)
    if layer and "Fused" in type_:
        layer = _multiplier(layer, model.layers)
    category = taxonomy.category(type_, phase, model.layers.get(layer or ""))
    about_loss = phase != OPTIMIZER and not layer
    if about_loss and (_LOSS.search(path) or (category == OTHER and _METRIC.search(path))):
        category = "softmax/loss"
    return type_, category, phase, layer


def _compiled(made: Made, model: Model) -> tuple[str, str, str, str | None] | None:
    """An instruction by what it was made from; the most expensive part decides."""
    if _WAITING.match(made.opcode):
        return None
    parts = [_described(p.type or made.opcode, p.path, model) for p in made.parts]
    known = [p for p in parts if p]
    if not known:
        known = [(made.opcode, taxonomy.of_op(made.opcode), FORWARD, None)]
    if made.opcode in {"convolution", "dot"}:
        op = "conv" if made.opcode == "convolution" else "matmul"
        known = [(made.opcode, op if k[1] != "recurrent" else k[1], k[2], k[3]) for k in known]
    chosen = min(known, key=lambda p: (taxonomy.CATEGORIES.index(p[1]), p[3] is None))
    return made.name, chosen[1], chosen[2], chosen[3]


def _multiplier(layer: str, layers: Mapping[str, str]) -> str:
    """The layer that a fused multiplication is for: a graph calls it after what it fused last."""
    names = list(layers)
    before = reversed(names[: names.index(layer) + 1])
    return next((name for name in before if _MULTIPLIES.search(layers[name])), layer)


def phase_of(path: str) -> str:
    """The phase from the scopes around an operation."""
    if _BACKWARD.search(path):
        return BACKWARD
    return OPTIMIZER if _OPTIMIZER.search(path) else FORWARD


def layer_of(path: str, layers: Mapping[str, str]) -> str | None:
    """The innermost scope that is a layer; a padding of its own belongs to the layer it serves.

    So does a softmax to the attention around it, which has it as a layer of its own in Keras.
    """
    scopes = ((part, _TRAILING.sub("", part)) for part in reversed(re.split(r"[/()]", path)))
    named = (next((name for name in both if name in layers), None) for both in scopes)
    found = [name for name in named if name]
    if not found:
        return None
    if layers[found[0]] == "Softmax":
        return next((n for n in found if taxonomy.of_layer(layers[n]) == "attention"), found[0])
    served = found[0].removesuffix("_pad")
    return served if served in layers else found[0]
