"""``python -m tests.fuzz``: a line per reader, a table, and exit 1 where one did what it must not.

The smallest input of each wrong ending is kept in ``--keep``, beside its traceback.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pipeline import ROOT

ALL = 100_000
MORE_BYTES = 500 << 20
"""Address space that a reader may take beyond what it has when it starts."""
PATIENCE_S = 3600
TOLD = "told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a reader."""

    name: str
    inputs: int = 0
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    slowest_s: float = 0.0
    more_mb: float = 0.0
    skipped: str = ""

    def line(self) -> str:
        """What is told of it."""
        if self.skipped:
            return f"{self.name}: skipped: {self.skipped}"
        return (
            f"{self.name}: {self.inputs} inputs in {self.seconds:.0f} s, the slowest"
            f" {1e3 * self.slowest_s:.0f} ms, {self.more_mb:+.0f} MB,"
            f" {len(self.failures)} wrong endings"
        )


def alone(name: str, count: int, seed: int, folder: Path) -> None:
    """Fuzz one reader in this process, whose memory is limited from here on, and tell it."""
    from tests.fuzz.reader import fuzz
    from tests.fuzz.readers import READERS

    (reader,) = (one for one in READERS if one.name == name)

    def limited() -> None:
        most = _address_space() + MORE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    peaks = list[int]()
    found = fuzz(reader, folder, count, seed, ready=limited)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peaks[0]
    kept = {where: (text, data.hex()) for where, (text, data) in found.failures.items()}
    told = {"inputs": found.inputs, "slowest_s": found.slowest_s, "failures": kept, "more": more}
    (folder / TOLD).write_text(json.dumps(told))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def told_of(name: str, count: int, seed: int, keep: Path) -> Told:
    """Fuzz one reader in a process of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--alone", name, *_flags(count, seed, folder)],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": place} | ENVIRONMENT,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
        )
        seconds = time.monotonic() - began
        if done.returncode or not (folder / TOLD).exists():
            last = folder / "input"
            text = done.stderr.decode("utf-8", "replace")[-1500:]
            found = {f"exit {done.returncode}": (text, last.read_bytes() if last.exists() else b"")}
            _keep(keep, name, found)
            return Told(name=name, failures=tuple(found), seconds=seconds)
        told: dict[str, Any] = json.loads((folder / TOLD).read_text())
    found = {where: (text, bytes.fromhex(data)) for where, (text, data) in told["failures"].items()}
    _keep(keep, name, found)
    return Told(
        name=name,
        inputs=told["inputs"],
        failures=tuple(found),
        seconds=seconds,
        slowest_s=told["slowest_s"],
        more_mb=told["more"] * 1024 / 1e6,
    )


ENVIRONMENT = {
    "TWINBENCH_FRAMEWORKS_DIR": str(ROOT / "tests" / "frameworks"),
    "KERAS_BACKEND": "torch",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def _flags(count: int, seed: int, folder: Path) -> tuple[str, ...]:
    return ("--inputs", str(count), "--seed", str(seed), "--folder", str(folder))


def _keep(keep: Path, name: str, found: dict[str, tuple[str, bytes]]) -> None:
    """Each input that ended wrong, and how."""
    for where, (text, data) in found.items():
        keep.mkdir(parents=True, exist_ok=True)
        stem = hashlib.sha256(f"{name} {where}".encode()).hexdigest()[:8]
        (keep / f"{stem}.input").write_bytes(data)
        (keep / f"{stem}.txt").write_text(f"{name}: {where}\n{data[:2000]!r}\n\n{text}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz every reader; 1 where one did what it must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=ALL, help=f"in all (default: {ALL:,})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="TEXT", help="readers whose name holds it")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), metavar="DIR")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.alone:
        alone(asked.alone, asked.inputs, asked.seed, asked.folder)
        return 0
    os.environ.update(ENVIRONMENT)  # before anything imports ``benchmarks``
    from tests.fuzz.readers import READERS

    every = list[Told]()
    for reader in READERS:
        if asked.only not in reader.name:
            continue
        if reader.needs and importlib.util.find_spec(reader.needs) is None:
            made = Told(name=reader.name, skipped=f"{reader.needs} is not installed")
        else:
            count = max(1, round(reader.share * asked.inputs / ALL))
            made = told_of(reader.name, count, asked.seed, asked.keep)
        every.append(made)
        print(made.line(), flush=True)
        for where in made.failures:
            print(f"  {where}", flush=True)
    wrong = sum(len(one.failures) for one in every)
    print(
        f"{sum(one.inputs for one in every)} inputs, {len(every)} readers, {wrong} wrong endings,"
        f" the slowest {max((one.slowest_s for one in every), default=0.0):.2f} s, at most"
        f" {max((one.more_mb for one in every), default=0.0):+.0f} MB,"
        f" {sum(one.seconds for one in every):.0f} s"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
