"""What lies between layers and has no weights: activations, pools, resizes, flattenings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.frameworks.description import Arrays, Step
from benchmarks.proof.diagnosis import functions, lines
from benchmarks.results.records import Cause

FLATTENED = "flatten order"
"""How the cause begins where a side flattens the axes in another order."""
POOLS = {
    "avgpool": "average pool",
    "maxpool": "max pool",
    "mean": "global average",
    "adaptiveavgpool": "global average",
    "globalmaxpool": "global maximum",
}
"""Steps that may stand for one another by mistake, and what they are called."""
SETTINGS = {"avgpool", "maxpool", "interpolate"}
"""Steps whose settings are what differs where both sides have one."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies between two layers, of the PyTorch and of the Keras side.

    ``where`` is the path of the layer behind it, and ``ends`` is what that takes.
    """

    where: tuple[str, str]
    ends: Sequence[Any]
    steps: Sequence[Sequence[Step]]
    traces: tuple[Arrays, Arrays]

    def made(self, side: int) -> list[Any]:
        """What the steps of a side give."""
        return [self.traces[side].get(f"step/{step.key}/out") for step in self.steps[side]]

    def others(self, side: int) -> list[Any]:
        """What the other side has here: what its steps give, and what its layer takes."""
        return [*self.made(1 - side), self.ends[1 - side]]

    def given(self, side: int, step: Step) -> Any:
        """What a step of a side takes."""
        return self.traces[side].get(f"step/{step.key}/in")

    def caused(self, cause: str, fix: str = "", nothing: str = "nothing") -> Cause:
        """A cause that tells the steps of both sides."""
        torch, keras = (", ".join(map(_step, side)) or nothing for side in self.steps)
        return Cause(where=self.where[0], cause=cause, torch=torch, keras=keras, fix=fix)


@dataclass(frozen=True, slots=True)
class Stray:
    """A step of ``side`` (0 PyTorch, 1 Keras) whose output the other side lacks.

    ``here`` names the function that it computes, ``there`` the one that the other side computes of
    the same; ``None`` where none is known.
    """

    gap: Gap
    side: int
    step: Step
    given: Any
    made: Any
    here: str | None
    there: str | None

    @property
    def name(self) -> str:
        """What its side is called."""
        return ("PyTorch", "Keras")[self.side]

    def ordered(self, mine: Any, other: Any) -> tuple[Any, Any]:
        """Something of this side and of the other, PyTorch's first."""
        return (mine, other) if self.side == 0 else (other, mine)


def explained(gap: Gap) -> Cause:
    """Something without weights is to blame: the first step whose output the other side lacks."""
    stray = next(_strays(gap), None)
    if stray is None:
        return _unseen(gap)
    causes = (one(stray) for one in (_softmax, _settings, _pools, _other_function, _flattened))
    return next((cause for cause in causes if cause), None) or _alone(stray)


def _strays(gap: Gap) -> Iterator[Stray]:
    for side in (0, 1):
        others = gap.others(side)
        known = [*others, *(v for k, v in gap.traces[1 - side].items() if k.startswith("node/"))]
        for step, made in zip(gap.steps[side], gap.made(side), strict=True):
            if made is None or any(functions.same(made, other) for other in known):
                continue
            given = gap.given(side, step)
            there = next((f for o in others if (f := functions.named(given, o))), None)
            yield Stray(gap, side, step, given, made, functions.named(given, made), there)


def _softmax(stray: Stray) -> Cause | None:
    """A softmax at the end, whose output a loss takes for logits."""
    bare = stray.there in {None, "no function at all"}
    if stray.here != "softmax" or not bare or stray.gap.where[0] != "output":
        return None
    fix = "leave the softmax out: the loss takes logits"
    return stray.gap.caused(f"softmax before the loss on the {stray.name} side", fix)


