"""A training step on JAX that minimises several objectives in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

State = tuple[Any, ...]
"""Values of trainable, other, the optimizers' and the metrics' variables."""


class Objectives:
    """Stateless functions of a network's values, and of inputs and targets in the task's order.

    Attributes:
        loss: the sum of the losses, and the state with what the forward passes changed.
        gradients: the losses and gradients of each objective, and the same.
        step: the sum of the losses, and the state after each has moved its weights.
    """

    def __init__(self, program: Any) -> None:
        network, jax, counted = program.network, program.device.jax, program.device.counted
        self.jax, self.keras, self.trainings = jax, program.keras, program.trainings
        self.trainable = list(network.trainable_variables)
        self.fixed = list(network.non_trainable_variables)
        places = {id(variable): i for i, variable in enumerate(self.trainable)}
        self.places = [[places[id(v)] for v in training.moved] for training in self.trainings]
        self.loss: Callable[..., Any] = jax.jit(counted(self._loss))
        self.gradients: Callable[..., Any] = jax.jit(counted(self._gradients))
        self.step: Callable[..., Any] = jax.jit(counted(self._step), donate_argnums=0)

    def _loss(self, state: State, given: Any, wanted: Any) -> tuple[Any, State]:
        total = 0.0
        for training in self.trainings:
            value, state = self._passed(training, state, given, wanted)
            total = total + value
        return total, state

    def _gradients(self, state: State, given: Any, wanted: Any) -> tuple[Any, State]:
        found = []
        for training, places in zip(self.trainings, self.places, strict=True):
            value, slopes, state = self._slopes(training, places, state, given, wanted)
            found.append((value, slopes))
        return found, state

    def _step(self, state: State, given: Any, wanted: Any) -> tuple[Any, State]:
        total, moments = 0.0, []
        rest = list(state[2])
        for training, places in zip(self.trainings, self.places, strict=True):
            value, slopes, state = self._slopes(training, places, state, given, wanted)
            count = len(training.optimizer.variables)
            own, rest = rest[:count], rest[count:]
            moved, own = training.optimizer.stateless_apply(
                own, slopes, [state[0][place] for place in places]
            )
            state = (_placed(state[0], places, moved), *state[1:])
            moments += own
            total = total + value
        return total, (*state[:2], moments, *state[3:])

    def _slopes(
        self, training: Any, places: list[int], state: State, given: Any, wanted: Any
    ) -> tuple[Any, Any, State]:
        """The loss of an objective, its gradients, and the state with what its pass changed."""

        def of(moved: list[Any]) -> tuple[Any, State]:
            here = (_placed(state[0], places, moved), *state[1:])
            value, after = self._passed(training, here, given, wanted)
            return value, after[1]

        chosen = [state[0][place] for place in places]
        (value, fixed), slopes = self.jax.value_and_grad(of, has_aux=True)(chosen)
        return value, slopes, (state[0], fixed, *state[2:])

    def _passed(self, training: Any, state: State, given: Any, wanted: Any) -> tuple[Any, State]:
        """The loss of an objective, and the state with what its forward pass changed."""
        variables, values = [*self.trainable, *self.fixed], [*state[0], *state[1]]
        mapping = list(zip(variables, values, strict=True))
        with self.keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            value = training.loss(given, wanted)
        fixed = [scope.get_current_value(variable) for variable in self.fixed]
        return value, (state[0], fixed, *state[2:])


def _placed(values: list[Any], places: list[int], moved: list[Any]) -> list[Any]:
    """The values with those at some places exchanged."""
    found = list(values)
    for place, value in zip(places, moved, strict=True):
        found[place] = value
    return found
