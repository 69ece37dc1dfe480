"""The proof that twins are one function.

The proof runs in float64 on the CPU, where honest twins differ by rounding alone (1e-15) and every
other difference (an epsilon, a padding, a gate) stands out by many orders of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import inputs, weights
from benchmarks.models._spec import ModelSpec
from benchmarks.records import Difference, Parity

if TYPE_CHECKING:
    from benchmarks.phases._protocol import Session

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Norms = tuple[float, float, float]
"""Of one side, of the other, and of what lies between them."""

TOLERANCE = 1e-9
STEPS = 3
OPTIMIZERS = ("sgd", "adam")
FLOOR = 1e-4
"""A tensor whose norm is below this share of the largest of its kind is compared with that share:
the relative error of a gradient that is zero but for rounding means nothing. Such a gradient (of a
bias that normalisation takes away again) is 1e-16 to 1e-14 of the largest one."""
SHOWN = 4


def write_proof(session: Session, path: Path, *, seed: int) -> dict[str, Any]:
    """In the worker: write every compared array to ``path`` (npz) and return the counted facts."""
    adapter, model, batch = session.adapter, session.model, session.batch
    adapter.set_training(model, training=False)  # or counting would move running statistics
    flops = adapter.flops(model, batch)
    adapter.set_training(model, training=True)
    trace = adapter.trace(model, batch)
    arrays = {"output": trace.output, "loss": trace.loss}
    arrays |= {f"activation/{name}": a for name, a in trace.activations.items()}
    arrays |= {f"activation_gradient/{name}": a for name, a in trace.activation_gradients.items()}
    arrays |= {f"gradient/{name}": a for name, a in trace.gradients.items()}
    for optimizer in OPTIMIZERS:
        adapter.reset(model, session.weights)
        fed = _distinct(session, seed) if optimizer == "adam" else batch
        after = adapter.trained(model, fed, optimizer, STEPS)
        arrays |= {f"after_steps_{optimizer}/{name}": a for name, a in after.items()}
    np.savez(
        path, allow_pickle=False, **{k: np.asarray(a, dtype=np.float64) for k, a in arrays.items()}
    )
    return {
        "parameters": adapter.parameter_count(model),
        "flops": None if flops is None else flops / session.batch_size,
        "weights_sha256": weights.digest(session.weights),
    }


def compare(
    spec: ModelSpec, written: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]]
) -> Parity:
    """In the parent: the proof from what each adapter's worker wrote and counted.

    The first adapter is the reference; every figure is the largest over the others.
    """
    names = tuple(written)
    base = Parity(
        status="proven",
        tolerance=TOLERANCE,
        adapters=names,
        parameters=facts[names[0]]["parameters"],
        forward_flops=facts[names[0]]["flops"],
        weights_sha256=facts[names[0]]["weights_sha256"],
        notes=_notes(spec),
    )
    wrong = _wrong_facts(spec, facts)
    if wrong:
        return replace(base, status="failed", reason=wrong)
    if len(names) == 1:
        reason = f"only {names[0]} is here: its parameters and FLOPs agree with the spec"
        return replace(base, status="partial", reason=reason)
    errors: dict[str, float] = {}
    with np.load(written[names[0]]) as reference:
        for other in names[1:]:
            with np.load(written[other]) as candidate:
                for quantity, error in _errors(reference, candidate).items():
                    errors[quantity] = max(errors.get(quantity, 0.0), error)
                if any(not error <= TOLERANCE for error in errors.values()):
                    difference = first_difference(reference, candidate, names[0], other)
                    return _failed(base, errors, difference)
    return replace(base, max_rel_error=errors)


def _failed(base: Parity, errors: dict[str, float], difference: Difference | None) -> Parity:
    worst = max(errors, key=lambda q: errors[q])
    where = f"; they part first at {difference.where} ({difference.quantity})" if difference else ""
    return replace(
        base,
        status="failed",
        reason=f"{worst} differs by {errors[worst]:.1e}, more than {TOLERANCE:.0e}{where}",
        max_rel_error=errors,
        first_difference=difference,
    )


def relative_error(a: Array, b: Array, floor: float = 0.0) -> float:
    """``|a - b| / max(|a|, |b|, floor)`` in the L2 norm; NaN where either holds one."""
    return _share(_norms(a, b), floor)


def first_difference(a: Arrays, b: Arrays, name_a: str, name_b: str) -> Difference | None:
    """The first place at which two traces part: forward order, then backward, then after steps.

    A layer that only one dialect knows (a padding, a flattening) is passed over.
    """
    floors = _floors(a)
    for quantity, key in _in_order(dict.fromkeys([*a, *b])):
        kind, _, where = key.rpartition("/")
        there = key in a and key in b
        if kind.startswith("activation") and not there:
            continue
        left, right = (np.squeeze(side[key]) if key in side else None for side in (a, b))
        error = None
        if left is not None and right is not None and left.shape == right.shape:
            if kind == "activation_gradient":
                # At a tie, max-pooling may send the gradient to either: both choices are right, and
                # a ReLU before it (zeros tie) lets neither through.
                shown = np.squeeze(a[f"activation/{where}"]) != 0
                left, right = left * shown, right * shown
            error = relative_error(left, right, floors.get(kind or key, 0.0))
        if error is None or not error <= TOLERANCE:
            return Difference(
                where=where,
                quantity=quantity,
                a=f"{name_a}: {_sample(a, key)}",
                b=f"{name_b}: {_sample(b, key)}",
                shape_a=a[key].shape if key in a else (),
                shape_b=b[key].shape if key in b else (),
                error=error,
            )
    return None


def by_quantity(arrays: Iterable[str]) -> dict[str, list[str]]:
    """The keys of stored arrays, ``quantity/name`` or ``quantity``, by their quantity."""
    grouped: dict[str, list[str]] = {}
    for key in arrays:
        grouped.setdefault(key.split("/", 1)[0], []).append(key)
    return grouped


def _errors(a: Arrays, b: Arrays) -> dict[str, float]:
    """The largest relative error of each quantity that identity rests on."""
    kinds = {"output": "output", "loss": "loss", "gradient": "gradients"}
    kinds |= {f"after_steps_{o}": f"after_steps_{o}" for o in OPTIMIZERS}
    errors = {}
    for kind, keys in by_quantity(dict.fromkeys([*a, *b])).items():
        if kind in kinds:
            norms = [_norms_of(a, b, key) for key in keys]
            floor = FLOOR * max(of_a for of_a, _, _ in norms)
            shares = [_share(each, floor) for each in norms]
            errors[kinds[kind]] = math.inf if any(map(math.isnan, shares)) else max(shares)
    errors["after_steps"] = max(errors.get(f"after_steps_{o}", math.inf) for o in OPTIMIZERS)
    return errors


def _norms_of(a: Arrays, b: Arrays, key: str) -> Norms:
    """Each side is read once: an array in a file is read anew whenever it is asked for."""
    left, right = a.get(key), b.get(key)
    if left is None or right is None or left.shape != right.shape:
        return 0.0, 0.0, math.inf
    return _norms(left, right)


def _norms(a: Array, b: Array) -> Norms:
    with np.errstate(invalid="ignore"):  # two infinities differ by NaN, which no bound accepts
        apart = float(np.linalg.norm(a - b))
    return float(np.linalg.norm(a)), float(np.linalg.norm(b)), apart


def _share(norms: Norms, floor: float) -> float:
    of_a, of_b, apart = norms
    scale = max(of_a, of_b, floor)
    return apart / scale if scale > 0 else apart


def _floors(arrays: Arrays) -> dict[str, float]:
    """By kind of array, the norm below which an error counts as if the array were that large."""
    return {
        kind: FLOOR * max(float(np.linalg.norm(arrays[key])) for key in keys)
        for kind, keys in by_quantity(arrays).items()
    }


def _in_order(arrays: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Quantity and key of everything compared, in the order in which a difference would arise."""
    groups = by_quantity(arrays)
    forward = groups.get("activation", [])
    yield from (("output of the layer", key) for key in forward)
    yield "output", "output"
    yield "loss", "loss"
    layers = [key.split("/", 1)[1] for key in forward]
    gradients = groups.get("gradient", [])
    for layer in reversed(layers):
        if f"activation_gradient/{layer}" in groups.get("activation_gradient", ()):
            yield "gradient of the output", f"activation_gradient/{layer}"
        for key in gradients:
            if key.removeprefix("gradient/").rpartition(".")[0] == layer:
                yield "gradient", key
    yield from (("gradient", key) for key in gradients)
    for optimizer in OPTIMIZERS:
        for key in groups.get(f"after_steps_{optimizer}", []):
            yield f"value after {STEPS} steps of {optimizer}", key


