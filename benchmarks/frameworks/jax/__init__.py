"""Keras 3 on JAX: the functions that ``fit`` and ``predict`` compile with XLA.

They are stateless: variables go in, are donated, and come out anew. As in ``fit``, what came out of
one step goes into the next, and returns to the variables only when someone looks at them.
"""

from benchmarks.frameworks._keras import KERAS
from benchmarks.frameworks.about import Appearance, Facts, Package

JAX = Package(module="jax", also=("jaxlib",), frames=("#8ed8b8", "#1c6b4c"))

FACTS = Facts(
    needs=(JAX, KERAS),
    dialect="keras",
    modes={"xla": False},
    proof_mode="xla",
    trainer="fit",
    appearance=Appearance(mark=("#00875f", "#33c29a"), marker="^"),
    env={
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or it takes the device from its neighbours
    },
    out_of_memory=("resource_exhausted",),
    profile_env={"XLA_FLAGS": "--xla_dump_to={dump} --xla_dump_hlo_as_text"},
)
