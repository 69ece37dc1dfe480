"""Proves a pair of files: each side in a process of its own, the comparison in the parent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks.description import Description, Drop, Node, Step, Weight
from benchmarks.process import WorkerProcess
from benchmarks.proof import compare, diagnose
from benchmarks.proof.diagnose import Cause
from benchmarks.proof.match import Match, ambiguous, match, prints_of
from benchmarks.records import Stack
from benchmarks.tasks import weights, words
from benchmarks.tasks.task import Batch, batch_size, draw

WORKER = "benchmarks.proof.worker"
CONSTANTS = ("epsilon", "momentum")
"""Constants that ``equalize`` may change: they do not change the speed."""


class UsageError(ValueError):
    """Something that the user must mend; the text is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to prove: both files, the task's words, and where a relative module is looked for."""

    torch: str
    keras: str
    task: Mapping[str, Any]
    engine: str = "tensorflow"
    batch: int = 0
    seed: int = 0
    folder: Path = field(default_factory=Path.cwd)
    timeout_s: float = 600.0
    equalize: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found: ``status`` is ``proven``, ``failed`` or ``refused``, with the reason."""

    status: str
    reason: str | None
    match: Match
    errors: dict[str, float]
    diagnosis: tuple[Cause, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    parameters: tuple[int, int] = (0, 0)
    equalized: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As ``pair --json`` prints it."""
        return {
            "match": {
                "how": self.match.how,
                "pairs": [
                    {"torch": a.path, "keras": b.path, "kind": a.kind} for a, b in self.match.pairs
                ],
                "weights": [{"torch": a, "keras": b} for a, b in self.match.loose],
                "unmatched": {
                    "torch": list(self.match.unmatched_torch),
                    "keras": list(self.match.unmatched_keras),
                },
            },
            "parity": {
                "status": self.status,
                "reason": self.reason,
                "tolerance": compare.TOLERANCE,
                "max_rel_error": {k: e if np.isfinite(e) else None for k, e in self.errors.items()},
                "parameters": {"torch": self.parameters[0], "keras": self.parameters[1]},
                "findings": list(self.findings),
                "equalized": list(self.equalized),
            },
            "diagnosis": [asdict(cause) for cause in self.diagnosis],
            "run": None,
        }


