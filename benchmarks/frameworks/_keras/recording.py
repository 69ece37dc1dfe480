"""Recordings of Keras' layers, named as in the PyTorch twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from profilers.ops.rows import Recording


def named(
    recorded: Callable[..., Recording],
    device: Any,
    program: Any,
    step: Callable[[], object],
    steps: int,
    dumped: Path,
) -> Recording:
    """What an engine's recorder makes of some steps, its layers under canonical names."""
    classes = {layer.name: type(layer).__name__ for layer in program.layers.values()}
    names = {layer.name: name for name, layer in program.layers.items()}
    made = recorded(step, device.synchronize, steps=steps, layers=classes, dumped=dumped)
    events = (replace(e, layer=names.get(e.layer or "")) for e in made.events)
    return replace(made, events=tuple(events))
