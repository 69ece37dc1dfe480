"""Where the time goes and what the machine did meanwhile; knows nothing of benchmarks."""
