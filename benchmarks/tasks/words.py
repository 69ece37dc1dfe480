"""Reads a task from words, as the command line gives them: ``x=features:20``, ``y=classes:10``."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tasks import losses, optimizers
from benchmarks.tasks.task import (
    SIZES,
    Input,
    LossPart,
    Size,
    Target,
    Task,
    TaskError,
    boxes,
    check,
)

INPUTS = "image:32x32x3, features:20, features:50x4, tokens:80:vocabulary=20000, mask:80, noise:100"
TARGETS = (
    "classes:10, classes:10:steps=5, values:1, labels:14, like:INPUT, boxes:20:classes=80, none"
)


def task(
    inputs: Sequence[str],
    targets: Sequence[str] = (),
    loss: str | None = None,
    optimizer: str = "sgd",
    output: str = "output",
    batch: int = 0,
) -> Task:
    """The task that the words name, checked.

    Args:
        inputs: ``NAME=KIND:SHAPE`` each, kinds as in ``INPUTS``.
        targets: ``NAME=KIND…`` each, kinds as in ``TARGETS``.
        loss: a named loss, ``own`` (each file defines ``loss``), or ``None``: what suits it.
        optimizer: a name of ``benchmarks.tasks.optimizers.named``.
        output: the output that the loss is of.
        batch: samples where it is timed; 0 takes the usual number.

    Raises:
        TaskError: a word is wrong; the text says what is allowed.
    """
    given = dict(_named(word, "--input", INPUTS) for word in inputs)
    aims = dict(_named(word, "--target", TARGETS) for word in targets if word != "none")
    read = {name: _input(name, words) for name, words in given.items()}
    sought: dict[str, Target] = {}
    for name, said in aims.items():
        if said[0] == "boxes":
            sought |= _boxes(name, said)
        elif said != ["none"]:
            sought[name] = _target(name, said)
    try:
        chosen = optimizers.named(optimizer)
    except ValueError as error:
        raise TaskError(f"--optimizer: {error}") from None
    made = Task(
        inputs=read,
        targets=sought,
        loss=_loss(sought, loss, output),
        optimizer=chosen,
        title="pair",
        sizes=dict.fromkeys(SIZES, Size(batch=batch)) if batch else SIZES,
    )
    check(made)
    return made


def _loss(targets: dict[str, Target], loss: str | None, output: str) -> tuple[LossPart, ...] | None:
    if loss == "own":
        return None
    if not targets:
        raise TaskError("without a --target each file must define its loss: add --loss own")
    parts = []
    for name, target in targets.items():
        chosen = loss or losses.default_for(target.kind)
        if chosen == "own":
            raise TaskError(f"target {name}: there is no loss of boxes; add --loss own")
        suits = losses.load(chosen).SUITS
        if target.kind not in suits:
            raise TaskError(
                f"--loss {chosen} does not suit target {name} ({target.kind}): it takes"
                f" {', '.join(suits)}"
            )
        parts.append(LossPart(chosen, output if len(targets) == 1 else name, name))
    return tuple(parts)


def _named(word: str, flag: str, allowed: str) -> tuple[str, list[str]]:
    name, equals, rest = word.partition("=")
    if not equals or not name.isidentifier() or not rest:
        raise TaskError(f"{flag} {word!r} is not NAME=KIND:…; kinds: {allowed}")
    return name, rest.split(":")


def _input(name: str, words: list[str]) -> Input:
    kind, *rest = words
    if kind not in {"image", "features", "tokens", "mask", "noise"} or not rest:
        raise TaskError(f"--input {name}={':'.join(words)}: there are: {INPUTS}")
    shape, vocabulary = _shape(name, rest[0]), 0
    for option in rest[1:]:
        key, _, value = option.partition("=")
        if kind != "tokens" or key != "vocabulary" or not value.isdecimal():
            raise TaskError(
                f"--input {name}: {option!r} is no option of {kind}; there are: {INPUTS}"
            )
        vocabulary = int(value)
    return Input(kind, shape, vocabulary)  # type: ignore[arg-type]


def _target(name: str, words: list[str]) -> Target:
    kind, *rest = words
    if kind == "none":
        return Target("values")
    if kind == "like" and len(rest) == 1:
        return Target("like", source=rest[0])
    if kind == "values" and len(rest) == 1:
        return Target("values", _shape(name, rest[0]))
    if kind in {"classes", "labels"} and rest and rest[0].isdecimal():
        shape: tuple[int, ...] = ()
        for option in rest[1:]:
            key, _, value = option.partition("=")
            if kind != "classes" or key not in {"steps", "pixels"}:
                raise TaskError(f"--target {name}: {option!r}; there are: {TARGETS}")
            shape = _shape(name, value)
        if kind == "labels":
            return Target("labels", count=int(rest[0]))
        return Target("classes", shape, count=int(rest[0]))
    raise TaskError(f"--target {name}={':'.join(words)}: there are: {TARGETS}")


def _boxes(name: str, words: list[str]) -> dict[str, Target]:
    match words:
        case [_, most, option] if most.isdecimal() and option.startswith("classes="):
            count = option.removeprefix("classes=")
            if count.isdecimal():
                return boxes(name, int(most), int(count))
    raise TaskError(f"--target {name}={':'.join(words)}: there are: {TARGETS}")


def _shape(name: str, word: str) -> tuple[int, ...]:
    parts = word.split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise TaskError(f"{name}: {word!r} is no shape; write for example 20 or 32x32x3")
    return tuple(map(int, parts))