class Sides:
    """The two workers, asked at the same time; they may prove one pair after the other."""

    def __init__(self, engine: str, folder: Path, timeout_s: float) -> None:
        self.engine, self.folder, self.timeout_s, self.seed = engine, folder, timeout_s, 0
        stacks = {"torch": Stack("torch", "eager"), "keras": Stack(engine, "eager")}
        self.workers = {
            side: WorkerProcess(stack, program=WORKER) for side, stack in stacks.items()
        }

    def ask(self, verb: str, each: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """One question to each side named, side by side.

        Raises:
            WorkerError: a side failed.
            UsageError: a side says what the user must mend.
        """
        with ThreadPoolExecutor(max_workers=2) as pool:
            deadline = self.timeout_s
            asked = {
                side: pool.submit(self.workers[side].ask, verb, deadline_s=deadline, **told)
                for side, told in each.items()
            }
            try:
                answers = {side: answer.result() for side, answer in asked.items()}
            except BaseException:
                self.end()
                raise
        for answer in answers.values():
            if "usage" in answer:
                raise UsageError(answer["usage"])
        return answers

    def end(self) -> None:
        """Let both go."""
        for worker in self.workers.values():
            worker.kill()

    def arrays(
        self, verb: str, made: Match, **more: Any
    ) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
        """What both sides wrote when asked with a match, and their findings."""
        paths = {side: self.folder / f"{verb}-{side}.npz" for side in self.workers}
        told = {
            side: {
                "assigned": {one.path: one.weights for one in getattr(made, side)},
                "keys": made.keys,
                "seed": self.seed,
                "path": str(paths[side]),
                **more,
            }
            for side in self.workers
        }
        answers = self.ask(verb, told)
        found = {}
        for side, path in paths.items():
            with np.load(path) as stored:
                found[side] = {key: stored[key] for key in stored.files}
        return found, [f for answer in answers.values() for f in answer["findings"]]


@contextmanager
def sides(engine: str, timeout_s: float) -> Iterator[Sides]:
    """The workers of both sides, for as long as it lasts."""
    with tempfile.TemporaryDirectory(prefix="twinbench-pair-") as folder:
        both = Sides(engine, Path(folder), timeout_s)
        try:
            yield both
        finally:
            both.end()


def prove(asked: Asked) -> Proof:
    """Prove two files one function, or say why they are not.

    Raises:
        UsageError: a file or the task is wrong; one line says what.
        WorkerError: a side crashed or took too long.
    """
    with sides(asked.engine, asked.timeout_s) as both:
        return proven(asked, both)


def proven(asked: Asked, both: Sides) -> Proof:
    """As ``prove``, by workers that are there already."""
    both.seed = asked.seed
    files = {"torch": asked.torch, "keras": asked.keras}
    opened = both.ask(
        "open",
        {
            side: {
                "framework": "torch" if side == "torch" else asked.engine,
                "made_by": made_by,
                "task": dict(asked.task),
                "batch": asked.batch,
                "seed": asked.seed,
                "folder": str(asked.folder),
            }
            for side, made_by in files.items()
        },
    )
    told = tuple(_description(opened[side]["description"]) for side in ("torch", "keras"))
    made = _matched(both, told)
    changed: tuple[str, ...] = ()
    if asked.equalize:
        made, changed = _equalized(both, made)
    return _judged(asked, both, made, told, changed)


def _matched(both: Sides, told: tuple[Description, ...]) -> Match:
    made = match(told[0], told[1])
    if not made.complete or not ambiguous(made) or "order" not in made.how:
        return made
    alike, _ = both.arrays("trace", made, alike=True)
    prints = tuple(
        prints_of(alike[side], told[i].nodes, {a.path: a.weights for a in getattr(made, side)})
        for i, side in enumerate(("torch", "keras"))
    )
    return match(told[0], told[1], (prints[0], prints[1]))


def _equalized(both: Sides, made: Match) -> tuple[Match, tuple[str, ...]]:
    """Give the PyTorch side the Keras side's epsilons and momenta where they differ."""
    changes: dict[str, dict[str, float]] = {}
    named = []
    for cause, (a, b) in ((c, p) for p in made.pairs for c in diagnose.stated(_only(made, p))):
        values = {
            n: b.constants[n]
            for n in CONSTANTS
            if n in a.constants and a.constants[n] != b.constants.get(n)
        }
        if values:
            changes[a.path] = values
            named.append(f"{a.path}: {cause.torch} set to {cause.keras}")
            a.constants.update(values)
    if changes:
        both.ask("equalize", {"torch": {"changes": changes}})
    return made, tuple(named)


def _only(made: Match, pair: tuple[Node, Node]) -> Match:
    return Match(pairs=(pair,), how=made.how)


def _judged(
    asked: Asked,
    both: Sides,
    made: Match,
    told: tuple[Description, ...],
    changed: tuple[str, ...],
) -> Proof:
    causes = list(diagnose.structure(made, told[0], told[1]))
    known = {"match": made, "equalized": changed}
    parameters = (told[0].parameters, told[1].parameters)
    if not made.complete:
        return Proof(
            status="failed",
            reason=causes[0].cause,
            errors={},
            diagnosis=tuple(causes),
            parameters=parameters,
            **known,  # type: ignore[arg-type]
        )
    traces, findings = both.arrays("trace", made, alike=False)
    after, more = both.arrays("train", made)
    for side, arrays in after.items():
        traces[side] |= arrays
    theirs = {key: w.trainable for _, b in made.pairs for key, w in _by_key(made, b).items()}
    trained = {k: bool(v["trainable"]) and theirs.get(k, True) for k, v in made.keys.items()}
    compared = compare.compare(traces["torch"], traces["keras"], trained)
    found = {f["name"]: f for f in [*findings, *more, *_softmax(asked, traces["torch"])]}
    if not compared.equal:
        causes += _causes(asked, made, told, traces, compared, known=bool(causes))
    status, reason = "proven", ""
    if causes:
        status, reason = "failed", f"{causes[0].where}: {causes[0].cause}"
    elif not compared.equal:
        worst = max(compared.errors, key=lambda q: compared.errors[q])
        status = "failed"
        reason = (
            f"{worst} differs by {compared.errors[worst]:.1e} at {compared.worst[worst]}, more than"
            f" {compare.TOLERANCE:.0e}; no cause was found"
        )
        causes.append(Cause(where=compared.worst[worst], cause=reason))
    elif compared.still:
        status, reason = (
            "refused",
            (
                "no gradient reaches "
                + ", ".join(compared.still)
                + " on either side: nothing about"
                " their training would be proven"
            ),
        )
    return Proof(
        status=status,
        reason=reason or None,
        errors=compared.errors,
        diagnosis=tuple(causes),
        findings=tuple(found.values()),
        parameters=parameters,
        **known,  # type: ignore[arg-type]
    )


def _causes(
    asked: Asked,
    made: Match,
    told: tuple[Description, ...],
    traces: Mapping[str, dict[str, Any]],
    compared: compare.Compared,
    *,
    known: bool,
) -> Iterator[Cause]:
    """Why what was compared differs: constants first, then where the outputs or the losses part.

    Where a cause is ``known``, constants alone are added to it.
    """
    pair, batch = (traces["torch"], traces["keras"]), _batch(asked)
    values = weights.generate(made.keys, asked.seed)
    found = list(diagnose.stated(made))
    if known:
        yield from found
        return
    if not found and compared.errors["output"] > compare.TOLERANCE:
        masks = {n: a for n, a in batch.inputs.items() if a.dtype == bool}
        found = list(diagnose.masked(made, pair, masks, values))
        found = found or list(diagnose.first_difference(made, (told[0], told[1]), pair, values))
    if not found and compared.errors["loss"] > compare.TOLERANCE:
        outputs = {k.partition("/")[2]: v for k, v in pair[0].items() if k.startswith("output/")}
        found = list(diagnose.losses(outputs, batch.targets, pair))
    yield from found or diagnose.gradients(made, compared)


def _batch(asked: Asked) -> Batch:
    """What both sides were fed."""
    task = words.task(**asked.task)
    return draw(task, asked.batch or batch_size(task), asked.seed)


def _softmax(asked: Asked, trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A finding where what a cross-entropy takes for logits are probabilities."""
    task = words.task(**asked.task)
    for part in task.loss or ():
        output = trace.get(f"output/{part.output}")
        if part.name != "cross_entropy" or output is None:
            continue
        if (output >= 0).all() and np.allclose(output.sum(-1), 1.0, atol=1e-9):
            text = "both sides end in a softmax: the loss takes logits, and learns slowly so"
            return [{"name": "softmax_before_loss", "text": text, "error": None}]
    return []


def _by_key(made: Match, node: Node) -> dict[str, Weight]:
    names = next((one.weights for one in made.keras if one.path == node.path), {})
    return {key: node.weights[name] for name, key in names.items()}


def _description(plain: Mapping[str, Any]) -> Description:
    """A description as it came over the pipe."""

    def shape(value: Any) -> Any:
        return None if value is None else tuple(value)

    nodes = tuple(
        Node(
            **{
                **node,
                "weights": {
                    name: Weight(**{**w, "shape": tuple(w["shape"]), "start": tuple(w["start"])})
                    for name, w in node["weights"].items()
                },
                **{k: shape(node[k]) for k in ("input", "output", "grid_in", "grid_out")},
            }
        )
        for node in plain["nodes"]
    )
    return Description(
        nodes=nodes,
        steps=tuple(Step(**one) for one in plain["steps"]),
        drops=tuple(Drop(**one) for one in plain["drops"]),
        outputs={name: tuple(one) for name, one in plain["outputs"].items()},
        parameters=plain["parameters"],
        regularisers=plain["regularisers"],
        random=tuple(plain["random"]),
    )
