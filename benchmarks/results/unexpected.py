"""What is said of an error that nobody foresaw, in one line; its code is that of no finding."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

CODE = os.EX_SOFTWARE
"""70 (sysexits.h): 1 says that something became slower."""
VARIABLE = "TWINBENCH_TRACEBACK"


def told(error: Exception) -> str:
    """The error and where it arose; with ``TWINBENCH_TRACEBACK`` set, all of its traceback."""
    if os.environ.get(VARIABLE):
        return "".join(traceback.format_exception(error)).rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error: {what[:300]}{place}; {VARIABLE}=1 shows where"
