"""``python -m profilers``: the door to commands that watch a model instead of timing it.

What profiles here knows no model and no worker, so the commands live in ``benchmarks.why``.
"""

import runpy

runpy.run_module("benchmarks.why", run_name="__main__", alter_sys=True)
