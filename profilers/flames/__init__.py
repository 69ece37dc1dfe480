"""Flame graphs: py-spy, the stacks that it writes, and the picture of them."""
