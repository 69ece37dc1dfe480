"""The readers of what others wrote: data sets, weights, profiles, and what a worker tells."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks import part
from benchmarks.frameworks.contracts import Source
from benchmarks.frameworks.description import Description, Drop, Node, Output, Step, Weight
from benchmarks.proof import costs, sides
from benchmarks.proof.match import match
from benchmarks.request import discovery
from benchmarks.request.selection import SelectionError
from benchmarks.tasks import plain, stored, weights
from benchmarks.tasks.data import idx
from benchmarks.tasks.data.idx import DataError
from benchmarks.tasks.task import TaskError, draw
from benchmarks.why import flame
from benchmarks.worker import process
from benchmarks.worker.process import WorkerError
from profilers.flames import folded
from profilers.ops import hlo, xplane
from tests.fuzz import inputs
from tests.fuzz.inputs import Inputs
from tests.fuzz.reader import Reader, documented

Started = tuple[Inputs, Callable[[bytes], object]]
SIDE = 4
IMAGES = struct.pack(">4I", 0x0803, 3, SIDE, SIDE) + bytes(range(3 * SIDE * SIDE))
LABELS = struct.pack(">2I", 0x0801, 3) + bytes([1, 2, 3])
ARRAYS: dict[str, Any] = {
    "dense.kernel": np.ones((2, 3), np.float32),
    "dense.bias": np.zeros(3, np.float64),
}
FOLDED = b"main (a.py);step (b.py) 12\nmain (a.py);step (b.py);aten::add (lib.so) 3\n"
PACE = {"alone": {"iterations": 10, "median_s": 0.01, "mean_s": 0.011}, "name": "torch-eager"}
HLO = b"""HloModule step, entry_computation_layout={()->f32[]}

%fused (p: f32[4,4]) -> f32[4,4] {
  %p = f32[4,4]{1,0} parameter(0)
  ROOT %exp.1 = f32[4,4]{1,0} exponential(%p), metadata={op_type="Exp" op_name="jit(step)/exp"}
}

