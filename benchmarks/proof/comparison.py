"""Two sides of a proof: matched, equalized, computed, compared, and their differences explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks.description import OPTIMIZER, Assigned, Description, Node, Weight
from benchmarks.frameworks.encoding import plain
from benchmarks.proof import compare
from benchmarks.proof.diagnosis import between, first, layers, losses, stated
from benchmarks.proof.match import Match, ambiguous, match, prints_of
from benchmarks.proof.outcome import Asked, Proof
from benchmarks.proof.sides import Sides, Traces, UsageError
from benchmarks.results.records import Cause, Finding
from benchmarks.tasks import stored, weights
from benchmarks.tasks.task import Task

CONSTANTS = ("epsilon", "momentum")
"""Constants that ``equalize`` may change: they do not change the speed."""
LARGER_OUTPUT = "output_of_larger_values"
"""The error that is told where only larger values show that the sides differ."""
CACHE = (
    "what is generated with the cache is not what the model gives without it: look at the place in"
    " the cache that a token is written to, at the mask over the cache, and at its position"
)
TIES = 6
"""How many of the boxes that are kept at equal scores are told."""
SECOND_BIAS = {
    True: "PyTorch's recurrent layers have a second bias, which is held at zero: trained, the sum"
    " of both would move twice as fast as the one of Keras",
    False: "PyTorch's recurrent layers train a second bias under this policy: the sum of both moves"
    " twice as fast as the one of Keras",
}
"""By whether PyTorch's second bias is held at zero where stacks are timed."""


def equalize(sides: Sides, changes: Mapping[str, Mapping[str, float]]) -> None:
    """Set constants of the leader's layers, by path."""
    if changes:
        sides.ask("equalize", {sides.names[0]: {"changes": dict(changes)}})


def values_of(asked: Asked, sides: Sides, made: Match) -> dict[str, Any]:
    """The values of all weights: drawn, with those that are stored in their place."""
    drawn = weights.generate(made.keys, asked.seed)
    kept = Path(asked.source.get("weights") or sides.folder / stored.CANONICAL)
    return weights.overlaid(drawn, stored.read(kept) if kept.is_file() else {})


@dataclass(frozen=True, slots=True)
class Leading:
    """What the leader computed, and for which match.

    ``larger`` and ``rounding`` are by how many times values are larger: its outputs, and how far
    rounding may move them.
    """

    made: Match
    arrays: dict[str, Any] = field(default_factory=dict)
    larger: dict[float, dict[str, Any]] = field(default_factory=dict)
    rounding: dict[float, float] = field(default_factory=dict)

    def serves(self, made: Match) -> bool:
        """Whether the leader would compute the same for another match."""
        return self.made.keys == made.keys and self.made.torch == made.torch


