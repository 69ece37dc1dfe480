"""A Keras twin for the proof, on JAX."""

from __future__ import annotations

import os

from benchmarks.frameworks._keras import inspection as shared
from benchmarks.frameworks.jax import jaxpr_flops


def set_up(seed: int) -> None:
    """Have JAX compute on the CPU in float64, and import Keras."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", val=True)
    shared.set_up(seed)


class Twin(shared.Twin):
    """As on every engine, with a count of the FLOPs that JAX was asked for."""

    def count(self) -> tuple[float | None, str]:
        """As the contract says; XLA itself would count what it compiled, not what was written."""
        import jax
        import keras

        names = list(self.inputs)

        def infer(*given: object) -> object:
            with keras.StatelessScope():
                return self._call(dict(zip(names, given, strict=True)), training=False)

        try:
            program = jax.make_jaxpr(infer)(*self.inputs.values())
        except Exception as error:
            return None, f"JAX's program could not be counted: {type(error).__name__}"
        return jaxpr_flops.count(program.jaxpr) / self.size, ""
