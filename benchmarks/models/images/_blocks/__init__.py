"""A convolution with batch normalisation and an activation, which many networks stack."""

MOMENTUM = 0.9
"""Of running statistics, in Keras' sense; PyTorch's is 1 - 0.9."""
