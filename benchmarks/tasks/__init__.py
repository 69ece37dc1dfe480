"""What is computed, in no framework's terms: arrays, losses, optimizers, kinds of layers."""
