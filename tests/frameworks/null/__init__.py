"""No framework: fixed delays and, on request, every way in which a worker can fail.

With it the whole pipeline runs in seconds where neither framework is installed. Mode ``a`` is
always healthy; mode ``b`` does what the environment variable ``TWINBENCH_NULL`` says, a JSON object
with ``slow`` (a factor on its delays), ``alone`` (another one on one thread), ``loss`` (how many of
them the loss takes), ``retraces`` (whether it pretends to compile at every step), ``fault`` (a name
of ``device.FAULTS``) and ``at`` (the method in which the fault strikes, ``forward`` unless said;
``prove`` is the proof of either mode).
"""

from benchmarks.frameworks.about import Facts

FACTS = Facts(
    needs=(),
    dialect="null",
    modes={"a": False, "b": False},
    proof_mode="a",
    trainer="fit",
    hidden=True,  # it measures nothing: it is there to test the pipeline
)
