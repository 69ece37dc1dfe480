"""The state that Keras keeps in variables, handed from step to step as JAX wants it."""

from __future__ import annotations

from typing import Any


class Carried:
    """What a network's variables hold, carried from step to step outside of them."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self._state: tuple[Any, ...] | None = None

    def take(self) -> tuple[Any, ...]:
        """Trainable, other, optimizer's and metrics' values, in this order."""
        if self._state is None:
            self._state = tuple([v.value for v in group] for group in self._groups())
        return self._state

    def put(self, *changed: Any) -> None:
        """Carry on with these instead of as many first ones."""
        self._state = (*changed, *self.take()[len(changed) :])

    def settle(self) -> None:
        """Write back to the variables."""
        for variables, values in zip(self._groups(), self._state or (), strict=False):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._state = None

    def _groups(self) -> tuple[Any, ...]:
        network = self.network
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )
