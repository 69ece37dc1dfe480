"""What Keras does alike on every engine (TensorFlow, JAX, PyTorch)."""
