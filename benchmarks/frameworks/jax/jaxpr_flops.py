"""FLOPs of a JAX program, counted from its operations as written, before XLA has changed them."""

from __future__ import annotations

from math import prod
from typing import Any


def count(program: Any) -> float:
    """Two per multiply-accumulate of every product and convolution.

    Args:
        program: a jaxpr; those inside its operations count, too, a loop's as often as it runs.
    """
    total = 0.0
    for operation in program.eqns:
        name, given = operation.primitive.name, operation.params
        if name == "dot_general":
            (contracted, _), _ = given["dimension_numbers"]
            shape = operation.invars[0].aval.shape
            total += 2.0 * _size(operation) * prod(shape[axis] for axis in contracted)
        elif name == "conv_general_dilated":
            out, into, *grid = given["dimension_numbers"].rhs_spec
            del out
            shape = operation.invars[1].aval.shape
            total += 2.0 * _size(operation) * shape[into] * prod(shape[axis] for axis in grid)
        inner = sum(count(part) for value in given.values() for part in _programs(value))
        total += inner * given.get("length", 1) if name == "scan" else inner
    return total


def _size(operation: Any) -> int:
    return prod(operation.outvars[0].aval.shape)


def _programs(value: Any) -> list[Any]:
    """The programs that a parameter of an operation holds, if any."""
    every = value if isinstance(value, list | tuple) else [value]
    found = [getattr(one, "jaxpr", one) for one in every]
    return [one for one in found if hasattr(one, "eqns")]
