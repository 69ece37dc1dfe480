"""Keras 3 on PyTorch: what Keras costs shows beside the same engine without it.

``compile`` is what Keras documents for this backend: ``jit_compile=True`` wraps the step that
``fit`` calls in ``torch.compile``. (Its ``"auto"``, the default, is eager here.)
"""

from benchmarks.frameworks._keras import KERAS
from benchmarks.frameworks.about import Appearance, Change, Facts
from benchmarks.frameworks.torch import OUT_OF_MEMORY, SMALL, TORCH

FACTS = Facts(
    needs=(TORCH, KERAS),
    dialect="keras",
    modes={"eager": False, "compile": False},
    proof_mode="eager",
    trainer="fit",
    engine="torch",
    appearance=Appearance(mark=("#b4558c", "#dd8fbd"), marker="D"),
    lays_out=True,
    env={
        "KERAS_BACKEND": "torch",
    },
    # Compiled kernels are anonymous unless the compiler is told to mark them.
    profile_env={"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"},
    cache_env=("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),
    out_of_memory=OUT_OF_MEMORY,
    changes=(Change(becomes="compile", modes=("eager",), categories=SMALL),),
)
