"""The flags, once: the command line and pytest offer the same, under the same names."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.request.selection import EFFORTS, MOST, Selection, SelectionError, Variant
from benchmarks.results.machine import Tuned
from benchmarks.results.stored import journal


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not i/n, for example 1/4")
    return int(index), int(count)


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in _names(text)))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of whole numbers, for example 32 or 1,8,32"
        ) from None


def _percent(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not per cent, for example 1%") from None


def _duration(text: str) -> float:
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    try:
        return float(text[:-1] if unit else text) * (unit or 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time, for example 90s, 10m or 1h"
        ) from None


def _python(text: str) -> Variant:
    name, equals, interpreter = text.partition("=")
    if not (equals and interpreter and name.replace(".", "").replace("_", "").isalnum()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=INTERPRETER, for example 2.12=envs/torch-2.12/bin/python"
        )
    return Variant(label=name, python=interpreter)


SELECTION: dict[str, dict[str, Any]] = {
    "--models": {
        "type": _names,
        "metavar": "A,B",
        "help": "models: names, patterns, family:NAME, all (default: those listed first)",
    },
    "--phases": {"type": _names, "metavar": "A,B", "help": "phases (default: all)"},
    "--stacks": {"type": _names, "metavar": "A,B", "help": "stacks (default: those of `list`)"},
    "--device": {"metavar": "D", "help": "cpu or cuda (default: cpu)"},
    "--precision": {"metavar": "P", "help": "float32 (default), tf32 (CUDA), bfloat16 or float16"},
    "--batch": {
        "type": _counts,
        "metavar": "N,M",
        "help": "batch sizes, each measured by itself (default: the model's own)",
    },
    "--size": {
        "type": _names,
        "metavar": "A,B",
        "help": "sizes of the models: quick, standard, or others that they name (default: the"
        " effort's)",
    },
    "--effort": {
        "metavar": "E",
        "help": ", ".join(f"{name} ({e.launches} launches)" for name, e in EFFORTS.items())
        + "; more where a call is near",
    },
    "--policy": {
        "metavar": "P",
        "help": "matched (all settings equal, default), defaults (untouched), or best (each as it"
        " was measured to be fastest)",
    },
    "--launches": {"type": int, "metavar": "N", "help": "launches (default: the effort's)"},
    "--until-ci": {
        "type": _percent,
        "metavar": "P%",
        "help": f"go on until every interval is at most ± this, up to {MOST} launches",
    },
    "--budget": {
        "type": _duration,
        "metavar": "T",
        "help": "time for the whole run (90s, 10m, 1h), spent where a call is near (default: 8m"
        " for the effort quick, else none)",
    },
    "--no-telemetry": {
        "action": "store_const",
        "const": False,
        "help": "leave out what each case takes of the machine; on a GPU it is not watched",
    },
    "--seed": {"type": int, "metavar": "N", "help": "of weights, inputs and orders (default: 0)"},
    "--timeout": {"type": float, "metavar": "S", "help": "seconds a case may take (default: 600)"},
    "--shard": {"type": _shard, "metavar": "I/N", "help": "only every n-th model, from the i-th"},
    "--python": {
        "type": _python,
        "action": "append",
        "metavar": "NAME=INTERPRETER",
        "help": "another environment, for stacks written STACK@NAME; may be given again",
    },
    "--only": {
        "type": _names,
        "metavar": "IDS",
        "help": "only these matchups or cases, by their ids in run.json",
    },
    "--profile": {
        "action": "store_const",
        "const": True,
        "help": "also record what each step is made of (in workers of their own, after all turns)",
    },
    "--equalize": {
        "action": "store_const",
        "const": True,
        "help": "first set constants that change no speed (epsilons, momenta) to the other side's"
        " where they differ, and name each",
    },
    "--models-dir": {
        "type": Path,
        "metavar": "DIR",
        "help": "a folder with models of your own, which are code and are run",
    },
    "--data": {"metavar": "NAME", "help": "digits (default) or fashion-mnist"},
    "--data-dir": {"type": Path, "metavar": "DIR", "help": "where the IDX files of a data set lie"},
    "--env": {
        "action": "append",
        "metavar": "NAME",
        "help": "a variable of the environment that workers get, too; may be given again",
    },
}
"""Flags that say what is measured. Their defaults are those of ``Selection``."""

GIVEN_AGAIN = ("--models-dir", "--data-dir", "--python", "--env")
"""Flags that say what is run, read or handed on. What a stored file says of them is not obeyed."""

PLACE: dict[str, dict[str, Any]] = {
    "--out": {
        "type": Path,
        "default": Path("results"),
        "metavar": "DIR",
        "help": "the folder that holds run folders (default: results)",
    },
    "--resume": {
        "nargs": "?",
        "const": journal.LATEST,
        "metavar": "RUN",
        "help": "go on with a run (default: the latest); its own selection is used, but for"
        f" {', '.join(GIVEN_AGAIN)}, which are given again",
    },
}
"""Flags that say where results go."""

_FIELDS = {
    "timeout": "timeout_s",
    "python": "variants",
    "budget": "budget_s",
    "no_telemetry": "telemetry",
}


def add(flags: dict[str, dict[str, Any]], add_argument: Callable[..., Any]) -> None:
    """Offer flags through ``argparse`` or pytest, whose functions take the same keywords."""
    for flag, keywords in flags.items():
        add_argument(flag, **keywords)


def selection(value_of: Callable[[str], Any]) -> Selection:
    """The selection that the given flags make; a flag not given has the value ``None``."""
    given = {flag.lstrip("-").replace("-", "_"): value_of(flag) for flag in SELECTION}
    chosen = {_FIELDS.get(k, k): v for k, v in given.items() if v is not None}
    for repeated in {"variants", "env"} & chosen.keys():
        chosen[repeated] = tuple(chosen[repeated])
    return Selection(**chosen)


def check_resume(value_of: Callable[[str], Any]) -> None:
    """Refuse to go on with a run and to select anew.

    Raises:
        SelectionError: flags of both kinds were given.
    """
    given = [f for f in SELECTION if f not in GIVEN_AGAIN and value_of(f) is not None]
    if value_of("--resume") and given:
        raise SelectionError(
            f"--resume goes on with the run's own selection: leave out {', '.join(given)}"
        )


def renewed(stored: Selection, given: Selection) -> Selection:
    """A stored selection with what is run, read and handed on as it was given now.

    Raises:
        SelectionError: the stored one had more of these; the text says what to give.
    """
    labels = {v.label: v for v in given.variants}
    lacking = [
        flag
        for flag, had, has in (
            ("--models-dir DIR", stored.models_dir, given.models_dir),
            ("--data-dir DIR", stored.data_dir, given.data_dir),
        )
        if had and not has
    ]
    other = [v.label for v in stored.variants if v.python]
    lacking += [f"--python {label}=INTERPRETER" for label in other if label not in labels]
    lacking += [f"--env {name}" for name in stored.env if name not in given.env]
    if lacking:
        raise SelectionError(
            f"the run was made with what no stored file decides: give {', '.join(lacking)} again"
        )
    return dataclasses.replace(
        stored,
        models_dir=given.models_dir,
        data_dir=given.data_dir,
        variants=tuple(labels.get(v.label, v) for v in stored.variants),
        env=given.env,
    )


def unnamed(chosen: Selection) -> Selection:
    """The selection as it is written: with a word in place of each path that was typed."""
    return dataclasses.replace(
        chosen,
        models_dir=chosen.models_dir and Path("MODELS_DIR"),
        data_dir=chosen.data_dir and Path("DATA_DIR"),
        variants=tuple(
            dataclasses.replace(v, python=v.python and "PYTHON") for v in chosen.variants
        ),
    )


def words(chosen: Selection) -> dict[str, str]:
    """The word for each path that a selection names, as ``unnamed`` has it; by absolute path."""
    found = dict[str, str]()
    for path, word in ((chosen.models_dir, "MODELS_DIR"), (chosen.data_dir, "DATA_DIR")):
        if path:
            found |= {str(path.absolute()): word, str(path.resolve()): word}
    for python in (v.python for v in chosen.variants if v.python and "/" in v.python):
        folder = Path(python).absolute().parent  # ``bin`` of an environment
        found[str(folder.parent if folder.name == "bin" else folder)] = "PYTHON"
    return {path: word for path, word in found.items() if path.count("/") > 1}


def as_command(chosen: Selection) -> tuple[str, ...]:
    """The arguments that make a selection again, defaults left out."""
    words: list[str] = []
    for field in dataclasses.fields(Selection):
        value = getattr(chosen, field.name)
        if value == field.default or field.name == "tuned":  # which the run finds out anew
            continue
        flag = "--" + {v: k for k, v in _FIELDS.items()}.get(field.name, field.name).replace(
            "_", "-"
        )
        if flag == "--python":
            for variant in value:
                if variant.python is None:
                    continue  # a copy of the selftest, which no flag makes
                words += [flag, f"{variant.label}={variant.python}"]
            continue
        if flag == "--env":
            words += [word for name in value for word in (flag, name)]
            continue
        if value is True or flag == "--no-telemetry":
            words.append(flag)
            continue
        if flag == "--until-ci":
            value = f"{100 * value:g}%"
        if isinstance(value, tuple):
            value = ("/" if flag == "--shard" else ",").join(map(str, value))
        words += [flag, str(value)]
    return tuple(words)


def to_stored(chosen: Selection) -> dict[str, Any]:
    """A selection as plain data for the journal."""
    data = dataclasses.asdict(chosen)
    return {k: str(v) if isinstance(v, Path) else v for k, v in data.items()}


def from_stored(data: dict[str, Any]) -> Selection:
    """A selection from the journal of any version: fields that are unknown are left out."""
    known = {field.name for field in dataclasses.fields(Selection)}
    data = {name: value for name, value in data.items() if name in known}
    paths = {k: Path(data[k]) for k in ("models_dir", "data_dir") if data.get(k) is not None}
    if not isinstance(batch := data.get("batch", ()), list | tuple):  # of a time of one batch
        data["batch"] = () if batch is None else (batch,)
    tuples = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
    made = {
        "variants": tuple(Variant(**v) for v in data.get("variants", ())),
        "tuned": tuple(Tuned(**(t | {"ci95": tuple(t["ci95"])})) for t in data.get("tuned", ())),
    }
    return Selection(**(data | tuples | paths | made))
