"""The variables of the environment that workers get: an allow-list, and what of it is recorded.

A worker runs code of others, so what is not listed stays outside: the tokens of a shell or of a CI.
What may change a number is recorded with its value: two runs that differ in it are not compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from benchmarks import frameworks

SYSTEM = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_*_HOME"),
    *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CC", "CXX", "CPATH", "LIBRARY_PATH"),
)
"""What programs and the compilers of the frameworks need to be found."""
OURS = ("TWINBENCH_*",)
CHANGING = (
    *("TORCH*", "PYTORCH_*", "TRITON_*", "TF_*", "XLA_*", "KERAS_*", "JAX_*", "JAXLIB_*"),
    *("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "ONEDNN_*", "DNNL_*"),
    *("NVIDIA_*", "CUDA_*", "CUDNN_*", "CUBLAS*", "NCCL_*"),
    *("LD_PRELOAD", "PYTHON*", "MALLOC_*", "GLIBC_TUNABLES", "COVERAGE_*"),
)
"""What may change what is measured."""
SET = ("PYTHONPATH", "PYTHONHASHSEED", "PYTHONWARNINGS", "CUDA_DEVICE_ORDER")
"""What every worker is given values of ours for, beside what its framework's facts say."""
PRIVATE = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|JWT", re.IGNORECASE)
"""What no pattern lets through: a name that says so."""


def passed_on(more: Iterable[str] = ()) -> dict[str, str]:
    """The variables that workers get of ours; ``more`` are the names that a user adds."""
    added, ours = set(more), _set()
    return {
        name: value
        for name, value in os.environ.items()
        if name in added or (name not in ours and _listed(name, (*SYSTEM, *OURS, *CHANGING)))
    }


def recorded(more: Iterable[str] = ()) -> dict[str, str]:
    """Those of them that may change a number, by name; of one with a private name: that it is set.

    One that a user adds is recorded by the flag that adds it.
    """
    return {
        name: "(set)" if PRIVATE.search(name) else value
        for name, value in sorted(passed_on(more).items())
        if any(fnmatchcase(name, pattern) for pattern in CHANGING)
    }


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name and both values of each variable that is not the same."""
    names = sorted(before.keys() | after.keys())
    found = ((n, before.get(n, "not set"), after.get(n, "not set")) for n in names)
    return [(name, a, b) for name, a, b in found if a != b]


def digest(found: Mapping[str, str]) -> str:
    """What stands for a set of variables in the name of a figure; empty for none."""
    return (
        hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()[:8] if found else ""
    )


def _listed(name: str, patterns: Iterable[str]) -> bool:
    return not PRIVATE.search(name) and any(fnmatchcase(name, pattern) for pattern in patterns)


def _set() -> set[str]:
    """What a worker of any framework is given a value of ours for."""
    facts = frameworks.every().values()
    return {*SET, *(name for each in facts for name in (*each.env, *each.cache_env))}
