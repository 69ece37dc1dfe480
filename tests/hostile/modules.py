"""What hostile modules do, and their text."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

PLACES = ("import", "build", "forward")
TEMPLATES = {
    "torch": """\
{import}
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 3)

    def forward(self, x):
{forward}
        return self.dense(x)


def net():
{build}
    return Net()
""",
    "keras": """\
{import}
import keras


class Own(keras.layers.Layer):
    def call(self, x):
{forward}
        return x


def net():
{build}
    given = keras.Input((4,))
    return keras.Model(given, keras.layers.Dense(3)(Own()(given)))
""",
}
INDENTED = {"import": 0, "build": 4, "forward": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Deeds of one kind: statements, where they are done, and on which sides.

    ``sound``: the model may still be proven. ``hangs``: it ends by its time being up.
    """

    deeds: tuple[str, ...]
    places: tuple[str, ...] = PLACES
    sides: tuple[str, ...] = tuple(TEMPLATES)
    sound: bool = False
    hangs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A hostile module: its kind, what it does where, and its text."""

    name: str
    deed: str
    place: str
    side: str
    kind: Kind

    @property
    def text(self) -> str:
        """The file."""
        filled = {
            place: textwrap.indent(self.deed if place == self.place else "pass", " " * indented)
            for place, indented in INDENTED.items()
        }
        return TEMPLATES[self.side].format_map(filled)


def _signal(name: str) -> str:
    return f"import os, signal\nos.kill(os.getpid(), signal.{name})"


def _returned(value: str) -> str:
    return f"import numpy, torch\nreturn {value}"


def _written(data: str) -> str:
    """Write to every pipe that the process has."""
    return (
        "import os, stat\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISFIFO(os.fstat(fd).st_mode):\n"
        f"            os.write(fd, {data})\n"
        "    except OSError:\n"
        "        pass"
    )


UNWATCHED = "import faulthandler, time\nfaulthandler.cancel_dump_traceback_later()\n"
FILLED = "held = []\nwhile True:\n    held.append(b'x' * (1 << 27))"
STARTED = "threading.Thread(target=time.sleep, args=(600,)).start()"
STRINGS = "lambda path, **k: write(path, a=numpy.array(['x']))"
ENDLESS = """\
import os, stat
for fd in range(3, 64):
    try:
        while stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, b'[' * 60_000)
    except OSError:
        pass"""
CHILD = "[sys.executable, '-c', 'import time; time.sleep(600)']"
BUSY = "while True:\n    pass"
KINDS = {
    "raises": Kind(
        deeds=(
            "raise RuntimeError('boom')",
            "raise RuntimeError('two\\nlines \\x1b[31m' + 'x' * 100_000)",
            "raise KeyboardInterrupt",
            "raise GeneratorExit",
            "raise BaseException('nobody catches this')",
            "raise ExceptionGroup('several', [ValueError('a'), TypeError('b')])",
            "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd",
            "raise RuntimeError('\\ud800 is no character')",
            "raise MemoryError",
            "import nothing_of_this_name",
        )
    ),
    "exits": Kind(
        deeds=(
            *("import sys\nsys.exit(0)", "import sys\nsys.exit('words')", "raise SystemExit(7)"),
            *(f"import os\nos._exit({code})" for code in (0, 1, 77)),
        )
    ),
    "dies": Kind(
        deeds=(
            "import ctypes\nctypes.string_at(0)",
            "import os\nos.abort()",
            *(_signal(f"SIG{name}") for name in ("SEGV", "BUS", "FPE", "ILL", "KILL", "TERM")),
            "import os\nos.kill(os.getpid(), 40)",
            "import signal, time\nsignal.alarm(1)\ntime.sleep(600)",
            "import sys\nsys.setrecursionlimit(10**9)\ndef deep():\n    return [deep()]\ndeep()",
        )
    ),
    "hangs": Kind(
        deeds=(
            "import time\ntime.sleep(10**6)",
            "while True:\n    pass",
            "import ctypes\nctypes.PyDLL(None).sleep(3600)",
            "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
            _signal("SIGSTOP"),
            UNWATCHED + "time.sleep(3600)",
        ),
        hangs=True,
    ),
    "prints for ever": Kind(
        deeds=(
            "while True:\n    print('x' * 10_000)",
            "import sys\nwhile True:\n    sys.stderr.buffer.write(b'\\xff\\x00\\x1b[2J' * 1000)",
        ),
        hangs=True,
    ),
    "prints": Kind(
        deeds=(
            "print('x' * (50 << 20))",
            "import sys\nsys.stdout.close()\nsys.stderr.close()",
            "import sys\nsys.stdout = sys.stderr = None",
        ),
        sound=True,
    ),
    "allocates": Kind(
        deeds=(
            "held = bytearray(1 << 46)",
            "import numpy\nheld = numpy.zeros(1 << 46)",
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 33,) * 2)\n" + FILLED,
        )
    ),
    "returns no model": Kind(
        deeds=tuple(
            f"return {value}"
            for value in (
                "None",
                "1",
                "'net'",
                "[]",
                "object()",
                "lambda x: x",
                "Exception",
                "iter([])",
            )
        ),
        places=("build",),
    ),
    "has odd names": Kind(
        deeds=(
            "made = Net()\nmade.add_module('x\\x1b[2J\\n', nn.Linear(3, 3))\nreturn made",
            "made = Net()\nmade.add_module('x' * 5000, nn.Linear(3, 3))\nreturn made",
            "made = Net()\nmade.add_module('\\ud800', nn.Linear(3, 3))\nreturn made",
        ),
        places=("build",),
        sides=("torch",),
    ),
    "gives no output": Kind(
        deeds=tuple(
            map(
                _returned,
                (
                    *("None", "1", "'x'", "{}", "()", "[[]]", "{1: x}", "iter([x])", "x.detach()"),
                    *(
                        "x.numpy(force=True)",
                        "x.to(torch.complex128)",
                        "x.bool()",
                        "x[:0]",
                        "x[:1]",
                    ),
                    *("x * float('nan')", "x.to_sparse()", "torch.zeros(())", "{'a': {'b': [x]}}"),
                ),
            )
        ),
        places=("forward",),
        sides=("torch",),
    ),
    "leaves threads": Kind(
        deeds=(
            f"import threading, time\n{STARTED}",
            f"import threading, time\nfor _ in range(50):\n    {STARTED}",
            "import atexit, time\natexit.register(time.sleep, 600)",
        ),
        sound=True,
    ),
    "ends from a thread": Kind(
        deeds=("import os, threading\nthreading.Timer(0.2, os._exit, (5,)).start()",), sound=True
    ),
    "reads": Kind(deeds=("input('name: ')", "import sys\nassert sys.stdin.read()")),
    "moves": Kind(
        deeds=(
            "import os\nos.chdir('/')",
            "import os, tempfile\nwhere = tempfile.mkdtemp()\nos.chdir(where)\nos.rmdir(where)",
            "import os, shutil\nshutil.rmtree(os.environ['TMPDIR'])",
            "import os\nos.umask(0o777)",
            "import os\nos.environ.clear()",
            "import sys\nsys.path.clear()",
        ),
        sound=True,
    ),
    "patches": Kind(
        deeds=(
            "import numpy\nnumpy.savez = lambda *a, **k: None",
            "import numpy\nnumpy.savez = lambda path, **k: open(path, 'wb').write(b'PK')",
            f"import numpy\nwrite = numpy.savez\nnumpy.savez = {STRINGS}",
            "import numpy\nnumpy.asarray = None",
            "import json\njson.dumps = lambda *a, **k: '{}'",
            "import json\njson.dumps = lambda *a, **k: '{\"ok\": true}'",
            "import json\njson.dumps = lambda *a, **k: '[' * 100_000",
            "import json\njson.dumps = lambda *a, **k: 'null\\nnull\\nnull'",
            "import json\njson.loads = None",
            "import builtins\nbuiltins.open = None",
            "import traceback\ntraceback.format_exc = None\nraise ValueError",
            "import sys\nsys.modules.clear()",
            "import sys\nsys.setrecursionlimit(60)",
            "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('now')",
            "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
        ),
        sound=True,
    ),
    "patches PyTorch": Kind(
        deeds=(
            "import torch\ntorch.set_default_dtype(torch.float16)",
            "import torch\ntorch.set_grad_enabled(False)",
            "import torch\ntorch.nn.Module.__call__ = None",
            "import torch\ntorch.Tensor.numpy = None",
            "import torch\ntorch.set_default_device('meta')",
        ),
        sound=True,
    ),
    "closes descriptors": Kind(
        deeds=(
            "import os\nos.closerange(3, 256)",
            "import os\nos.closerange(0, 3)",
            UNWATCHED + "import os\nos.closerange(3, 256)\ntime.sleep(3600)",
        ),
        sound=True,
    ),
    "answers itself": Kind(
        deeds=(
            _written("b'garbage\\n'"),
            _written("b'\\xff\\x00\\n[\\n'"),
            _written('b\'{"ok": true, "description": {}}\\n\''),
            _written("b'{\"ok\": false}\\n' * 3"),
            _written('b\'{"ok": true, "description": {"nodes": [1]}, "findings": 3}\\n\''),
            ENDLESS,
        ),
        sound=True,
    ),
    "forks": Kind(
        deeds=(
            "import os\nos.fork()",
            "import os\nfor _ in range(3):\n    os.fork()",
            "import os, time\nif not os.fork():\n    time.sleep(600)",
            f"import subprocess, sys\nsubprocess.Popen({CHILD})",
        ),
        sound=True,
    ),
    "limits itself": Kind(
        deeds=(
            "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
            "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
            "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n" + BUSY,
        ),
        sound=True,
    ),
}


def generated(seed: int, count: int, only: str = "") -> Iterator[Module]:
    """So many modules: each deed once, in a place and on a side of its kind, then again.

    ``only`` is a part of the names of the kinds.
    """
    rng = random.Random(seed)  # noqa: S311 - a plan, not a secret
    kinds = {name: kind for name, kind in KINDS.items() if only in name}
    every = [(name, kind, deed) for name, kind in kinds.items() for deed in kind.deeds]
    drawn = list[tuple[str, Kind, str]]()
    while len(drawn) < count:
        drawn += rng.sample(every, len(every))
    for name, kind, deed in drawn[:count]:
        place, side = rng.choice(kind.places), rng.choice(kind.sides)
        yield Module(name=name, deed=deed, place=place, side=side, kind=kind)
