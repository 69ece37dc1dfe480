"""Who drives training: as on every engine of Keras."""
