"""JAX through Keras: the functions that ``fit`` and ``predict`` compile with XLA.

They are stateless: variables go in, are donated, and come out anew. As in ``fit``, what came out of
one step goes into the next, and returns to the variables only when someone looks at them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters import _keras
from benchmarks.adapters._carried import Carried
from benchmarks.adapters._protocol import Array, Epoch, Settings, Trace
from benchmarks.dialects import jaxpr_flops
from benchmarks.models._spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.inputs import Batch, Dataset
    from benchmarks.weights import Weights
    from profilers.ops.rows import Recording

POOL = "tf_XLAEigen"
"""The name of the threads in the pool that XLA computes with on the CPU."""


@dataclass
class Model(_keras.Model):
    """A Keras model and what its variables hold meanwhile."""

    carried: Carried = field(kw_only=True)


class JAX(_keras.Keras):
    """Keras 3 on JAX."""

    requires: ClassVar[tuple[str, ...]] = ("jax", "keras")
    modes: ClassVar[Mapping[str, bool]] = {"xla": False}
    proof_mode: ClassVar[str] = "xla"
    env: ClassVar[Mapping[str, str]] = {
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or it takes the device from its neighbours
    }
    profile_env: ClassVar[Mapping[str, str]] = {
        "XLA_FLAGS": "--xla_dump_to={dump} --xla_dump_hlo_as_text"
    }

    def __init__(self, settings: Settings) -> None:
        if settings.policy != "defaults":
            os.environ["NPROC"] = str(settings.threads)  # read when XLA makes its pool of threads
        import jax

        jax.config.update("jax_platforms", settings.device)
        jax.config.update("jax_enable_x64", settings.storage == "float64")
        if settings.tf32 is not None:
            products = "tensorfloat32" if settings.tf32 else "float32"
            jax.config.update("jax_default_matmul_precision", products)

        self.jax, self.pending, self.peak = jax, list[Any](), 0
        try:
            self.device = jax.devices()[0]
        except (RuntimeError, AssertionError) as error:  # the latter where no plugin is installed
            raise NotImplementedError(f"JAX sees no {settings.device}") from error

        import keras

        self.adopt(keras, settings)

    def model(self, spec: ModelSpec, network: Any) -> Model:
        jax, carried, pending = self.jax, Carried(network), self.pending

        def loss(state: Any, x: Any, y: Any) -> Any:
            return self._loss(network, state, x, y)

        def backward(state: Any, x: Any, y: Any) -> Any:
            def of(trainable: Any) -> Any:
                return self._loss(network, (trainable, *state[1:]), x, y, scaled=True)

            return jax.value_and_grad(of, has_aux=True)(state[0])

        loss_of, slopes_of = (jax.jit(self.counted(f)) for f in (loss, backward))

        def infer(batch: Any) -> Any:
            outputs, state = network.predict_function(carried.take()[:2], iter((batch[:1],)))
            carried.put(*state)
            pending.append(outputs)
            return outputs

        def run_loss(x: Any, y: Any) -> Any:
            value, fixed = loss_of(carried.take(), x, y)
            carried.put(carried.take()[0], fixed)
            pending.append(value)
            return value

        def run_backward(x: Any, y: Any) -> Any:
            (value, fixed), slopes = slopes_of(carried.take(), x, y)
            carried.put(carried.take()[0], fixed)
            pending.append(value)
            return value, slopes

        return Model(
            spec=spec,
            network=network,
            infer=infer,
            loss=run_loss,
            backward=run_backward,
            step=self._stepper(carried),
            carried=carried,
        )

    def stepper(self, network: Any) -> Callable[[Any], Any]:
        carried = Carried(network)
        step = self._stepper(carried)

        def settled(batch: Any) -> Any:
            logs = step(batch)
            carried.settle()
            return logs

        return settled

    def reset(self, model: Any, weights: Weights) -> None:
        model.carried.settle()
        super().reset(model, weights)
        self.jax.block_until_ready([v.value for v in model.network.variables])

    def export(self, model: Any) -> Weights:
        model.carried.settle()
        return super().export(model)

    def epoch(self, model: Any, data: Dataset, batch: int) -> Epoch:
        made = super().epoch(model, data, batch)

        def run() -> tuple[float, float, float, float]:
            model.carried.settle()
            return made.run()

        return Epoch(run=run)

    def batches(self, x: Array, y: Array, data: Dataset, batch: int) -> Any:
        dtype, scale = self.asked.storage, data.scale

        class Batches(self.keras.utils.PyDataset):  # type: ignore[name-defined]
            """Keras' own way to feed a backend that brings no pipeline."""

            def __len__(self) -> int:
                return len(y) // batch

            def __getitem__(self, index: int) -> Any:
                part = slice(index * batch, (index + 1) * batch)
                floats = x[part].astype(dtype) / scale if x.dtype == "uint8" else x[part]
                return floats, y[part]

        return Batches()

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        return _Placed(super().loader(data, batch), self._placed)

    def place(self, batch: Batch) -> Any:
        floats = batch.x.dtype.kind == "f"
        x = self.dialect_rules.images(batch.x)
        x = x.astype(self.asked.storage) if floats else x
        return self.jax.block_until_ready(self._placed((x, batch.y)))

    def synchronize(self) -> None:
        self.jax.block_until_ready(self.pending)
        self.pending.clear()

    def device_peak_bytes(self) -> int | None:
        """As the protocol says; JAX cannot reset its peak, so one that did not rise is unknown."""
        if self.asked.device == "cpu":
            return None
        before, self.peak = self.peak, int(self.device.memory_stats()["peak_bytes_in_use"])
        return self.peak if self.peak > before else None

    def trace(self, model: Any, batch: Any) -> Trace:
        """Gradients of parameters alone: JAX takes none of what lies between."""
        array, criterion = self.dialect_rules.array, self.criterion()
        model.carried.settle()
        probe, names = self.dialect_rules.watched(model.network)
        sought = self.dialect_rules.trainable(model.network, model.spec.layers)
        fixed = [v.value for v in probe.non_trainable_variables]

        def loss_of(trainable: Any) -> Any:
            outputs, _ = probe.stateless_call(trainable, fixed, batch[0], training=True)
            outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
            return criterion(batch[1], outputs[-1]), outputs

        taken = self.jax.value_and_grad(loss_of, has_aux=True)
        (loss, outputs), slopes = taken([v.value for v in probe.trainable_variables])
        by_variable = {id(v): s for v, s in zip(probe.trainable_variables, slopes, strict=True)}
        return Trace(
            output=array(outputs[-1]),
            loss=array(loss),
            activations={n: array(o) for n, o in zip(names, outputs, strict=True)},
            gradients={key: array(by_variable[id(v)]) for key, v in sought.items()},
        )

    def flops(self, model: Any, batch: Any) -> float | None:
        """As the protocol says; XLA itself would count what it compiled, not what was written."""

        def forward(trainable: Any, fixed: Any, x: Any) -> Any:
            return model.network.stateless_call(trainable, fixed, x, training=False)

        trainable, fixed, *_ = model.carried.take()
        return jaxpr_flops.count(self.jax.make_jaxpr(forward)(trainable, fixed, batch[0]).jaxpr)

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        jax, dtype = self.jax, self.asked.compute
        a, b, source = (jax.numpy.ones(n, dtype) for n in ((size, size), (size, size), (copied,)))
        multiply, negate = jax.jit(jax.numpy.matmul), jax.jit(jax.numpy.negative)

        def kept(run: Callable[..., Any], *operands: Any) -> Callable[[], Any]:
            return lambda: self.pending.append(run(*operands))

        return kept(multiply, a, b), kept(negate, source)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        from profilers.ops import jax as ops

        return self.recorded(ops.record, model, step, steps, dumped)

    def settings(self) -> dict[str, Any]:
        jax, cpu = self.jax, self.asked.device == "cpu"
        return {
            **self.keras_settings(),
            "threads": self._threads() if cpu else None,
            "interop_threads": "XLA's own dispatch, which cannot be set",
            "tf32": jax.config.jax_default_matmul_precision not in {"float32", "highest"},
            "autotune": None if cpu else True,
            "flush_denormals": self._flushes_denormals() if cpu else None,
            "onednn": False,  # no release of jaxlib brings it
            "version": f"{jax.__version__}, Keras {self.keras.__version__}",
            "loader": "keras.utils.PyDataset in the training process",
        }

    def _loss(self, network: Any, state: Any, x: Any, y: Any, *, scaled: bool = False) -> Any:
        """The loss and the changed values of what is not trained, as Keras' own step takes them."""
        trainable, fixed, optimizer, metrics = state
        value, (unscaled, _, fixed, _) = network.compute_loss_and_updates(
            trainable, fixed, metrics, x, y, None, training=True, optimizer_variables=optimizer
        )
        return (value if scaled else unscaled), fixed

    def _stepper(self, carried: Carried) -> Callable[[Any], Any]:
        def step(batch: Any) -> Any:
            logs, state = carried.network.train_function(carried.take(), iter((batch,)))
            carried.put(*state)
            self.pending.append(logs)
            return logs

        return step

    def _placed(self, batch: Any) -> Any:
        return tuple(self.jax.device_put(part, self.device) for part in batch)

    @staticmethod
    def _threads() -> int:
        """The threads of XLA's pool, counted in the process: JAX itself does not tell."""
        names = (task / "comm" for task in Path("/proc/self/task").iterdir())
        return sum(name.read_text().startswith(POOL) for name in names)

    def _flushes_denormals(self) -> bool:
        """Found by experiment: half of the smallest normal number."""
        halved = self.jax.jit(lambda x: x * 0.5)(self.jax.numpy.float32(2.0**-126))
        return bool(halved == 0)


class _Placed:
    """A loader whose batches are on the device as they come."""

    def __init__(self, host: Any, place: Callable[[Any], Any]) -> None:
        self.host, self.place = host, place

    def __iter__(self) -> Any:
        for index in range(len(self.host)):
            yield self.place(self.host[index])


ADAPTER = JAX
