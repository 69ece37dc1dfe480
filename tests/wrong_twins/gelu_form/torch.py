"""The small net in PyTorch with an approximate GELU."""

from torch import nn

from benchmarks.models._spec import ModelSpec
from tests.wrong_twins._net.torch import build as build_net


def build(spec: ModelSpec) -> nn.Module:
    """The model, its weights not yet set."""
    return build_net(spec, gelu="tanh")
