"""PyTorch: eager, ``torch.compile`` and TorchScript."""

from benchmarks.frameworks.about import Appearance, Change, Facts, Package

SMALL = ("framework overhead", "optimizer", "elementwise", "reduction", "fused")
OUT_OF_MEMORY = ("OutOfMemoryError", "can't allocate memory", "alloc_failed")
TORCH = Package(module="torch", also=("torchvision", "functorch"), frames=("#8fc7ea", "#1f5f8b"))

FACTS = Facts(
    needs=(TORCH,),
    dialect="torch",
    modes={"eager": True, "compile": True, "script": False},
    proof_mode="eager",
    trainer="loop",
    appearance=Appearance(mark=("#0072b2", "#56b4e9"), text=("#00629b", "#7cc5ef"), marker="o"),
    layout="channels_first",
    lays_out=True,
    # Compiled kernels are anonymous unless the compiler is told to mark them.
    profile_env={"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"},
    cache_env=("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),
    out_of_memory=OUT_OF_MEMORY,
    changes=(Change(becomes="compile", modes=("eager", "script"), categories=SMALL),),
)