@dataclass(frozen=True, slots=True)
class Computed:
    """What both sides computed for a match, how it compares, and why it differs."""

    made: Match
    leading: Leading
    traces: Traces
    notes: list[Finding]
    compared: compare.Compared
    causes: list[Cause]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The leader beside one other side."""

    asked: Asked
    sides: Sides
    leader: str
    other: str
    told: Mapping[str, Description]

    @property
    def both(self) -> tuple[Description, Description]:
        """What the leader and the other side told of their twins."""
        return self.told[self.leader], self.told[self.other]

    def each(self, made: Match) -> dict[str, tuple[tuple[Assigned, ...], Any]]:
        """What each side must load: its assignment and the keys of all weights."""
        return {self.leader: (made.torch, made.keys), self.other: (made.keras, made.keys)}

    def matched(self) -> Match:
        """The layers of both; what order alone cannot tell apart is told by what feeds it."""
        left, right = self.both
        made = match(left, right)
        if not made.complete or not ambiguous(made) or "order" not in made.how:
            return made
        alike, _ = self.sides.arrays("trace", self.each(made), alike=True, seed=self.asked.seed)
        prints = tuple(
            prints_of(alike[name], told.nodes, {a.path: a.weights for a in assigned})
            for name, told, assigned in (
                (self.leader, left, made.torch),
                (self.other, right, made.keras),
            )
        )
        return match(left, right, (prints[0], prints[1]))

    def result(self, leading: Leading | None, before: Proof | None) -> tuple[Proof, Leading]:
        """The proof of this pair, with what the ones ``before`` found."""
        made = self.matched()
        if self.asked.weights and made.complete and before is None:
            self.adopt(made, self.asked.weights)
        changed, changes = self._equalized(made) if self.asked.equalize else ((), {})
        leading = None if changed else leading
        changes |= self._same_epsilon()
        causes = list(stated.structure(made, *self.both))
        base = Proof(
            status="failed",
            reason=causes[0].cause if causes else None,
            match=made,
            errors={},
            diagnosis=tuple(causes),
            equalized=(*(before.equalized if before else ()), *changed),
            changes=dict(before.changes if before else {}) | changes,
            told=self.told,
            assigned=self._assigned(made, before),
        )
        if not made.complete:
            return base, Leading(made)
        found = self._turned(self._computed(made, leading, causes))
        return self._concluded(base, found, before), found.leading

    def _assigned(self, made: Match, before: Proof | None) -> dict[str, tuple[Assigned, ...]]:
        known = dict(before.assigned) if before else {}
        return known | {self.leader: made.torch, self.other: made.keras}

    def _computed(self, made: Match, leading: Leading | None, causes: list[Cause]) -> Computed:
        """What both sides compute; ``causes`` that are known already are kept."""
        leading, traces, notes = self._traced(made, leading)
        mine, theirs = (told.drops for told in self.both)
        pair = (traces[self.leader], traces[self.other])
        causes = [*causes, *stated.dropped(made, mine, theirs, pair)]
        compared = self._compared(made, traces)
        if not compared.equal:
            causes = [*causes, *self._causes(made, traces, compared, known=bool(causes))]
        return Computed(made, leading, traces, notes, compared, causes)

    def _turned(self, found: Computed) -> Computed:
        """The same, or where the order of features alone is blamed, without turning them.

        The other side, too, flattens channels first then.
        """
        turned = _unturned(found.made, found.causes)
        again = self._computed(turned, None, []) if turned else found
        return again if again.compared.equal else found

    def _concluded(self, base: Proof, found: Computed, before: Proof | None) -> Proof:
        """The proof with the verdict, errors and findings, those from ``before`` included."""
        made, compared, causes = found.made, found.compared, list(found.causes)
        settled = not causes and compared.equal
        larger = self._larger(made, found.leading, causes) if settled else 0.0
        status, reason = _verdict(causes, compared)
        errors = dict(before.errors if before else {})
        errors |= {LARGER_OUTPUT: larger} if larger else {}
        for name, error in compared.errors.items():
            errors[name] = max(error, errors.get(name, 0.0))
        findings = {f.name: f for f in (before.findings if before else ())}
        findings |= {f.name: f for f in found.notes}
        findings |= {f.name: f for f in self._restated(made, found.traces[self.leader])}
        findings |= {f.name: f for f in self._ties(found.traces)}
        findings |= {f.name: f for f in _amplified(found.leading.rounding)}
        if not causes and not compared.equal:
            causes.append(Cause(where=_where(compared), cause=reason or ""))
        return replace(
            base,
            match=made,
            assigned=self._assigned(made, before),
            status=status,
            reason=reason,
            errors=errors,
            diagnosis=tuple(causes),
            findings=tuple(findings.values()),
            sha256=weights.digest(values_of(self.asked, self.sides, made)),
        )

    def _compared(self, made: Match, traces: Traces) -> compare.Compared:
        theirs = {key: w.trainable for _, b in made.pairs for key, w in _by_key(made, b).items()}
        trained = {k: bool(v["trainable"]) and theirs.get(k, True) for k, v in made.keys.items()}
        return compare.compare(traces[self.leader], traces[self.other], trained)

    def _same_epsilon(self) -> dict[str, dict[str, float]]:
        """Have an own Adam of PyTorch's take the step of Keras', whose epsilon lies elsewhere."""
        mine, theirs = (told.optimizer for told in self.both)
        if "Adam" not in mine.get("class", "") or not theirs.get("epsilon"):
            return {}
        changes = {OPTIMIZER: {"epsilon": float(theirs["epsilon"])}}
        equalize(self.sides, changes)
        return changes

    def adopt(self, made: Match, file: Path) -> None:
        """Load a file of weights into the side that it fits, and carry them to the other.

        Raises:
            UsageError: it fits neither.
        """
        refused = []
        for side, (assigned, _) in self.each(made).items():
            path = str(self.sides.folder / stored.CANONICAL)
            asked = {"assigned": plain(assigned), "file": str(file.resolve()), "path": path}
            why = self.sides.ask("adopt", {side: asked})[side]["refused"]
            if why is None:
                self.sides.ask("keep", {name: {"path": path} for name in self.sides.names})
                return
            refused.append(why)
        raise UsageError("; ".join(dict.fromkeys(refused)))

    def _traced(
        self, made: Match, leading: Leading | None
    ) -> tuple[Leading, Traces, list[Finding]]:
        """What both sides compute; the leader's is not computed twice for the same keys."""
        each = self.each(made)
        if leading is not None and leading.serves(made):
            each = {self.other: each[self.other]}
        traces, found = self.sides.arrays("trace", each, alike=False, seed=self.asked.seed)
        after, more = self.sides.arrays("train", each, seed=self.asked.seed)
        for side, arrays in after.items():
            traces[side] |= arrays
        if leading is None or self.leader in traces:
            leading = Leading(made, traces[self.leader])
        traces[self.leader] = leading.arrays
        return leading, traces, [*found, *more]

    def _equalized(self, made: Match) -> tuple[tuple[str, ...], dict[str, dict[str, float]]]:
        """Give the leader the other side's epsilons and momenta where they differ."""
        changes: dict[str, dict[str, float]] = {}
        named = []
        for a, b in made.pairs:
            for cause in stated.constants(Match(pairs=((a, b),), how="")):
                values = {
                    n: b.constants[n]
                    for n in CONSTANTS
                    if n in a.constants and a.constants[n] != b.constants.get(n)
                }
                if values:
                    changes[a.path] = values
                    named.append(f"{a.path}: {cause.torch} set to {cause.keras}")
                    a.constants.update(values)
        equalize(self.sides, changes)
        return tuple(named), changes

    def _causes(
        self, made: Match, traces: Traces, compared: compare.Compared, *, known: bool
    ) -> Iterator[Cause]:
        """Why what was compared differs: constants, then where the outputs or the losses part.

        Where a cause is ``known``, constants alone are added to it.
        """
        pair, batch = (traces[self.leader], traces[self.other]), self.asked.fed
        values = values_of(self.asked, self.sides, made)
        found = list(stated.constants(made))
        if known:
            yield from found
            return
        if not found and compared.errors.get("output", 0.0) > compare.TOLERANCE:
            masks = {n: a for n, a in batch.inputs.items() if a.dtype == bool}
            found = list(layers.masked(made, pair, masks, values))
            found = found or list(first.first_difference(made, self.both, pair, values))
        if not found and compared.errors.get("loss", 0.0) > compare.TOLERANCE:
            outputs = {
                k.partition("/")[2]: v for k, v in pair[0].items() if k.startswith("output/")
            }
            found = list(losses.explained(outputs, batch.targets, pair))
        found = found or list(first.gradients(made, compared))
        if not found and compared.errors.get("after_steps_task", 0.0) > compare.TOLERANCE:
            found = list(stated.optimizers(*(told.optimizer for told in self.both)))
        if not found and compared.errors.get(compare.CACHE, 0.0) > compare.TOLERANCE:
            found = [Cause(where=compared.worst[compare.CACHE], cause=CACHE)]
        yield from found

    def _larger(self, made: Match, leading: Leading, causes: list[Cause]) -> float:
        """How far the outputs of larger values are apart, if they are; the causes are added."""
        for times in compare.LARGER:
            error = self._apart(made, leading, times)
            if error <= compare.LARGER_TOLERANCE:
                return 0.0
            if self._rounding(made, leading, times) <= compare.TOLERANCE:
                break
        each, seed = self.each(made), self.asked.seed
        traces, _ = self.sides.arrays("trace", each, alike=False, seed=seed, times=times)
        values = compare.larger(values_of(self.asked, self.sides, made), made.keys, times)
        pair = (traces[self.leader], traces[self.other])
        causes += first.first_difference(made, self.both, pair, values)
        if not causes:
            what = f"outputs differ by {error:.1e} where values are {times:g} times as large"
            causes.append(Cause(where="output", cause=what))
        return error

    def _apart(self, made: Match, leading: Leading, times: float) -> float:
        """How far the outputs of values that many times as large are apart."""
        each = self.each(made)
        asked = {self.other: each[self.other]} if times in leading.larger else each
        outputs, _ = self.sides.arrays(
            "infer_larger", asked, seed=self.asked.seed, times=times, nudged=False
        )
        held = leading.larger.setdefault(times, outputs.get(self.leader, {}))
        return compare.larger_error(held, outputs[self.other])

    def _rounding(self, made: Match, leading: Leading, times: float) -> float:
        """How far deviations of the leader's weights by ``NUDGE`` move its outputs there."""
        if times not in leading.rounding:
            asked = {self.leader: self.each(made)[self.leader]}
            outputs, _ = self.sides.arrays(
                "infer_larger", asked, seed=self.asked.seed, times=times, nudged=True
            )
            moved = compare.larger_error(leading.larger[times], outputs[self.leader])
            leading.rounding[times] = moved
        return leading.rounding[times]

    def _ties(self, traces: Traces) -> Iterator[Finding]:
        """What either side keeps where post-processing sees equal scores alone."""
        first = [
            ", ".join(list(dict.fromkeys(f"{i:.0f}" for i in traces[side]["ties/kept"][0]))[:TIES])
            for side in (self.leader, self.other)
            if "ties/kept" in traces[side] and (traces[side]["ties/kept"] >= 0).any()
        ]
        if len(first) > 1:
            text = (
                f"where all scores are equal, {self.leader} keeps the boxes {first[0]}, …, and"
                f" {self.other} {first[1]}, …"
            )
            yield Finding(name=f"ties_{self.other}", text=text)

    def _restated(self, made: Match, trace: Mapping[str, Any]) -> Iterator[Finding]:
        """What holds for both sides alike, or was made equal by the assignment itself."""
        yield from _softmax(self.asked.task, trace)
        native = self.sides.frameworks[self.leader] == "torch"
        if native and any(a.kind in {"LSTM", "RNN"} for a, _ in made.pairs):
            text = SECOND_BIAS[self.asked.policy != "defaults"]
            yield Finding(name="second_bias", text=text)
        mine, theirs = (told.optimizer for told in self.both)
        if "Adam" in mine.get("class", "") and theirs.get("epsilon"):
            yield Finding(
                name="adam_epsilon",
                text=f"PyTorch's Adam adds its epsilon ({mine['epsilon']:g}) behind the correction"
                f" of the second moment, Keras ({theirs['epsilon']:g}) before it: set so that both"
                " take the same step",
            )
        counts = [_macs(told) for told in self.both]
        if None not in counts and counts[0] != counts[1]:
            yield Finding(
                name="macs",
                text=f"{self.leader} multiplies {counts[0]:,} times per sample,"
                f" {self.other} {counts[1]:,} times",
                error=abs(counts[0] - counts[1]) / max(counts[0], counts[1], 1),
            )