def _settings(stray: Stray) -> Cause | None:
    """The same step on both sides, and something else computed."""
    steps = stray.gap.steps[1 - stray.side]
    twin = next((s for s in steps if s.name == stray.step.name), None)
    if stray.step.name not in SETTINGS or twin is None:
        return None
    torch, keras = stray.ordered(stray.step, twin)
    cause = f"{torch.name}: its settings differ"
    fix = lines.pooling(torch, stray.gap.traces[0])
    if torch.name == "avgpool" and torch.constants.get("padding"):
        cause = "average pool: the padding differs"
        if torch.constants.get("count_include_pad", True):
            cause = "average pool: the padding counts on the PyTorch side alone"
            same = keras.constants.get("padding") == "same" and torch.constants.get("stride") == 1
            fix = (
                f"nn.AvgPool{np.ndim(stray.given) - 2}d(…, count_include_pad=False)" if same else ""
            )
    elif torch.name == "interpolate" and torch.constants.get("align_corners"):
        cause = "bilinear resize: align_corners=True on the PyTorch side, half pixels on the Keras"
        fix = "F.interpolate(…, align_corners=False)"
    told = (_step(torch), _step(keras))
    return Cause(where=stray.gap.where[0], cause=cause, torch=told[0], keras=told[1], fix=fix)


def _pools(stray: Stray) -> Cause | None:
    """A pool on one side, a pool of another kind on the other."""
    steps = stray.gap.steps[1 - stray.side]
    other = next((s for s in steps if s.name in POOLS and s.name != stray.step.name), None)
    if stray.step.name not in POOLS or other is None:
        return None
    torch, keras = stray.ordered(stray.step, other)
    return stray.gap.caused(
        f"{POOLS[torch.name]} on the PyTorch side, {POOLS[keras.name]} on the Keras side",
        lines.pooling(torch, stray.gap.traces[0]),
    )


def _other_function(stray: Stray) -> Cause | None:
    """A function on one side, another one on the other."""
    if not stray.here or not stray.there or stray.here == stray.there:
        return None
    cause = functions.differing(stray.gap.where[0], stray.ordered(stray.here, stray.there))
    return replace(cause, fix=lines.placed(cause.fix, stray.gap.traces[1], stray.given))


def _flattened(stray: Stray) -> Cause | None:
    """The same numbers on both sides, in another order."""
    if stray.given is None or not _turned(stray.made, stray.gap.others(stray.side)):
        return None
    gap, cause = stray.gap, f"{FLATTENED}: {stray.name} flattens the axes in another order"
    return gap.caused(cause, lines.permuted(gap.steps[1], gap.traces[1], gap.ends[0]))


def _alone(stray: Stray) -> Cause:
    """The other side has no such step; known to be so where it goes on with what this one takes."""
    gap, other, fix = stray.gap, 1 - stray.side, ""
    taken = [gap.ends[other], *(gap.given(other, step) for step in gap.steps[other])]
    if any(functions.same(stray.given, one) for one in taken):
        fix = f"leave {stray.step.name} out of the {stray.name} side"
        if stray.side == 0:
            line = functions.IN_KERAS.get(stray.here or "") or lines.pooling(
                stray.step, gap.traces[0]
            )
            fix = lines.placed(line, gap.traces[1], stray.given) or fix
    return gap.caused(f"{_step(stray.step)} on the {stray.name} side has no counterpart", fix)


def _unseen(gap: Gap) -> Cause:
    """No step differs: what does was not seen."""
    turned = _turned(gap.ends[0], [gap.ends[1]])
    return gap.caused(
        "what lies between the layers differs"
        + (": the same numbers in another order" if turned else ""),
        (lines.joined(gap.ends) if turned else "") or lines.fed(gap.where, gap.ends, gap.traces),
        nothing="nothing that we can see",
    )


def _turned(out: Any, others: Sequence[Any]) -> bool:
    """Whether some other tensor holds the same numbers in another order."""
    if out is None:
        return False
    ordered = np.sort(np.ravel(out))
    return any(
        o is not None
        and np.size(o) == np.size(out)
        and functions.same(ordered, np.sort(np.ravel(o)))
        for o in others
    )


def _step(step: Step) -> str:
    told = ", ".join(f"{k}={v}" for k, v in step.constants.items())
    return f"{step.name}({told})"
