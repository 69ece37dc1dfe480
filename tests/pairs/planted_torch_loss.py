from torch.nn import functional as F

from planted_torch import mlp

__all__ = ["mlp"]


def loss(outputs, targets):
    return {"ce": F.cross_entropy(outputs["output"], targets["y"])}
