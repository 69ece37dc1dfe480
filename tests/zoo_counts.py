"""Parameters and multiply-accumulates of every PyTorch twin of the zoo at its published size.

As a program it builds them without numbers (on PyTorch's ``meta`` device), lets PyTorch's own
counter follow one forward pass, and writes both to stdout as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.request import discovery
from benchmarks.tasks.task import Task


def _inputs(task: Task) -> dict[str, Any]:
    import torch

    made = {}
    for name, one in task.inputs.items():
        shape = one.shape if one.kind != "image" else (one.shape[2], *one.shape[:2])
        kinds = {"tokens": torch.int64, "mask": torch.bool}
        made[name] = torch.zeros(1, *shape, dtype=kinds.get(one.kind, torch.float32))
    return made


def _counted(name: str) -> dict[str, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.frameworks.torch import calls
    from benchmarks.frameworks.torch.weights import Inventory

    task = discovery.task(name)
    with torch.device("meta"), torch.no_grad():
        module = discovery.twin(name, "torch").build(task).to("meta").eval()
        inputs = _inputs(task)
        with FlopCounterMode(display=False) as counter:
            calls.caller(module, list(inputs))(inputs)
    numbers = sum(p.numel() for p in module.parameters()) - Inventory(module).spare()
    return {"parameters": numbers, "macs": counter.get_total_flops() // 2}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: _counted(name) for name in discovery.zoo()}) + "\n")
