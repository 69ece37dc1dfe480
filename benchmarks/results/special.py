"""``scipy.special``, imported when something of it is first needed: most commands need nothing."""

from typing import Any


def __getattr__(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special, name)
