"""What Keras does alike on every engine (TensorFlow, JAX, PyTorch)."""

from benchmarks.frameworks.about import Package

KERAS = Package(module="keras", frames=("#f5d76e", "#75600f"))
