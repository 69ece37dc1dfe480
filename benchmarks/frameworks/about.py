"""What a framework says about itself to those who do not import it.

Nothing is imported here but the standard library: the reports read it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a stack that may make it faster where it is slow at one category of operations.

    ``categories`` are those of ``profilers.ops.taxonomy``; none given: all. ``modes`` are the modes
    it applies to; none given: all. ``becomes`` is the mode to try instead. ``text`` names it.
    """

    becomes: str
    modes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that a framework needs.

    ``module`` is what is imported, ``distributions`` the names that it may be installed by; none
    given: the module's. ``also`` are the folders of its code beside the module's. ``frames`` is the
    colour of that code in flame graphs: ``#rrggbb`` in a light theme and in a dark one.
    """

    module: str
    distributions: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    frames: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it may be installed by."""
        return self.distributions or (self.module,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How reports draw a framework; colours are ``#rrggbb`` in a light theme and in a dark one.

    ``mark`` is the colour of marks, ``text`` that of words; none given: the colour of all text.
    ``marker`` is one of ``reports.contents.palette.SHAPES``, but not that of unknown frameworks.
    """

    mark: tuple[str, str]
    marker: str
    text: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What others must know of a framework without importing it.

    ``needs`` must be installed. ``dialect`` names the twin's file that it runs. ``modes`` maps each
    mode to whether it is part of a run that names no stacks, the one that changes the model least
    first; ``plain`` are those without an optimising compiler; ``proof_mode`` is the one that the
    float64 proof runs in. ``trainer`` is the one of a stack that names none. ``engine`` is the
    framework that computes for it, where that is another of ours. ``layout`` is that of images as
    its users get it; ``lays_out`` says that it computes in the layout it is given, where compilers
    choose their own. ``env`` is set before a worker starts, and ``profile_env`` beside it where
    steps are recorded (``{dump}`` stands for a folder of its own). ``cache_env`` are variables that
    name the folder of its compiler's cache. ``out_of_memory`` are classes of errors and, in lower
    case, parts of texts by which it says that memory ran out. ``hidden``: not listed. ``changes``:
    what to try where it is slow. ``appearance``: how it is drawn; ``None``: as an unknown framework
    is.
    """

    needs: tuple[Package, ...]
    dialect: str
    modes: Mapping[str, bool]
    proof_mode: str
    trainer: str
    plain: tuple[str, ...] = ("eager",)
    engine: str | None = None
    appearance: Appearance | None = None
    layout: str = "channels_last"
    lays_out: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    profile_env: Mapping[str, str] = field(default_factory=dict)
    cache_env: tuple[str, ...] = ()
    out_of_memory: tuple[str, ...] = ()
    hidden: bool = False
    changes: tuple[Change, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that must be installed."""
        return tuple(need.module for need in self.needs)
