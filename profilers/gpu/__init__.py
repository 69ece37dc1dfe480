"""GPUs through NVML: what they are, what they do, what disturbs them."""
