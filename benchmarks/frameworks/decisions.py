"""What a twin decides beyond its outputs: what its loss chooses, what its post-processing keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.frameworks.contracts import Source

Tensors = Mapping[str, Any]


def made(
    source: Source,
    outputs: Tensors,
    targets: Tensors,
    infer: Callable[[], Tensors],
    zeros: Callable[[Any], Any],
) -> dict[str, Any]:
    """Tensors by key: ``choice/<name>``, ``postprocess/<name>`` and ``ties/<name>``.

    Choices are of ``outputs`` of training. Post-processing is of what ``infer`` gives, and, for
    ties, of the same with nothing but ``zeros`` in every output that has a sample for each.
    """
    found = dict[str, Any]()
    if source.choices is not None:
        chosen = source.choices(dict(outputs), dict(targets))
        found |= {f"choice/{name}": one for name, one in chosen.items()}
    if source.postprocess is not None:
        given = dict(infer())
        size = max(len(one) for one in targets.values())
        tied = {name: zeros(one) if len(one) == size else one for name, one in given.items()}
        for key, held in (("postprocess", given), ("ties", tied)):
            found |= {f"{key}/{name}": one for name, one in source.postprocess(held).items()}
    return found