def _unturned(made: Match, causes: list[Cause]) -> Match | None:
    """The match without the order of flattened features of the layer that is blamed for it.

    ``None`` where none is, or something else is to blame too.
    """
    if len(causes) != 1 or not causes[0].cause.startswith(between.FLATTENED):
        return None
    where = causes[0].where
    if not any(one.path == where and one.grid_in for one in made.torch):
        return None
    kept = tuple(replace(o, grid_in=None) if o.path == where else o for o in made.torch)
    return replace(made, torch=kept)


def _verdict(causes: list[Cause], compared: compare.Compared) -> tuple[str, str | None]:
    if causes:
        return "failed", f"{causes[0].where}: {causes[0].cause}"
    if not compared.equal:
        worst = max(compared.errors, key=lambda q: compared.errors[q])
        return "failed", (
            f"{worst} differs by {compared.errors[worst]:.1e} at {compared.worst[worst]}, more than"
            f" {compare.TOLERANCE:.0e}; no cause was found"
        )
    if compared.still:
        return "refused", (
            f"no gradient reaches {', '.join(compared.still)} on either side: nothing about their"
            " training would be proven"
        )
    return "proven", None


def _where(compared: compare.Compared) -> str:
    return compared.worst[max(compared.errors, key=lambda q: compared.errors[q])]


