"""Keras 3 on TensorFlow: the functions that ``fit`` and ``predict`` compile."""

from benchmarks.frameworks._keras import KERAS
from benchmarks.frameworks.about import Appearance, Change, Facts, Package

TENSORFLOW = Package(
    module="tensorflow",
    distributions=("tensorflow", "tensorflow-cpu"),
    frames=("#f7b287", "#96491a"),
)

FACTS = Facts(
    needs=(TENSORFLOW, KERAS),
    dialect="keras",
    modes={"graph": True, "xla": True, "eager": False},
    proof_mode="eager",
    trainer="fit",
    plain=("graph", "eager"),
    appearance=Appearance(mark=("#d55e00", "#f0893e"), text=("#a84300", "#f5a468"), marker="s"),
    env={
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # or it takes the whole device from its neighbours
    },
    profile_env={"XLA_FLAGS": "--xla_dump_to={dump} --xla_dump_hlo_as_text"},
    out_of_memory=("ResourceExhaustedError", "resource_exhausted"),
    changes=(
        Change(becomes="graph", modes=("xla",), text="tensorflow-graph, without XLA"),
        Change(becomes="xla", modes=("graph",)),
        Change(becomes="graph", modes=("eager",)),
    ),
)
