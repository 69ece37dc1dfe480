"""Who drives no training."""