def _amplified(rounding: Mapping[float, float]) -> Iterator[Finding]:
    """A finding where rounding alone shows in the outputs of larger values."""
    shown = {times: moved for times, moved in rounding.items() if moved > compare.TOLERANCE}
    if shown:
        text = (
            f"where values are {min(shown):g} times as large or more, deviations of the weights by"
            f" 2^-50 alone move the outputs, by up to {max(shown.values()):.1e}"
        )
        yield Finding(name="amplified_rounding", text=text, error=max(shown.values()))


def _macs(told: Description) -> Any:
    """Multiply-accumulates of all layers; ``None`` where those of one are unknown."""
    every = [node.macs for node in told.nodes]
    return None if None in every else sum(m or 0 for m in every)


def _softmax(task: Task, trace: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding where what a cross-entropy takes for logits are probabilities."""
    for part in task.loss or ():
        output = trace.get(f"output/{part.output}")
        if part.name != "cross_entropy" or output is None:
            continue
        if (output >= 0).all() and np.allclose(output.sum(-1), 1.0, atol=1e-9):
            text = "both sides end in a softmax: the loss takes logits, and learns slowly so"
            yield Finding(name="softmax_before_loss", text=text)
            return


def _by_key(made: Match, node: Node) -> dict[str, Weight]:
    names = next((one.weights for one in made.keras if one.path == node.path), {})
    return {key: node.weights[name] for name, key in names.items()}
