"""The measurement measured: a stack against itself, and against copies known to be slower."""
