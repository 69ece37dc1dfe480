"""Steps of JAX as its profiler records them; its file has the form of TensorFlow's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.frameworks._keras.recording import named
from profilers.ops import hlo
from profilers.ops.rows import Recording
from profilers.ops.xplane import STEP, Model, Raw, normalise


def recorded(
    step: Callable[[], object],
    synchronize: Callable[[], object],
    *,
    steps: int,
    layers: Mapping[str, str],
    dumped: Path | None,
) -> Recording:
    """Record so many steps; the arguments are those of TensorFlow's ``recorded``."""
    import jax

    with tempfile.TemporaryDirectory(prefix="twinbench-xplane-") as folder:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with jax.profiler.trace(folder, profiler_options=options):
            for index in range(steps):
                with jax.profiler.TraceAnnotation(STEP, step_num=index):
                    step()
                    synchronize()
        raw = [event for path in Path(folder).rglob("*.xplane.pb") for event in read(path)]
    return normalise(raw, Model(layers=layers, made=hlo.read(dumped) if dumped else {}))


record = partial(named, recorded)
"""As ``contracts.Recorder`` says; layers are named as in the PyTorch twin."""


def read(path: Path) -> Iterator[Raw]:
    """Every event of a stored profile."""
    import jax

    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        device = plane.name.startswith("/device:")
        if not device and not plane.name.startswith("/host:"):
            continue
        for number, line in enumerate(plane.lines):
            for event in line.events:
                yield Raw(
                    name=event.name.partition("#")[0],
                    thread=f"{line.name} {number}",
                    device=device,
                    start_ns=round(event.start_ns),
                    duration_ns=round(event.duration_ns),
                    stats={key: value for key, value in event.stats if key},
                )