def _wrong_facts(spec: ModelSpec, facts: Mapping[str, Mapping[str, Any]]) -> str | None:
    forward = spec.flops("forward")
    for name, counted in facts.items():
        if counted["parameters"] != spec.parameters:
            return f"{name} has {counted['parameters']} parameters, the spec {spec.parameters}"
        if counted["flops"] is not None and counted["flops"] != forward:
            return f"{name} does {counted['flops']:.0f} FLOPs per sample, the spec {forward:.0f}"
    digests = {counted["weights_sha256"] for counted in facts.values()}
    return "the workers drew different weights" if len(digests) > 1 else None


def _notes(spec: ModelSpec) -> tuple[str, ...]:
    notes = []
    if spec.dropout:
        notes.append(
            "Dropout is off where identity is proven; where the model trains, each framework draws"
            " its own masks, so the timed check compares inference alone."
        )
    if spec.kind == "tokens":
        notes.append(
            "Identity under Adam is proven on tokens that do not repeat: on TensorFlow, Keras' Adam"
            " squares an embedding's sparse gradient before it adds up repeated tokens, which is"
            " not the gradient's square. SGD is proven, and timed, on tokens that do repeat."
        )
    return tuple(notes)


def _distinct(session: Session, seed: int) -> Any:
    """The batch, or for tokens one in which none repeats (see the note on Adam)."""
    spec, size = session.spec, session.batch_size
    if spec.kind != "tokens":
        return session.batch
    made = inputs.synthetic(spec.kind, spec.input_shape, spec.classes, size, seed, spec.vocabulary)
    count = math.prod(made.x.shape)
    tokens = np.random.default_rng(seed).permutation(max(spec.vocabulary or 0, count))[:count]
    x = (tokens % (spec.vocabulary or 1)).reshape(made.x.shape).astype(made.x.dtype)
    return session.adapter.place(replace(made, x=x))


def _sample(arrays: Arrays, key: str) -> str:
    """The first few values and the norm, for a person to see how two twins differ."""
    if key not in arrays:
        return "nothing"
    array = arrays[key]
    head = ", ".join(f"{value:.6g}" for value in np.ravel(array)[:SHOWN])
    return f"[{head}{', ...' if array.size > SHOWN else ''}], norm {np.linalg.norm(array):.9g}"
