"""A Keras model on JAX, as it is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.frameworks._keras.program import KerasProgram
from benchmarks.frameworks.contracts import Generates, Placed
from benchmarks.frameworks.description import Arrays
from benchmarks.frameworks.jax.objectives import Objectives


class Carried:
    """What a network's variables hold, carried from step to step outside of them."""

    def __init__(self, network: Any, optimizers: list[Any]) -> None:
        self.network, self.optimizers = network, optimizers
        self._state: tuple[Any, ...] | None = None

    def arrays(self) -> tuple[Any, ...]:
        """Trainable, other, optimizer's and metrics' values, in this order."""
        if self._state is None:
            self._state = tuple([v.value for v in group] for group in self._groups())
        return self._state

    def put(self, *changed: Any) -> None:
        """Carry on with these instead of as many first ones."""
        self._state = (*changed, *self.arrays()[len(changed) :])

    def write_back(self) -> None:
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
            [variable for optimizer in self.optimizers for variable in optimizer.variables],
            network.metrics_variables,
        )


class Program(KerasProgram):
    """The stateless functions that ``fit`` and ``predict`` call."""

    def prepare(self) -> None:
        """As the base says."""
        jax, network = self.device.jax, self.network
        network.make_train_function()
        network.make_predict_function()
        self.carried = Carried(network, [training.optimizer for training in self.trainings])
        self.several = Objectives(self) if len(self.trainings) > 1 else None

        def loss(state: Any, data: Any) -> Any:
            return self._stateless(state, data, scaled=False)

        def gradients(state: Any, data: Any) -> Any:
            def of(trainable: Any) -> Any:
                return self._stateless((trainable, *state[1:]), data, scaled=True)

            return jax.value_and_grad(of, has_aux=True)(state[0])

        self._loss, self._slopes = (jax.jit(self.device.counted(f)) for f in (loss, gradients))
        if self.source.postprocess is not None:
            self._postprocess = jax.jit(self.device.counted(self.source.postprocess))

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        state, given = self.carried.arrays()[:2], iter((self.data(batch)[:1],))
        outputs, state = self.network.predict_function(state, given)
        self.carried.put(*state)
        self.device.pending.append(outputs)
        return outputs

    def postprocess(self, outputs: Any) -> Any:
        """As the contract says."""
        made = super().postprocess(outputs)
        self.device.pending.append(made)
        return made

    def generating(self, function: Generates) -> Callable[[Any], Any]:
        """As the base says, of the variables as they are carried."""
        variables = [*self.network.trainable_variables, *self.network.non_trainable_variables]

        def run(state: Any, given: Any) -> Any:
            values = [value for group in state for value in group]
            with self.keras.StatelessScope(list(zip(variables, values, strict=True))):
                return function(self.model, given)

        compiled = self.device.jax.jit(self.device.counted(run))
        return lambda given: compiled(self.carried.arrays()[:2], given)

    def generated(self, name: str, given: Any) -> Any:
        """As the base says."""
        made = super().generated(name, given)
        self.device.pending.append(made)
        return made

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        if self.several is not None:
            return self._taken(self.several.loss, batch)
        value, fixed = self._loss(self.carried.arrays(), self.data(batch))
        return self._kept(value, fixed)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        if self.several is not None:
            return self._taken(self.several.gradients, batch)
        (value, fixed), slopes = self._slopes(self.carried.arrays(), self.data(batch))
        return self._kept(value, fixed), slopes

    def step(self, batch: Placed) -> Any:
        """As the contract says; after the first step since a reset, Keras gives the mean loss."""
        if self.several is not None:
            return self._taken(self.several.step, batch)
        logs, state = self.network.train_function(self.carried.arrays(), iter((self.data(batch),)))
        self.carried.put(*state)
        self.device.pending.append(logs)
        return logs["loss"]

    def reset(self) -> None:
        """As the contract says."""
        self.carried.write_back()
        super().reset()
        self.device.jax.block_until_ready([v.value for v in self.network.variables])

    def export(self) -> Arrays:
        """As the contract says."""
        self.carried.write_back()
        return super().export()

    def settle(self) -> None:
        """As the base says: the variables get what was carried."""
        self.carried.write_back()

    def to_fit(self) -> Any:
        """As the base says, from the variables as they stand."""
        self.carried.write_back()
        return super().to_fit()

    def _taken(self, function: Callable[..., Any], batch: Placed) -> Any:
        """What one of the functions in turn gives, its state carried on."""
        value, state = function(self.carried.arrays(), batch.inputs, batch.targets)
        self.carried.put(*state)
        self.device.pending.append(value)
        return value

    def _kept(self, value: Any, fixed: Any) -> Any:
        self.carried.put(self.carried.arrays()[0], fixed)
        self.device.pending.append(value)
        return value

    def _stateless(self, state: Any, data: Any, *, scaled: bool) -> Any:
        """The loss and the changed values of what is not trained, as Keras' own step takes them."""
        trainable, fixed, optimizer, metrics = state
        x, y = data if len(data) > 1 else (data[0], None)
        value, (unscaled, _, fixed, _) = self.network.compute_loss_and_updates(
            trainable, fixed, metrics, x, y, None, training=True, optimizer_variables=optimizer
        )
        return (value if scaled else unscaled), fixed
