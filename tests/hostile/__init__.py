"""Generated modules that do what no model should, given to the command ``pair``.

``python -m tests.hostile`` proves each beside a sound model: every one must end with an exit code
of its own and a reason in words, and leave no process, no file and no descriptor behind.
"""
