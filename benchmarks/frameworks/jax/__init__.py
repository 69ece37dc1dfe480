"""Keras 3 on JAX: the functions that ``fit`` and ``predict`` compile with XLA.

They are stateless: variables go in, are donated, and come out anew. As in ``fit``, what came out of
one step goes into the next, and returns to the variables only when someone looks at them.
"""

from benchmarks.frameworks.contracts import Facts

FACTS = Facts(
    packages=("jax", "keras"),
    dialect="keras",
    modes={"xla": False},
    proof_mode="xla",
    trainer="fit",
    late=("benchmarks.frameworks.jax.device", "benchmarks.frameworks.jax.program"),
    env={
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or it takes the device from its neighbours
    },
    out_of_memory=("resource_exhausted",),
    profile_env={"XLA_FLAGS": "--xla_dump_to={dump} --xla_dump_hlo_as_text"},
)
