"""Moves weights of our PyTorch twins into torchvision's models: how far are outputs apart?

As a program it writes to stdout, for each model that an argument names, the relative L2 difference
in float64, as a line of JSON. Statistics of normalisations are drawn, too, and both models infer.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.proof.compare import relative_error
from benchmarks.request import discovery

SIDES = {
    "alexnet": 224,  # below, its adaptive pooling would give other maps than there are
    "vgg16": 224,
    "squeezenet": 64,
    "resnet18": 64,
    "resnet50": 64,
    "densenet121": 64,
    "mobilenet_v2": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
    "inception_v3": 75,
    "vit_b16": 224,
}
"""Side of the image, by model."""
NAMES = {"squeezenet": "squeezenet1_0", "vit_b16": "vit_b_16"}
"""Names of torchvision's that are not ours."""
MORE = {"inception_v3": {"aux_logits": False, "init_weights": False}}
ROLES = {"layer_scale": "gamma", "class_token": "table", "pos_embedding": "table"}
"""Names of parameters of torchvision's that our twins call otherwise."""
SKIPPED = "num_batches_tracked"


def _torchvision() -> Any:
    """torchvision; one that was built for another PyTorch lacks operators, which no model needs."""
    import torch

    try:
        return import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            lacking = f"torchvision::{name}"
            torch.library.define(lacking, "(Tensor boxes, Tensor scores, float iou) -> Tensor")
        return import_module("torchvision")


def _slots(module: Any) -> dict[tuple[str, tuple[int, ...]], list[Any]]:
    """Parameters and buffers in the order of a module, by what they are and shape without ones."""
    found: dict[tuple[str, tuple[int, ...]], list[Any]] = {}
    for path, tensor in module.state_dict().items():
        leaf = path.rpartition(".")[2]
        if leaf != SKIPPED:
            shape = tuple(n for n in tensor.shape if n != 1)
            found.setdefault((ROLES.get(leaf, leaf), shape), []).append(tensor)
    return found


def apart(name: str) -> float:
    """The relative L2 difference of the outputs of our twin and of torchvision's model."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    side = SIDES[name]
    task = discovery.imported(name).at({"image": (side, side, 3)})
    ours = discovery.twin(name, "torch").build(task).eval()
    build = _torchvision().models.get_model
    theirs = build(NAMES.get(name, name), weights=None, **MORE.get(name, {})).eval()
    mine, others = _slots(ours), _slots(theirs)
    assert mine.keys() == others.keys()
    with torch.no_grad():
        for key, tensors in mine.items():
            assert len(tensors) == len(others[key]), key
            for tensor, other in zip(tensors, others[key], strict=True):
                if tensor.ndim == 1:  # one that starts at 0 or 1 would hide a slip
                    tensor.add_(0.1 * torch.randn_like(tensor))
                other.copy_(tensor.reshape(other.shape))
        x = torch.randn(2, 3, side, side)
        return relative_error(np.asarray(ours(x)), np.asarray(theirs(x)))


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: apart(name) for name in sys.argv[1:]}) + "\n")
