"""How PyTorch stores what every twin has, and how its layers are watched for the proof.

Canonical weights are Keras' (height, width, inputs, filters; inputs, units). One rule per layer
type says which attribute holds a parameter and how its axes turn; gradients turn the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.adapters._protocol import Trace
from benchmarks.models._spec import LSTM, BatchNorm, Conv2D, Dense, Embedding, Layer
from benchmarks.weights import Weights

Array = NDArray[Any]
Grid = tuple[int, int, int]
CANONICAL_RANK = 4  # images: the only tensors whose axes differ between the dialects


class Slot(NamedTuple):
    """Where a canonical parameter lives in a module, and how to turn it there and back."""

    key: str
    attribute: str
    to_torch: Callable[[Array], Array]
    from_torch: Callable[[Array], Array]


def load(model: torch.nn.Module, layers: Sequence[Layer], weights: Weights) -> None:
    """Copy canonical weights into the model, in its own precision and on its own device.

    Raises:
        KeyError: the model has no module of a layer's name.
        RuntimeError: a shape does not fit; the text names both shapes.
    """
    with torch.no_grad():
        for slot, module in _slots(model, layers):
            values = torch.from_numpy(np.ascontiguousarray(slot.to_torch(weights[slot.key])))
            target = getattr(module, slot.attribute)
            if target.shape != values.shape:
                raise RuntimeError(
                    f"{slot.key}: {tuple(target.shape)} here, {tuple(values.shape)} in the spec"
                )
            target.copy_(values)


def export(model: torch.nn.Module, layers: Sequence[Layer]) -> Weights:
    """Canonical copies of every parameter and buffer the spec lists."""
    return {
        slot.key: slot.from_torch(_numpy(getattr(module, slot.attribute)))
        for slot, module in _slots(model, layers)
    }


def gradients(model: torch.nn.Module, layers: Sequence[Layer]) -> Weights:
    """Canonical gradients of the trainable parameters after a backward pass."""
    return {
        slot.key: slot.from_torch(_numpy(getattr(module, slot.attribute).grad))
        for slot, module in _slots(model, layers)
        if getattr(module, slot.attribute).requires_grad
    }


def parameter_count(model: torch.nn.Module, layers: Sequence[Layer]) -> int:
    """Parameters of the model; the second bias of an LSTM, held at zero, is not counted."""
    spare = sum(4 * layer.units for layer in layers if isinstance(layer, LSTM))
    return sum(p.numel() for p in model.parameters()) - spare


def trace(
    model: torch.nn.Module,
    layers: Sequence[Layer],
    loss: Callable[[Any, Any], Any],
    batch: tuple[Any, Any],
) -> Trace:
    """One training-mode forward and backward pass, every named layer watched.

    Activations and their gradients come channels last, keyed by the layer's name.
    """
    seen: dict[str, torch.Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if name and not list(module.children()):
            hooks.append(module.register_forward_hook(_keeper(name, seen)))
    try:
        model.zero_grad(set_to_none=True)
        output = model(batch[0])
        value = loss(output, batch[1])
        value.backward()
    finally:
        for hook in hooks:
            hook.remove()
    grids = _grids(list(seen), layers)
    return Trace(
        output=_numpy(output),
        loss=_numpy(value),
        activations={name: _canonical(_numpy(kept), grids[name]) for name, kept in seen.items()},
        activation_gradients={
            name: _canonical(_numpy(kept.grad), grids[name])
            for name, kept in seen.items()
            if kept.grad is not None
        },
        gradients=gradients(model, layers),
    )


def biased_variance(
    model: torch.nn.Module,
    exported: Weights,
    start: Weights,
    layers: Sequence[Layer],
    *,
    batch: int,
    steps: int,
) -> Weights:
    """Restate running variances as Keras keeps them, after ``steps`` batches of ``batch`` samples.

    PyTorch feeds its running variance the unbiased estimate, Keras the biased one. Both follow
    ``r <- keep * r + (1 - keep) * v``, so what the batches added differs by exactly n / (n - 1),
    with n = batch x height x width values per channel.
    """
    restated = dict(exported)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    for layer in layers:
        if isinstance(layer, BatchNorm) and layer.trainable:
            key, n = f"{layer.name}.variance", batch * layer.reduction
            left = (1 - norms[layer.name].momentum) ** steps * start[key]
            restated[key] = left + (exported[key] - left) * (n - 1) / n
    return restated


def channels_last(array: Array) -> Array:
    """(n, c, h, w) as (n, h, w, c); anything else as it is."""
    return np.moveaxis(array, 1, -1) if array.ndim == CANONICAL_RANK else array


def _grids(names: Sequence[str], layers: Sequence[Layer]) -> dict[str, Grid | None]:
    """For each watched module, the grid that the next dense layer was flattened from."""
    dense = {layer.name: layer.grid for layer in layers if isinstance(layer, Dense)}
    grids: dict[str, Grid | None] = {}
    grid: Grid | None = None
    for name in reversed(names):
        grids[name] = None if name in dense else grid
        grid = dense.get(name, grid)
    return grids


def _canonical(array: Array, grid: Grid | None) -> Array:
    """Channels last, in a flattened map too."""
    if grid and array.shape[1:] == (math.prod(grid),):
        height, width, channels = grid
        maps = array.reshape(-1, channels, height, width)
        return channels_last(maps).reshape(array.shape)
    return channels_last(array)


def _keeper(name: str, seen: dict[str, torch.Tensor]) -> Callable[..., torch.Tensor | None]:
    def keep(_module: Any, _inputs: Any, output: Any) -> torch.Tensor | None:
        # An LSTM gives (states, (last state, last cell)); Keras' gives its last state.
        tensor = output[1][0][-1] if isinstance(output, tuple) else output
        seen[name] = tensor
        if tensor.requires_grad:
            tensor.retain_grad()
        # The model goes on with a clone: an in-place ReLU would overwrite what was seen.
        return tensor.clone() if tensor is output else None

    return keep


def _slots(model: torch.nn.Module, layers: Sequence[Layer]) -> Iterator[tuple[Slot, Any]]:
    modules = dict(model.named_modules())
    for layer in layers:
        if layer.name not in modules:
            raise KeyError(f"the PyTorch twin has no module named {layer.name!r}")
        for parameter, attribute, there, back in _RULES[type(layer)](layer):
            yield Slot(f"{layer.name}.{parameter}", attribute, there, back), modules[layer.name]


def _same(array: Array) -> Array:
    return array


def _turned(array: Array) -> Array:
    return array.T


def _conv(layer: Any) -> Iterator[tuple[str, str, Any, Any]]:
    yield "kernel", "weight", lambda k: k.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0)
    if layer.bias:
        yield "bias", "bias", _same, _same


def _dense(layer: Any) -> Iterator[tuple[str, str, Any, Any]]:
    if layer.grid is None:
        yield "kernel", "weight", _turned, _turned
    else:
        height, width, channels = layer.grid

        def there(kernel: Array) -> Array:
            rows = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
            return rows.reshape(kernel.shape).T

        def back(weight: Array) -> Array:
            rows = weight.T.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
            return rows.reshape(weight.T.shape)

        yield "kernel", "weight", there, back
    yield "bias", "bias", _same, _same


def _norm(_layer: Any) -> Iterator[tuple[str, str, Any, Any]]:
    yield "gamma", "weight", _same, _same
    yield "beta", "bias", _same, _same
    yield "mean", "running_mean", _same, _same
    yield "variance", "running_var", _same, _same


def _embedding(_layer: Any) -> Iterator[tuple[str, str, Any, Any]]:
    yield "table", "weight", _same, _same


def _lstm(_layer: Any) -> Iterator[tuple[str, str, Any, Any]]:
    yield "kernel", "weight_ih_l0", _turned, _turned
    yield "recurrent_kernel", "weight_hh_l0", _turned, _turned
    yield "bias", "bias_ih_l0", _same, _same


_RULES: dict[type, Callable[[Any], Iterator[tuple[str, str, Any, Any]]]] = {
    Conv2D: _conv,
    Dense: _dense,
    BatchNorm: _norm,
    Embedding: _embedding,
    LSTM: _lstm,
}


def _numpy(tensor: torch.Tensor | None) -> Array:
    if tensor is None:
        raise RuntimeError("a trainable parameter got no gradient")
    return tensor.detach().cpu().double().numpy().copy()
