"""A network and the optimizer it is trained with: weight decay taken off the weights."""

import torch
from torch import nn


def mlp():
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)
