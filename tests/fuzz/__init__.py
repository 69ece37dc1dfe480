"""Hostile inputs for every reader of a stored or foreign file.

``python -m tests.fuzz`` gives each reader of ``stored`` and ``foreign`` thousands of inputs, made
by hypothesis from sound files (``inputs``), in a process of its own whose memory is limited.
"""
