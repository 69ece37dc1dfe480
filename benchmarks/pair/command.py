"""The command ``pair``: its flags, and what it tells a person."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.machine.environment import framework_status
from benchmarks.pair import folder
from benchmarks.pair.files import Pair
from benchmarks.proof.outcome import Proof
from benchmarks.proof.sides import UsageError
from benchmarks.request import options
from benchmarks.request.selection import Selection
from benchmarks.results.records import Exit, Stack
from benchmarks.results.wording import cause_lines, proven_words
from benchmarks.tasks import losses, stored, words

ENGINES = tuple(n for n in frameworks.names() if frameworks.facts(n).dialect == "keras")
"""The frameworks that a Keras model can be proven on."""
FLAGS: dict[str, dict[str, Any]] = {
    "torch": {"metavar": "TORCH", "help": "file.py:name or package.module:name of a nn.Module"},
    "keras": {"metavar": "KERAS", "help": "the same of a keras.Model: a class or a function"},
    "--input": {
        "action": "append",
        "metavar": "NAME=KIND:SHAPE",
        "help": f"an input; may be given again ({words.INPUTS})",
    },
    "--target": {
        "action": "append",
        "metavar": "NAME=KIND",
        "help": f"a target; may be given again ({words.TARGETS})",
    },
    "--loss": {
        "metavar": "NAME",
        "help": f"{', '.join(losses.names())}, or own: each file defines loss(outputs, targets)"
        " (default: what suits the target)",
    },
    "--optimizer": {
        "metavar": "NAME",
        "default": "sgd",
        "help": "sgd (default), adam, adamw, rmsprop, or own: the files define"
        " optimizer(parameters) and optimizer()",
    },
    "--batch": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "samples that are proven and timed (default: 32 timed, and proven with a number"
        " that is no axis of the inputs)",
    },
    "--engine": {
        "default": "tensorflow",
        "metavar": "E",
        "help": f"what Keras runs on: {', '.join(ENGINES)} (default: tensorflow)",
    },
    "--weights": {
        "type": Path,
        "metavar": "FILE",
        "help": f"weights of one side, carried to the other ({stored.FORMATS})",
    },
    "--prove-only": {"action": "store_true", "help": "prove, and time nothing"},
    "--save": {
        "type": Path,
        "metavar": "DIR",
        "help": "write the pair as the folder of a model, for --models-dir",
    },
}

TIMED = {
    flag: options.SELECTION[flag]
    for flag in (
        "--stacks",
        "--device",
        "--precision",
        "--effort",
        "--policy",
        "--seed",
        "--timeout",
        "--equalize",
        "--env",
    )
}
"""Flags of ``run`` that say how a pair is proven and timed."""
PHASES = ("forward", "backward", "train_step")
TIMEOUT_S = 600.0
FOLDER = "pairs"
"""Below the folder of the runs: the pairs that were not saved elsewhere."""


def asked_for(asked: argparse.Namespace) -> Pair:
    """What was asked, checked as far as no framework is needed.

    Raises:
        UsageError, TaskError: something that the user must mend; one line says what.
    """
    if asked.engine not in ENGINES:
        raise UsageError(f"unknown engine {asked.engine!r}; there are: {', '.join(ENGINES)}")
    if not asked.input:
        raise UsageError(f"name the inputs: --input NAME=KIND:SHAPE, for example {words.INPUTS}")
    if asked.weights and not asked.weights.is_file():
        raise UsageError(f"--weights {asked.weights}: there is no such file")
    if asked.batch < 0:
        raise UsageError(f"batch is {asked.batch}; it must be at least 1")
    task = {
        "inputs": asked.input,
        "targets": asked.target or (),
        "loss": asked.loss,
        "optimizer": asked.optimizer,
    }
    words.task(**task)
    missing = framework_status(("torch", *frameworks.facts(asked.engine).packages))
    if missing:
        raise UsageError(missing)
    return Pair(
        torch=asked.torch,
        keras=asked.keras,
        task=task,
        engine=asked.engine,
        batch=asked.batch,
        seed=asked.seed or 0,
        folder=Path.cwd(),
        timeout_s=asked.timeout or TIMEOUT_S,
        equalize=bool(asked.equalize),
        weights=asked.weights,
        env=tuple(asked.env or ()),
    )


def place(asked: argparse.Namespace, pair: Pair) -> Path:
    """Where the folder of a pair is written."""
    named: Path | None = asked.save
    return named or asked.out / FOLDER / folder.name_of(pair)


def selection(asked: argparse.Namespace, pair: Pair) -> Selection:
    """What times a pair: its folder is written, in the one asked for or below that of the runs.

    Raises:
        TaskError: the folder holds something else.
    """
    path = place(asked, pair)
    folder.write(pair, path, batch=asked.batch)
    plain = [Stack("torch", "eager"), Stack(pair.engine, next(iter(_modes(pair.engine))))]
    given = {name: getattr(asked, name) for name in ("device", "precision", "effort", "policy")}
    return Selection(
        models=(path.name,),
        models_dir=path.parent,
        phases=PHASES,
        stacks=asked.stacks or tuple(map(str, plain)),
        seed=pair.seed,
        timeout_s=pair.timeout_s,
        equalize=pair.equalize,
        env=pair.env,
        **{name: value for name, value in given.items() if value},
    )


def _modes(engine: str) -> Mapping[str, bool]:
    return frameworks.facts(engine).modes


def told(proof: Proof) -> Iterator[str]:
    """The proof, line by line, for a person."""
    yield f"match: {proof.match.how}"
    yield from (f"  {line}" for line in proof.side_by_side())
    yield from (f"equalized: {line}" for line in proof.equalized)
    if proof.status == "proven":
        yield proven_words("float64", max(proof.errors.values(), default=0.0))
    else:
        yield f"{proof.status}: {proof.reason}"
    yield from cause_lines(proof.diagnosis)
    yield from (f"finding: {found.text}" for found in proof.findings)


def code(proof: Proof) -> Exit:
    """0 where the pair is proven, else 4."""
    return Exit.OK if proof.status == "proven" else Exit.PARITY
