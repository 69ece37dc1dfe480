"""``python -m tests.hostile``: a line per module, a table by kind, and exit 1 on a breach."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.__main__ import main as benchmarks
from benchmarks.results.records import Exit
from tests.hostile.modules import KINDS, TEMPLATES, Module, generated
from tests.soak import audit
from tests.soak.audit import MARK

WORDS = ("--input", "x=features:4", "--target", "y=classes:3", "--prove-only")
ENGINE = "keras_torch"
PATIENCE_S, HANG_S = 60.0, 15.0
"""``--timeout`` of a module, and of one that hangs: a side must import its framework within it."""
SOUND = {side: text.format_map({"import": "", "forward": "        pass", "build": "    pass"})
         for side, text in TEMPLATES.items()}  # fmt: skip
ENDINGS = {Exit.USAGE, Exit.INCOMPLETE, Exit.PARITY}
REASONS: dict[int, str | tuple[str, ...]] = {
    Exit.USAGE: "twinbench: ",
    Exit.INCOMPLETE: "twinbench: ",
    Exit.PARITY: ("failed: ", "refused: ", "partial: "),
}
"""How a line begins that says why, by exit code."""
GONE_S = 10.0


@dataclass
class Ended:
    """What became of the modules of a kind: exit codes, and what was wrong."""

    codes: Counter[int] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    seconds: float = 0.0


def proven(place: Path, module: Module) -> tuple[int, str]:
    """Prove a module beside a sound one; the exit code, and all that was said."""
    files = {}
    for side, sound in SOUND.items():
        files[side] = place / f"net_{side}.py"
        files[side].write_text(module.text if side == module.side else sound)
    seconds = HANG_S if module.kind.hangs else PATIENCE_S
    named = [f"{files[side]}:net" for side in ("torch", "keras")]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = benchmarks(["pair", *named, *WORDS, "--engine", ENGINE, "--timeout", str(seconds)])
    return code, text.getvalue()


def judged(module: Module, code: int, text: str) -> list[str]:
    """What is wrong with how a module ended."""
    wrong = []
    if code not in ENDINGS and not (code == Exit.OK and module.kind.sound):
        wrong.append(f"exit {code}")
    if "Traceback (most recent call last)" in text or "internal error" in text:
        wrong.append("an error that nobody foresaw")
    reasons = [line for line in text.splitlines() if line.startswith(REASONS.get(code, ""))]
    if code != Exit.OK and not any(line.partition(": ")[2].strip() for line in reasons):
        wrong.append("no reason")
    if "\x1b" in text:
        wrong.append("its text steers a terminal")
    return [f"{one}: {text[-300:]!r}" for one in wrong]


def left(place: Path, scratch: Path, there: Path) -> list[str]:
    """What a module left behind."""
    until = time.monotonic() + GONE_S
    while (processes := audit.processes(str(place))) and time.monotonic() < until:
        time.sleep(0.02)
    wrong = [f"left running: {process}" for process in processes]
    wrong += [f"left in the temporary folder: {path.name}" for path in scratch.iterdir()]
    return wrong + ([] if Path.cwd() == there else ["another working directory"])


def held() -> tuple[int, int]:
    """How many descriptors and threads this process has."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove so many hostile modules; 1 where one did what it must not be able to."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--modules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="KIND")
    asked = parser.parse_args(arguments)
    every = {name: Ended() for name in KINDS}
    began, there, before = time.monotonic(), Path.cwd(), held()
    with tempfile.TemporaryDirectory() as folder:
        place, scratch = Path(folder), Path(folder) / "tmp"
        scratch.mkdir()
        with _marked(place, scratch):
            for module in generated(asked.seed, asked.modules, asked.only):
                _one(every[module.name], place, scratch, there, module)
    time.sleep(1)  # threads that read from processes that are gone
    after = held()
    print(_table(every))
    modules, breaches = (
        sum(one.codes.total() for one in every.values()),
        sum(len(one.breaches) for one in every.values()),
    )
    print(
        f"{modules} modules, {breaches} breaches, descriptors and threads {before} before and"
        f" {after} after, {time.monotonic() - began:.0f} s"
    )
    leaked = after[0] - before[0] > 5 or after[1] - before[1] > 1
    return int(leaked or any(one.breaches for one in every.values()))


@contextlib.contextmanager
def _marked(place: Path, scratch: Path) -> Iterator[None]:
    """A temporary folder of our own, and the mark by which processes are found."""
    ours = {MARK: str(place), "TMPDIR": str(scratch)}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    tempfile.tempdir = None
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        tempfile.tempdir = None


def _one(ended: Ended, place: Path, scratch: Path, there: Path, module: Module) -> None:
    began = time.monotonic()
    code, text = proven(place, module)
    wrong = judged(module, code, text) + left(place, scratch, there)
    ended.codes[code] += 1
    seconds = time.monotonic() - began
    ended.seconds += seconds
    about = f"{module.name}, {module.side}, {module.place}"
    print(f"{about}: exit {code}, {seconds:.1f} s", flush=True)
    for breach in wrong:
        told = f"{about}: {breach}\n{module.deed}"
        ended.breaches.append(told)
        print(told, flush=True)


def _table(every: dict[str, Ended]) -> str:
    """By kind: modules, exit codes, seconds."""
    width = max(map(len, every))
    rows = [f"{'kind':<{width}}  modules  exit 0  exit 2  exit 3  exit 4  other  seconds"]
    for name, one in every.items():
        codes = [one.codes[code] for code in (0, 2, 3, 4)]
        rest = one.codes.total() - sum(codes)
        shown = "  ".join(f"{count:6}" for count in codes)
        rows.append(
            f"{name:<{width}}  {one.codes.total():7}  {shown}  {rest:5}  {one.seconds:7.0f}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
