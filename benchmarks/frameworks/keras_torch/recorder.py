"""Steps of Keras on PyTorch, as Kineto records them."""

from benchmarks.frameworks.torch.recorder import record

__all__ = ["record"]
