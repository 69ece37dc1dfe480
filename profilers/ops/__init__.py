"""What a step is made of: every framework's operations in one vocabulary.

``torch.py``, ``tensorflow.py`` and ``jax.py`` record steps in their own framework's profiler and
answer with the same events; ``account.py`` makes rows of them that add up to the wall time;
``explain.py`` sets two stacks side by side.
"""
