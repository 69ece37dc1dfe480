"""What differs between Keras' engines in a proof: how gradients are taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Loss(Protocol):
    """Computes the total loss anew, from the variables as they stand; eager."""

    def __call__(self, inputs: list[Any], *, watched: bool) -> Any:
        """The scalar loss of these float inputs.

        ``watched`` is false for a pass whose tensors have no values, of which nothing can be kept.
        """


Slopes = tuple[list[Any], list[Any]]


def gradients(loss: Loss, variables: list[Any], inputs: list[Any]) -> Slopes:
    """Gradients of a loss: of Keras variables, and of the float inputs it is given.

    Where TensorFlow gives an embedding's gradient as indexed rows, those are kept as they are; see
    ``dense``. ``None`` stands where nothing reaches; JAX gives zeros there.
    """
    import keras

    return _ENGINES[keras.backend.backend()](loss, variables, inputs)


def _tensorflow(loss: Loss, variables: list[Any], inputs: list[Any]) -> Slopes:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        for one in inputs:
            tape.watch(one)
        value = loss(inputs, watched=True)
    found = tape.gradient(value, [v.value for v in variables] + inputs)
    return found[: len(variables)], found[len(variables) :]


def _torch(loss: Loss, variables: list[Any], inputs: list[Any]) -> Slopes:
    import torch

    inputs = [one.detach().clone().requires_grad_() for one in inputs]
    value = loss(inputs, watched=True)
    wanted = [v.value for v in variables] + inputs
    reached = wanted and value.requires_grad
    found = list(torch.autograd.grad(value, wanted, allow_unused=True) if reached else wanted)
    found = found if reached else [None] * len(wanted)
    return found[: len(variables)], found[len(variables) :]


def _jax(loss: Loss, variables: list[Any], inputs: list[Any]) -> Slopes:
    """Take them from a pass without side effects; a second, eager one is kept and moves buffers."""
    import jax
    import keras

    def pure(values: list[Any], given: list[Any]) -> Any:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            return loss(given, watched=False)

    found = jax.grad(pure, argnums=(0, 1))([v.value for v in variables], inputs)
    with eager():
        loss(inputs, watched=True)
    return found


_ENGINES = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}


@contextmanager
def eager() -> Iterator[None]:
    """Have JAX run its loops step by step while it lasts, so that every tensor has a value."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        with jax.disable_jit():
            yield
    else:
        yield


def dense(gradient: Any) -> Any:
    """A gradient as one tensor; indexed rows that repeat are added up."""
    if not indexed(gradient):
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def indexed(gradient: Any) -> bool:
    """Whether a gradient comes as the rows of a table, some of which may repeat."""
    return type(gradient).__name__ == "IndexedSlices"
