"""The command ``pair``: its flags, and what it tells a person."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.environment import framework_status
from benchmarks.proof.pair import Asked, Proof, UsageError, prove
from benchmarks.records import Exit
from benchmarks.tasks import losses, words

ENGINES = {"tensorflow": ("tensorflow", "keras"), "keras_torch": ("torch", "keras")}
"""The frameworks that a Keras model can be proven on, and what each needs."""
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
        "help": "sgd (default), adam, adamw or rmsprop",
    },
    "--batch": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "samples (default: a number that is no axis of the inputs)",
    },
    "--engine": {
        "default": "tensorflow",
        "metavar": "E",
        "help": f"what Keras runs on: {', '.join(ENGINES)} (default: tensorflow)",
    },
    "--equalize": {
        "action": "store_true",
        "help": "first set epsilons and momenta of the PyTorch side to the Keras side's",
    },
    "--prove-only": {"action": "store_true", "help": "prove, and time nothing"},
    "--seed": {"type": int, "default": 0, "metavar": "N", "help": "of weights and inputs"},
    "--timeout": {
        "type": float,
        "default": 600.0,
        "metavar": "S",
        "help": "seconds a step of the proof may take (default: 600)",
    },
}


def proved(asked: argparse.Namespace) -> Proof:
    """Prove what was asked.

    Raises:
        UsageError, TaskError: something that the user must mend; one line says what.
        WorkerError: a side crashed or took too long.
    """
    if not asked.prove_only:
        raise UsageError("pairs are proven, and not timed yet: add --prove-only")
    if asked.engine not in ENGINES:
        raise UsageError(f"unknown engine {asked.engine!r}; there are: {', '.join(ENGINES)}")
    if not asked.input:
        raise UsageError(f"name the inputs: --input NAME=KIND:SHAPE, for example {words.INPUTS}")
    if asked.batch < 0:
        raise UsageError(f"batch is {asked.batch}; it must be at least 1")
    task = {
        "inputs": asked.input,
        "targets": asked.target or (),
        "loss": asked.loss,
        "optimizer": asked.optimizer,
    }
    words.task(**task)
    missing = framework_status(("torch", *ENGINES[asked.engine]))
    if missing:
        raise UsageError(missing)
    return prove(
        Asked(
            torch=asked.torch,
            keras=asked.keras,
            task=task,
            engine=asked.engine,
            batch=asked.batch,
            seed=asked.seed,
            folder=Path.cwd(),
            timeout_s=asked.timeout,
            equalize=asked.equalize,
        )
    )


def told(proof: Proof) -> Iterator[str]:
    """The proof, line by line, for a person."""
    yield f"match: {proof.match.how}"
    unmatched = proof.match.unmatched_torch, proof.match.unmatched_keras
    for side, names in zip(("PyTorch", "Keras"), unmatched, strict=True):
        for name in names:
            yield f"  without a counterpart in {side}: {name}"
    yield from (f"equalized: {line}" for line in proof.equalized)
    if proof.status == "proven":
        worst = max(proof.errors.values())
        yield (
            f"proven identical in float64: largest error {worst:.1e} over output, loss, gradients"
            " and 3 steps of both optimizers"
        )
    else:
        yield f"{proof.status}: {proof.reason}"
    for cause in proof.diagnosis:
        yield f"  {cause.where}: {cause.cause}"
        for side, text in (("PyTorch", cause.torch), ("Keras", cause.keras), ("write", cause.fix)):
            if text:
                yield f"    {side}: {text}"
    yield from (f"finding: {found['text']}" for found in proof.findings)


def code(proof: Proof) -> Exit:
    """0 where the pair is proven, else 4."""
    return Exit.OK if proof.status == "proven" else Exit.PARITY
