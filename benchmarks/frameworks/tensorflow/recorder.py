"""Steps of TensorFlow as its own profiler records them, read from the file it writes.

The reader is the protocol buffer that TensorFlow ships: no further package is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.frameworks._keras.recording import named
from profilers.ops import hlo
from profilers.ops.rows import Recording
from profilers.ops.xplane import STEP, Model, Raw, nanoseconds, normalise

HOST_LEVEL = 2
"""Of the host tracer: operations, and not every call of the runtime."""


def recorded(
    step: Callable[[], object],
    synchronize: Callable[[], object],
    *,
    steps: int,
    layers: Mapping[str, str],
    dumped: Path | None,
) -> Recording:
    """Record so many steps.

    Args:
        step: one iteration.
        synchronize: returns only when the device is idle.
        steps: how many.
        layers: class of each layer, by name.
        dumped: where XLA wrote the modules that it compiled, if it did.
    """
    import tensorflow as tf

    profiler = tf.profiler.experimental
    options = profiler.ProfilerOptions(host_tracer_level=HOST_LEVEL, python_tracer_level=0)
    with tempfile.TemporaryDirectory(prefix="twinbench-xplane-") as folder:
        profiler.start(folder, options=options)
        try:
            for index in range(steps):
                with profiler.Trace(STEP, step_num=index, _r=1):
                    step()
                    synchronize()
        finally:
            profiler.stop()
        raw = [event for path in Path(folder).rglob("*.xplane.pb") for event in read(path)]
    made = hlo.read(dumped) if dumped else {}
    return normalise(raw, Model(layers=layers, made=made))


record = partial(named, recorded)
"""As ``contracts.Recorder`` says; layers are named as in the PyTorch twin."""


def read(path: Path) -> Iterator[Raw]:
    """Every event of a stored profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        device = plane.name.startswith("/device:")
        if not device and not plane.name.startswith("/host:"):
            continue
        names = {key: meta.name for key, meta in plane.stat_metadata.items()}
        for number, line in enumerate(plane.lines):
            for event in line.events:
                meta = plane.event_metadata[event.metadata_id]
                stats = {names.get(s.metadata_id, ""): _value(s, names) for s in event.stats}
                yield Raw(
                    name=meta.name.partition("#")[0],
                    thread=f"{line.name.partition('/')[0]} {number}",
                    device=device,
                    start_ns=nanoseconds(line.timestamp_ns, event.offset_ps),
                    duration_ns=event.duration_ps // 1000,
                    stats=stats,
                )


def _value(stat: Any, names: Mapping[int, str]) -> Any:
    kind = stat.WhichOneof("value")
    if kind == "ref_value":
        return names.get(stat.ref_value, "")
    return getattr(stat, kind) if kind else None
