"""What a twin decides beyond its outputs: what its loss chooses, what its post-processing keeps.

And which tokens it generates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.frameworks.contracts import Array, Source
from benchmarks.frameworks.description import Arrays

Tensors = Mapping[str, Any]
TOKENS = 8
"""How many tokens a proof has generated, where the sequence has room for them."""


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


def generated(
    source: Source,
    model: Any,
    inputs: Tensors,
    array: Callable[[Any], Array],
    whole: Callable[[Array], Array],
) -> Arrays:
    """Greedily chosen tokens, and their logits with the cache and without it.

    Args:
        source: of the twin; nothing is generated where it does not define how.
        model: the twin, in inference mode.
        inputs: its batch, of token ids (n, steps) alone.
        array: makes a NumPy array of a tensor.
        whole: the logits (n, steps, vocabulary) that the model gives for ids (n, steps).

    Returns: ``token/<index>`` (n,), ``cached/<index>`` and ``whole/<index>`` (n, vocabulary). What
        stands behind a token cannot change its logits, so one pass gives them all without a cache.
    """
    if not source.generates:
        return {}
    held = source.generates["first_token"](model, inputs)
    (given,) = (array(one) for one in inputs.values())
    start, found = int(array(held["position"]).item()), Arrays()
    places = range(start, min(start + TOKENS, given.shape[1]))
    for index, place in enumerate(places):
        if index:
            held = source.generates["next_token"](model, held)
        found[f"token/{index}"], found[f"cached/{index}"] = map(
            array, (held["token"], held["logits"])
        )
        given[:, place] = found[f"token/{index}"]
    logits = whole(given)
    return found | {
        f"whole/{index}": np.array(logits[:, place - 1]) for index, place in enumerate(places)
    }
