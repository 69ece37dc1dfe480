"""Who drives training in PyTorch, one file each."""
