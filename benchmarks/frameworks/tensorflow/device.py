"""TensorFlow as Keras' engine: set up, read back, fed and waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.frameworks._keras.device import KerasDevice
from benchmarks.frameworks.contracts import Array, Settings

PREFETCHED = 2  # batches made ahead: a fixed number, so that an idle worker soon falls quiet


class Device(KerasDevice):
    """Keras on TensorFlow."""

    def __init__(self, settings: Settings) -> None:
        if settings.layout == "channels_first" and settings.device == "cpu":
            raise NotImplementedError("TensorFlow convolves channels-last only on a CPU")
        if settings.policy != "defaults":
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        if settings.tf32 is not None:
            tf.config.experimental.enable_tensor_float_32_execution(enabled=settings.tf32)
        if settings.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif not tf.config.list_physical_devices("GPU"):
            raise NotImplementedError("TensorFlow sees no GPU")
        self.adopt(settings)

    def tensor(self, array: Array) -> Any:
        """As the base says."""
        return tf.identity(tf.constant(array))

    def feed(self, x: Array, y: Array, *, size: int, scale: float) -> Any:
        """As the base says: a ``tf.data`` pipeline."""
        dtype, options = self.asked.storage, tf.data.Options()
        options.threading.private_threadpool_size = self.asked.threads
        samples = tf.data.Dataset.from_tensor_slices((x, y)).with_options(options)
        if x.dtype == "uint8":
            samples = samples.map(
                lambda image, label: (tf.cast(image, dtype) / scale, label),
                num_parallel_calls=self.asked.threads,
            )
        return samples.batch(size, drop_remainder=True).prefetch(PREFETCHED)

    def synchronize(self) -> None:
        """As the contract says."""
        tf.test.experimental.sync_devices()

    def peak_memory(self) -> int | None:
        """As the contract says."""
        if self.asked.device == "cpu":
            return None
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        tf.config.experimental.reset_memory_stats("GPU:0")
        return int(peak)

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """As the contract says."""
        shape = (size, size)
        a, b = (tf.random.uniform(shape, dtype=self.asked.compute) for _ in range(2))
        # Assigning or copying a tensor only shares its memory; this reads and writes all of it.
        source = tf.random.uniform((copied,), dtype=self.asked.compute)
        product = tf.function(lambda: tf.linalg.matmul(a, b), autograph=False)
        return product, lambda: tf.negative(source)

    def settings(self) -> dict[str, Any]:
        """As the contract says."""
        from tensorflow.python.util import _pywrap_util_port

        on_cpu = self.asked.device == "cpu"
        return {
            **self.keras_settings(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "interop_threads": tf.config.threading.get_inter_op_parallelism_threads(),
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "autotune": None if on_cpu else True,
            "flush_denormals": self._flushes_denormals() if on_cpu else None,
            "onednn": bool(_pywrap_util_port.IsMklEnabled()),
            "version": f"{tf.__version__}, Keras {self.keras.__version__}",
            "loader": f"tf.data, prefetch({PREFETCHED})",
        }

    def as_keras_does(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function in the mode asked: as it is, a graph, or compiled by XLA."""
        if self.asked.mode == "eager":
            return function
        return tf.function(
            self.counted(function), jit_compile=self.asked.mode == "xla", autograph=False
        )

    def _flushes_denormals(self) -> bool:
        """Found by experiment: half of the smallest normal number."""
        halved = self.as_keras_does(lambda x: x * 0.5)(tf.constant(2.0**-126))
        return bool(halved.numpy() == 0)