ENTRY %main.2 (a: f32[4,4]) -> f32[4,4] {
  %a = f32[4,4]{1,0} parameter(0)
  %dot.3 = f32[4,4]{1,0} dot(%a, %a), metadata={op_type="Dot" op_name="jit(step)/dense/dot"}
  ROOT %fusion = f32[4,4]{1,0} fusion(%dot.3), kind=kLoop, calls=%fused
}
"""
TWIN = Description(
    nodes=(
        Node(
            path="dense",
            kind="dense",
            cls="Linear",
            weights={"kernel": Weight(shape=(2, 3)), "bias": Weight(shape=(3,))},
            input=(2,),
            output=(3,),
            macs=6,
        ),
        Node(path="own", kind="?Own", cls="Own", weights={"w": Weight(shape=(3,), buffer=True)}),
    ),
    steps=(Step(name="relu", after=1, key="0"),),
    drops=(Drop(what="dropout", rate=0.5, after=1, where="drop"),),
    outputs={"output": Output(shape=(3,))},
    parameters=12,
)


def _file(
    folder: Path, name: str, use: Callable[[Path], object], error: type[Exception], *seeds: bytes
) -> Started:
    """A reader of one file, which raises one error."""
    path = folder / name

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with documented(error):
            use(path)

    return inputs.files(*seeds), read


def images(folder: Path) -> Started:
    """Images of the MNIST family."""
    other = folder / "labels"
    other.write_bytes(LABELS)
    return _file(folder, "images", lambda p: _labelled(p, other), DataError, IMAGES)


def labels(folder: Path) -> Started:
    """Labels of the MNIST family."""
    other = folder / "images"
    other.write_bytes(IMAGES)
    return _file(folder, "labels", lambda p: _labelled(other, p), DataError, LABELS)


def _labelled(first: Path, second: Path) -> None:
    x, y = idx.read_labelled(first, second, side=SIDE)
    assert len(x) == len(y) == 3


def packed(folder: Path) -> Started:
    """Images that are packed by gzip."""
    seeds = gzip.compress(IMAGES), gzip.compress(IMAGES[:20]) + gzip.compress(IMAGES[20:])
    return _file(folder, "images.gz", lambda p: idx.read_idx(p, 3), DataError, *seeds)


def _adopted(path: Path) -> None:
    """Weights of a file, as they are used."""
    held = stored.read(path)
    stored.check(path, held, {name: one.shape for name, one in held.items()}, "PyTorch")
    weights.digest({name: one.astype(np.float64) for name, one in held.items()})


def npz(folder: Path) -> Started:
    """Weights of NumPy."""
    seeds = []
    for save in (np.savez, np.savez_compressed):
        made = io.BytesIO()
        save(made, **ARRAYS)
        seeds.append(made.getvalue())
    return _file(folder, "w.npz", _adopted, TaskError, *seeds)


def npy(folder: Path) -> Started:
    """Weights of NumPy, whose members are changed before they are packed."""
    path, made = folder / "w.npz", io.BytesIO()
    np.save(made, ARRAYS["dense.kernel"])

    def read(data: bytes) -> None:
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("kernel.npy", data)
        with documented(TaskError):
            _adopted(path)

    return inputs.files(made.getvalue()), read


def safetensors(folder: Path) -> Started:
    """Weights in the format of most published ones."""
    from safetensors.numpy import save

    return _file(folder, "w.safetensors", _adopted, TaskError, save(ARRAYS))


def h5(folder: Path) -> Started:
    """Weights of Keras, as its twin takes them."""
    source = Source(task=discovery.task("mlp"), make=lambda _: _keras_model())
    inspection = part("keras_torch", "inspection")
    inspection.set_up(0)
    twin = inspection.Twin(source, draw(source.task, 2, 0))
    path = folder / "sound.weights.h5"
    twin.model.save_weights(str(path))
    sound = path.read_bytes()
    return _file(folder, "w.weights.h5", twin.adopt, TaskError, sound)


def _keras_model() -> Any:
    import keras

    shape = discovery.task("mlp").inputs
    given = keras.Input(next(iter(shape.values())).shape)
    return keras.Model(given, keras.layers.Dense(2)(keras.layers.Flatten()(given)))


def stacks(folder: Path) -> Started:
    """Folded stacks of an earlier profile, as a difference is made of them."""
    (folder / "a.json").write_text(json.dumps(PACE))
    return _file(folder, "a.folded", _compared, SelectionError, FOLDED)


def pace(folder: Path) -> Started:
    """What was measured beside an earlier profile."""
    before = folder / "a.folded"
    before.write_bytes(FOLDED)

    def read(data: bytes) -> None:
        (folder / "a.json").write_bytes(data)
        with documented(SelectionError):
            _compared(before)

    return inputs.documents(PACE), read


def _compared(path: Path) -> None:
    earlier = flame._earlier(path)
    unit, values = flame._in_unit(earlier, timed=True)
    folded.difference(values, values)
    assert unit in {"s", "share"}


def recorded(folder: Path) -> Started:
    """What py-spy writes: lines that are no stacks are counted."""
    del folder

    def read(data: bytes) -> None:
        found, unreadable = folded.readable(data.decode("utf-8", "replace"))
        assert all(count >= 0 for count in (*found.values(), *unreadable.values()))
        folded.write(folded.tidy(found, {"/x": ""}))

    return inputs.files(FOLDED), read


def dumped(folder: Path) -> Started:
    """What XLA dumps of a compiled program."""
    del folder

    def read(data: bytes) -> None:
        hlo.parse(data.decode("utf-8", "replace").splitlines())

    return inputs.files(HLO), read


def spaces(folder: Path) -> Started:
    """The profile of XLA's and TensorFlow's runtimes."""
    decode_error = import_module("google.protobuf.message").DecodeError
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    recorder = part("tensorflow", "recorder")
    sound = xplane_pb2.XSpace()
    plane = sound.planes.add(name="/host:CPU")
    plane.event_metadata[1].name = xplane.STEP
    plane.event_metadata[2].name = "model/dense/MatMul:MatMul"
    plane.stat_metadata[1].name = "hlo_op"
    line = plane.lines.add(name="python", timestamp_ns=1000)
    line.events.add(metadata_id=1, offset_ps=0, duration_ps=9_000_000)
    event = line.events.add(metadata_id=2, offset_ps=1_000_000, duration_ps=2_000_000)
    event.stats.add(metadata_id=1, str_value="dot.3")
    path = folder / "a.xplane.pb"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with documented(decode_error):
            xplane.normalise(list(recorder.read(path)), xplane.Model(layers={"dense": "Dense"}))

    return inputs.files(sound.SerializeToString()), read


def twin(folder: Path) -> Started:
    """What a side of a pair tells of its model."""
    del folder

    def read(data: bytes) -> None:
        told: Description | None = None
        with documented(WorkerError, ValueError):
            told = sides.described("torch", process.parsed(data))
        if told is not None:
            match(TWIN, told)
            match(told, TWIN)
            costs.layers(told)

    return inputs.documents({"ok": True, "description": json.loads(json.dumps(asdict(TWIN)))}), read


def answers(folder: Path) -> Started:
    """The line with which a worker answers."""
    del folder

    def read(data: bytes) -> None:
        with documented(ValueError):
            assert isinstance(process.parsed(data)["ok"], bool)

    failed = {"ok": False, "status": "error", "reason": "it failed", "stack": "Traceback"}
    return inputs.documents({"ok": True, "run_s": 0.1}, failed), read


def task(folder: Path) -> Started:
    """The task that a user's model tells of itself."""
    del folder

    def read(data: bytes) -> None:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            return  # told by ``reading``, which catches both
        with documented(ValueError):
            plain.task(told)

    return inputs.documents(*(plain.of(discovery.task(name)) for name in ("mlp", "lstm"))), read


READERS = (
    Reader(name="IDX images", start=images, share=4_000),
    Reader(name="IDX labels", start=labels, share=3_000),
    Reader(name="IDX in gzip", start=packed, share=3_000),
    Reader(name="weights.npz", start=npz, share=3_000),
    Reader(name="weights.npz, a member", start=npy, share=3_000),
    Reader(name="weights.safetensors", start=safetensors, share=3_000, needs="safetensors"),
    Reader(name="weights.h5", start=h5, share=1_000, needs="keras"),
    Reader(name="folded stacks", start=stacks, share=3_000),
    Reader(name="folded stacks of py-spy", start=recorded, share=3_000),
    Reader(name="pace of a profile", start=pace, share=2_000),
    Reader(name="HLO", start=dumped, share=1_000),
    Reader(name="xplane", start=spaces, share=1_700, needs="tensorflow"),
    Reader(name="described twin", start=twin, share=3_000),
    Reader(name="answer of a worker", start=answers, share=2_000),
    Reader(name="told task", start=task, share=1_000),
)
