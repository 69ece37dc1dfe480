"""What differs between Keras' engines in a proof: how gradients are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Losses = Callable[[], Any]
"""Computes the total loss anew, from the variables as they stand; eager."""


def gradients(loss: Losses, variables: list[Any], inputs: list[Any]) -> tuple[list[Any], list[Any]]:
    """Gradients of a loss: of Keras variables, and of the tensors that it was given.

    Where TensorFlow gives an embedding's gradient as indexed rows, those are kept as they are; see
    ``dense``. ``None`` stands where nothing reaches.

    Raises:
        NotImplementedError: this engine has none here.
    """
    import keras

    engine = keras.backend.backend()
    if engine == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            for one in inputs:
                tape.watch(one)
            value = loss()
        found = tape.gradient(value, [v.value for v in variables] + inputs)
    elif engine == "torch":
        import torch

        value = loss()
        wanted = [v.value for v in variables] + inputs
        slopes = torch.autograd.grad(value, wanted, allow_unused=True) if wanted else ()
        found = list(slopes)
    else:
        raise NotImplementedError(f"pairs are not proven with Keras on {engine} yet")
    return found[: len(variables)], found[len(variables) :]


def dense(gradient: Any) -> Any:
    """A gradient as one tensor; indexed rows that repeat are added up."""
    if type(gradient).__name__ != "IndexedSlices":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def watched(tensor: Any) -> Any:
    """A copy of an input of which a gradient can be taken."""
    import keras

    if keras.backend.backend() == "torch":
        return tensor.detach().clone().requires_grad_()
    return tensor
