"""Parameters and multiply-accumulates of every PyTorch twin of the zoo at its published size.

As a program it builds them without numbers (on PyTorch's ``meta`` device), lets PyTorch's own
counter follow one forward pass, and writes both to stdout as one line of JSON. Models that choose
by numbers what they compute are followed only where they are named as arguments: that takes long.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.request import discovery
from benchmarks.tasks.task import Task

NUMBERS = {"faster_rcnn"}
TYPES = {"tokens": "int64", "box_classes": "int64", "mask": "bool", "box_mask": "bool"}


def _inputs(task: Task) -> dict[str, Any]:
    import torch

    made = {}
    for name, one in task.inputs.items():
        shape = one.shape if one.kind != "image" else (one.shape[2], *one.shape[:2])
        kind = task.targets[one.source].kind if one.kind == "known" else one.kind
        made[name] = torch.zeros(1, *shape, dtype=getattr(torch, TYPES.get(kind, "float32")))
    return made


def _counted(name: str, device: str = "meta") -> dict[str, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.frameworks.torch import calls
    from benchmarks.frameworks.torch.weights import Inventory

    task = discovery.task(name)
    with torch.device(device), torch.no_grad():
        module = discovery.twin(name, "torch").build(task).to(device, torch.float32).eval()
        inputs = _inputs(task)
        with FlopCounterMode(display=False) as counter:
            if name not in NUMBERS or device != "meta":
                calls.caller(module, list(inputs))(inputs)
    numbers = sum(p.numel() for p in module.parameters()) - Inventory(module).spare()
    return {"parameters": numbers, "macs": counter.get_total_flops() // 2}


if __name__ == "__main__":
    names = dict.fromkeys(sys.argv[1:], "cpu") or dict.fromkeys(discovery.zoo(), "meta")
    counted = {name: _counted(name, device) for name, device in names.items()}
    sys.stdout.write(json.dumps(counted) + "\n")
