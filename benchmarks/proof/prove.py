"""Proves that the twins of a model are one function, or says why they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.frameworks.description import Description
from benchmarks.proof.comparison import Comparison, Leading, values_of
from benchmarks.proof.diagnosis import stated
from benchmarks.proof.match import Match, match
from benchmarks.proof.outcome import Asked, Proof
from benchmarks.proof.sides import Sides, UsageError
from benchmarks.tasks import stored, weights


def proven(asked: Asked, sides: Sides) -> Proof:
    """Prove a model on every side; what was found of the first side that differs ends it.

    Raises:
        UsageError: a file or the task is wrong; one line says what.
        WorkerError: a side crashed or took too long.
    """
    leader, *others = sides.names
    (sides.folder / stored.CANONICAL).unlink(missing_ok=True)  # of another model
    told = sides.opened(**asked.opening())
    if not others:
        return _alone(asked, sides, told)
    proof: Proof | None = None
    leading: Leading | None = None
    for other in others:
        pair = Comparison(asked, sides, leader, other, told)
        proof, leading = pair.result(leading, proof)
        if proof.status != "proven":
            break
    if proof is None:
        raise RuntimeError("nothing was compared")
    return proof


def matched(asked: Asked, sides: Sides) -> tuple[dict[str, Description], dict[str, Match]]:
    """Describe and match the sides of a model, and compare nothing; matches by the other side.

    Raises:
        UsageError: they do not match.
    """
    leader, *others = sides.names
    told = sides.opened(**asked.opening())
    if not others:
        return told, {leader: match(told[leader], told[leader])}
    found = {other: Comparison(asked, sides, leader, other, told).matched() for other in others}
    for other, made in found.items():
        if not made.complete:
            cause = next(stated.structure(made, told[leader], told[other]))
            raise UsageError(f"{leader} and {other} do not match: {cause.cause} ({cause.where})")
    return told, found


def adopt(asked: Asked, sides: Sides, file: Path) -> None:
    """Have the side that a file of weights fits write them, canonical, to the sides' folder.

    Raises:
        UsageError: the sides do not match, or it fits none of them.
    """
    told, made = matched(asked, sides)
    other, found = next(iter(made.items()))
    Comparison(asked, sides, sides.names[0], other, told).adopt(found, file)


def assigned_to(names: tuple[str, ...], made: Mapping[str, Match]) -> dict[str, Any]:
    """The assignment of every side, from the matches of the leader with each other one."""
    leader, *others = names
    first = made[others[0] if others else leader]
    return {leader: first.torch} | {other: made[other].keras for other in others}


def _alone(asked: Asked, sides: Sides, told: dict[str, Description]) -> Proof:
    (leader,) = sides.names
    made = match(told[leader], told[leader])
    return Proof(
        status="partial",
        reason=f"only {leader} is here: there is nothing to compare it with",
        match=made,
        errors={},
        told=told,
        assigned={leader: made.torch},
        sha256=weights.digest(values_of(asked, sides, made)),
    )
