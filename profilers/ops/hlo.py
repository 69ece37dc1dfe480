"""What the instructions of a compiled program were made from, read from the compiler's dump.

``XLA_FLAGS=--xla_dump_to=FOLDER`` makes XLA write each module as text. An instruction carries the
framework's name of the operation it came from (``metadata={op_type=… op_name=…}``); a fusion is
described by the instructions of the computation that it calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

AFTER = "after_optimizations.txt"
"""The end of the names of the files that hold what really runs."""
_MODULE = re.compile(r"HloModule (?P<name>[^\s,]+)")
_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>[\w.\-]+) = (?:\([^=]*?\)|\S+) (?P<opcode>[\w\-]+)\((?P<rest>.*)$"
)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?(?P<name>[\w.\-]+)\s*(?:\(.*\))?\s*(?:->.*)?\{\s*$")
_CALLS = re.compile(r"(?:calls|to_apply|body)=%?(?P<name>[\w.\-]+)")
_TYPE = re.compile(r'op_type="(?P<type>[^"]*)"')
_OPERAND = re.compile(r"%([\w.\-]+)")
_NUMBER = re.compile(r"\.\d+$")
_PATH = re.compile(r'op_name="(?P<path>[^"]*)"')


class Part(NamedTuple):
    """An operation of the framework: its type, where that is told, and the scopes around it."""

    type: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An instruction: its name without the number, its opcode, and what it was made from."""

    name: str
    opcode: str
    parts: tuple[Part, ...]


def read(folder: Path) -> dict[str, Made]:
    """Every instruction that runs by itself, over all modules dumped to a folder; see ``find``.

    Modules name their instructions alike. Where only a name is known, the largest module has it:
    the step is larger than what was compiled around it.
    """
    found: dict[str, Made] = {}
    texts = (path.read_text() for path in sorted(folder.glob(f"*{AFTER}")))
    for text in sorted(texts, key=len):
        module, made = _MODULE.match(text), parse(text.splitlines())
        found |= {_kernel(name): each for name, each in made.items()} | made
        if module:
            found |= {_key(module["name"], name): each for name, each in made.items()}
    return found


def find(made: Mapping[str, Made], module: str, name: str) -> Made | None:
    """The instruction of a module; by its name alone where the module is not known."""
    return made.get(_key(module, name)) or made.get(name)


def _kernel(name: str) -> str:
    """What XLA calls the kernel of an instruction on a GPU: a name that C allows."""
    return name.replace(".", "_").replace("-", "_")


def _key(module: str, name: str) -> str:
    return f"{module} {name}"  # no name has a space in it


class _Line(NamedTuple):
    name: str
    opcode: str
    operands: tuple[str, ...]
    called: str | None
    part: Part


def parse(lines: Iterable[str]) -> dict[str, Made]:
    """The instructions of one module, by name."""
    computations = _computations(lines)
    found: dict[str, Made] = {}
    for instructions in computations.values():
        made_for = _origins(instructions, computations)
        for line in instructions:
            path = made_for.get(line.name, "")
            parts = (p if p.path else Part(p.type, path) for p in _parts(line, computations))
            found[line.name] = Made(
                name=_NUMBER.sub("", line.name), opcode=line.opcode, parts=tuple(parts)
            )
    return found


def _computations(lines: Iterable[str]) -> dict[str, list[_Line]]:
    computations: dict[str, list[_Line]] = {}
    here: list[_Line] = []
    for text in lines:
        instruction = _INSTRUCTION.match(text)
        if instruction:
            rest = instruction["rest"]
            calls = _CALLS.search(rest)
            here.append(
                _Line(
                    name=instruction["name"],
                    opcode=instruction["opcode"],
                    operands=tuple(_OPERAND.findall(rest.partition("), ")[0])),
                    called=calls["name"] if calls else None,
                    part=_part(instruction["opcode"], rest),
                )
            )
            continue
        computation = _COMPUTATION.match(text)
        if computation:
            here = computations.setdefault(computation["name"], [])
    return computations


def _part(opcode: str, rest: str) -> Part:
    type_, path = _TYPE.search(rest), _PATH.search(rest)
    where = path["path"] if path else ""
    # JAX tells no type of its own: the last scope is the primitive.
    last = where.rpartition("/")[2] if "/" in where else ""
    return Part((type_["type"] if type_ else "") or last or opcode, where)


def _parts(line: _Line, computations: dict[str, list[_Line]]) -> list[Part]:
    """What an instruction is made of: what the computation that it calls holds, or itself."""
    inside = computations.get(line.called or "", []) if line.opcode in {"fusion", "call"} else []
    parts = [one.part for one in inside if one.opcode not in {"parameter", "constant"}]
    return list(dict.fromkeys(parts)) or [line.part]


def _origins(instructions: list[_Line], computations: dict[str, list[_Line]]) -> dict[str, str]:
    """The scopes of the instructions that tell none: those of the first that uses them.

    The compiler adds instructions of its own, such as the indices of a pooling's gradient or a
    change of layout; they are there for the sake of what they are made for.
    """
    known = {
        line.name: next((p.path for p in _parts(line, computations) if p.path), "")
        for line in instructions
    }
    # Instructions stand in order of use, so that from the end every user is known already.
    for line in reversed(instructions):
        for operand in line.operands:
            if operand in known and not known[operand]:
                known[operand] = known[line.name]
    return known
