"""FLOPs of a TensorFlow graph, counted from its operations; no framework is imported for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def count(wanted: list[Any], value_of: Callable[[Any], Any]) -> float:
    """Two per multiply-accumulate of every operation that an output needs.

    Walking back from the outputs leaves out what the runtime prunes: the step that Keras' LSTM
    runs beforehand only to learn its output's shape.

    Args:
        wanted: the operations of the outputs.
        value_of: the value of a tensor that is constant, or ``None``.
    """
    total, seen = 0.0, set()
    while wanted:
        op = wanted.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        wanted.extend(tensor.op for tensor in op.inputs)
        if op.type in {"While", "StatelessWhile"}:
            condition, body = (
                op.graph._get_function(op.get_attr(part).name).graph  # noqa: SLF001 - no public name
                for part in ("cond", "body")
            )
            turns = _turns(condition.get_operations(), value_of)
            total += turns * count([tensor.op for tensor in body.outputs], value_of)
        elif op.type in {"Conv2D", "MatMul"}:
            total += 2.0 * op.outputs[0].shape.num_elements() * _reduction(op)
    return total


def _turns(condition: list[Any], value_of: Callable[[Any], Any]) -> int:
    """How often a loop over time runs: its counter is compared with a constant."""
    limits = [value_of(o.inputs[1]) for o in condition if o.type == "Less"]
    return min(int(limit) for limit in limits if limit is not None)


def _reduction(op: Any) -> int:
    """Terms in each sum of a convolution (h, w, inputs, filters) or a matrix product."""
    if op.type == "Conv2D":
        return int(op.inputs[1].shape[:3].num_elements())
    return int(op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1])
