"""A Keras twin for the proof, on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.frameworks._keras import inspection as shared
from benchmarks.frameworks.tensorflow import graph_flops

THREADS = 2
"""Threads of one of TensorFlow's operations: a proof is small."""


def set_up(seed: int) -> None:
    """Set TensorFlow up for a proof, and import Keras in float64."""
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shared.set_up(seed)


class Twin(shared.Twin):
    """As on every engine, with TensorFlow's own count of FLOPs."""

    def count(self) -> tuple[float | None, str]:
        """As the contract says: two per multiply-accumulate of the graph's operations."""
        names = list(self.inputs)

        def infer(*given: object) -> object:
            return self._call(dict(zip(names, given, strict=True)), training=False)

        graph = tf.function(infer, autograph=False)
        try:
            made = graph.get_concrete_function(*self.inputs.values())
            outputs = [t.op for t in made.outputs]
            return graph_flops.count(outputs, tf.get_static_value) / self.size, ""
        except Exception as error:
            return None, f"TensorFlow's graph could not be counted: {type(error).__name__}"
