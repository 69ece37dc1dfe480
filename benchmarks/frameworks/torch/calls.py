"""How a PyTorch module is called with named inputs, and the task's loss of what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.frameworks.contracts import Source
from benchmarks.tasks import losses
from benchmarks.tasks.task import Objective, Task, TaskError

Criterion = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""The parts of a loss, of outputs and targets by name."""


def caller(
    module: Any, names: Collection[str], runs: Any = None
) -> Callable[[Mapping[str, Any]], Any]:
    """What calls a module with inputs of these names, in their order.

    ``runs`` is called instead of the module, whose signature says how.

    One input is given by position, several by name where ``forward`` has those names, as one
    mapping where it takes a single argument, and by position otherwise.
    """
    run = module if runs is None else runs
    signature = inspect.signature(module.forward).parameters
    required = [p for p in signature.values() if p.default is p.empty]
    if len(names) > 1 and set(names) <= set(signature):
        return lambda given: run(**given)
    if len(names) > 1 and len(required) == 1:
        return lambda given: run(dict(given))
    return lambda given: run(*given.values())


def named(output: Any, name: str = "output") -> dict[str, Any]:
    """Outputs by name: one tensor is ``output``, a sequence ``output_0``, …, a mapping its keys."""
    if isinstance(output, torch.Tensor):
        return {name: output}
    if isinstance(output, Mapping):
        return {str(k): v for k, v in output.items() if isinstance(v, torch.Tensor)}
    if isinstance(output, tuple | list):
        found: dict[str, Any] = {}
        for index, one in enumerate(output):
            found |= named(one, f"{name}_{index}")
        return found
    return {}


def criterion(source: Source, objective: Objective, first: Collection[str]) -> Criterion:
    """What computes the parts of an objective's loss from outputs and targets by name.

    ``first`` names the outputs that are channels first. All that does not change from step to step
    is found here: an eager step pays for no more than a loss written by hand. What it gives raises
    ``TaskError`` where the model lacks an output that the task names.
    """
    own = source.losses.get(objective.name)
    if own is not None:
        return lambda outputs, targets: _named_parts(own(dict(outputs), dict(targets)))
    rows = [
        (
            f"{part.output}.{part.name}",
            part,
            losses.load(part.name, source.extra).torch,
            part.output in first,
            _is_image(source.task, part.target),
        )
        for part in objective.loss or ()
    ]

    def parts(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, part, loss, turned, image in rows:
            if part.output not in outputs:
                known = ", ".join(outputs)
                raise TaskError(f"the PyTorch side has no output {part.output!r}; it has: {known}")
            output, target = outputs[part.output], targets[part.target]
            output = output.movedim(1, -1) if turned else output
            target = target.movedim(1, -1) if image else target
            value = loss(output, target, **part.options)
            found[name] = value if part.weight == 1 else part.weight * value
        return found

    return parts


def _named_parts(made: Any) -> dict[str, Any]:
    return dict(made) if isinstance(made, Mapping) else {"loss": made}


def total(made: Mapping[str, Any]) -> Any:
    """The sum of all parts."""
    every = list(made.values())
    return every[0] if len(every) == 1 else torch.stack([p.reshape(()) for p in every]).sum()


def tensors(arrays: Mapping[str, Any], task: Task, dtype: torch.dtype) -> dict[str, Any]:
    """Arrays by the name of an input or target, images channels first, floats in ``dtype``."""
    return {
        name: _tensor(
            np.ascontiguousarray(np.moveaxis(held, -1, 1)) if _is_image(task, name) else held, dtype
        )
        for name, held in arrays.items()
    }


def _is_image(task: Task, name: str) -> bool:
    target = task.targets.get(name)
    if target is not None and target.kind != "like":
        return False
    source = task.inputs.get(name if target is None else target.source)
    return source is not None and source.kind == "image"


def _tensor(held: Any, dtype: torch.dtype) -> Any:
    kinds = {"f": dtype, "b": torch.bool}
    return torch.from_numpy(np.array(held)).to(kinds.get(held.dtype.kind, torch.int64))
