"""Why a stack takes the time it takes: each file is one command of ``python -m profilers``.

A command starts workers as a timed run does, but what it watches is never a timed sample.
"""
