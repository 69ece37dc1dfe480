"""Stacks and how often each was seen, as text that every flame graph tool reads.

One line per stack, root first: ``a;b;c 12``. Frames are ``name (file)``, where the file is
relative to our checkout, or begins with its package: nobody's folders leave the machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Stack = tuple[str, ...]
Stacks = Mapping[Stack, int]

SPEEDSCOPE = "https://www.speedscope.app/file-format-schema.json"
DIGITS = 18
"""Of a count at most: no profiler sees more samples."""
UNKNOWN = "(no symbol)"
"""Native code of which only an address is known; addresses differ from run to run."""

_FRAMES = (
    re.compile(r"(?P<name>.*?) \((?P<file>/.*)\)", re.DOTALL),  # a folder may hold parentheses
    re.compile(r"(?P<name>.*) \((?P<file>.*)\)", re.DOTALL),
)
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_LIBRARY = re.compile(r".*/(?:site|dist)-packages/|.*/lib/python3(?:\.\d+)?/(?:lib-dynload/)?")


class FoldedError(ValueError):
    """A line that is no folded stack; the text is one line and names it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One stack in two profiles; a value is in the unit that both were brought to."""

    stack: Stack
    a: float
    b: float


def read(text: str) -> dict[Stack, int]:
    """Folded stacks; the same stack on two lines is added up.

    Raises:
        FoldedError: a line that does not end in a count.
    """
    stacks, unreadable = readable(text)
    if unreadable:
        number = min(unreadable)
        raise FoldedError(f"line {number} is no folded stack: it must end in a count")
    return stacks


def readable(text: str) -> tuple[dict[Stack, int], dict[int, int]]:
    """The folded stacks of a text, and the lines that are none: samples by number of the line.

    A profiler that does not stop what it watches now and then writes a count without frames. A line
    without a count is one sample.
    """
    found, unreadable = Counter[Stack](), dict[int, int]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        frames, _, count = line.rpartition(" ")
        counted = count.isascii() and count.isdecimal() and len(count) <= DIGITS
        if frames.strip() and counted:
            found[tuple(frames.split(";"))] += int(count)
        else:
            unreadable[number] = int(count) if counted else 1
    return dict(found), unreadable


def write(stacks: Stacks) -> str:
    """Folded stacks in alphabetical order: equal profiles give equal files.

    What would end a frame or a line in the middle of a name becomes a space.
    """
    lines = Counter[str]()
    for stack, count in stacks.items():
        lines[";".join(re.sub(r"[;\r\n]", " ", frame) for frame in stack)] += count
    return "".join(f"{frames} {count}\n" for frames, count in sorted(lines.items()))


def merge(*profiles: Stacks) -> dict[Stack, int]:
    """All of them added up."""
    together: Counter[Stack] = Counter()
    for stacks in profiles:
        together.update(stacks)
    return dict(together)


def scaled(stacks: Stacks, total: float = 1.0) -> dict[Stack, float]:
    """Counts as parts of ``total``: 1 gives shares, the seconds of an iteration give seconds.

    An empty profile stays empty.
    """
    samples = sum(stacks.values())
    return {s: count * total / samples for s, count in stacks.items()} if samples else {}


def difference(a: Mapping[Stack, float], b: Mapping[Stack, float]) -> tuple[Difference, ...]:
    """Both profiles stack by stack, in alphabetical order; a stack that one lacks is 0 there.

    Bring both to one unit first (``scaled``): counts of different lengths do not compare.
    """
    return tuple(Difference(s, a.get(s, 0.0), b.get(s, 0.0)) for s in sorted({*a, *b}))


def tidy(stacks: Stacks, places: Mapping[str, str]) -> dict[Stack, int]:
    """The same with no folder of this machine in it.

    ``places`` says what stands for a folder: the checkout's is empty.
    """
    return merge(*({tuple(_tidy(f, places) for f in s): n} for s, n in stacks.items()))


def below(stacks: Stacks, root: str, also: Iterable[str] = ()) -> tuple[dict[Stack, int], int]:
    """What was seen under a frame, and how many samples were seen elsewhere.

    Args:
        stacks: with whole frames, ``name (file)``.
        root: the frame; it and all above it are cut off. A sample of nothing but this is kept as
            itself, so that the time of the frame's own code is not lost.
        also: frames cut off too where they come right under it.
    """
    found: Counter[Stack] = Counter()
    elsewhere = 0
    for stack, count in stacks.items():
        at = next((i for i, frame in enumerate(stack) if _is(frame, root)), None)
        if at is None:
            elsewhere += count
            continue
        rest = list(stack[at + 1 :])
        while rest and any(_is(rest[0], frame) for frame in also):
            del rest[0]
        found[tuple(rest) or (root,)] += count
    return dict(found), elsewhere


def speedscope(profiles: Mapping[str, tuple[Stacks, float | None]]) -> dict[str, Any]:
    """A file of https://www.speedscope.app with one profile of type ``sampled`` per name.

    Each comes with the seconds that one sample stands for; ``None`` leaves plain counts.
    """
    index: dict[str, int] = {}
    made = []
    for name, (stacks, period_s) in profiles.items():
        ordered = sorted(stacks.items())
        weights = [count * period_s if period_s else count for _, count in ordered]
        made.append(
            {
                "type": "sampled",
                "name": name,
                "unit": "seconds" if period_s else "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": [
                    [index.setdefault(frame, len(index)) for frame in stack] for stack, _ in ordered
                ],
                "weights": weights,
            }
        )
    return {
        "$schema": SPEEDSCOPE,
        "exporter": "twinbench",
        "name": ", ".join(profiles),
        "activeProfileIndex": 0,
        "shared": {"frames": [_entry(frame) for frame in index]},
        "profiles": made,
    }


def parts(frame: str) -> tuple[str, str]:
    """What a frame is called, and its file: empty where it names none."""
    for form in _FRAMES:
        if found := form.fullmatch(frame):
            return found["name"], found["file"]
    return frame, ""


def depth(stacks: Iterable[Sequence[str]]) -> int:
    """Frames of the deepest stack; 0 where there is none."""
    return max(map(len, stacks), default=0)


def _entry(frame: str) -> dict[str, str]:
    name, file = parts(frame)
    return {"name": name} | ({"file": file} if file else {})


def _is(frame: str, wanted: str) -> bool:
    """Where the class of a method is not seen, its name is enough."""
    (name, file), (wanted_name, wanted_file) = parts(frame), parts(wanted)
    return file == wanted_file and name in {wanted_name, wanted_name.rpartition(".")[2]}


def _tidy(frame: str, places: Mapping[str, str]) -> str:
    name, file = parts(frame)
    if _ADDRESS.fullmatch(name):
        name = UNKNOWN
    return f"{name} ({_place(file, places)})" if file else name


def _place(file: str, places: Mapping[str, str]) -> str:
    if library := _LIBRARY.match(file):
        return file[library.end() :]
    for folder, name in places.items():
        if file.startswith(ours := folder.rstrip("/") + "/"):
            return name + file.removeprefix(ours)
    return file.rpartition("/")[2] if file.startswith("/") else file
