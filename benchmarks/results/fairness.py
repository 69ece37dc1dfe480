"""What was made equal between stacks and what could not be, told from what each read back.

Asking for a setting proves nothing: only what the framework answers when asked again does.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.results.machine import Check, CheckState, Tuned

SAME = 1e-6  # frameworks keep hyperparameters in float32, whose rounding is no difference
COMPARED = "the engine is what is being compared"
OWN_LOADER = "each framework feeds itself its own way; only dataload and epoch are touched"
EXPECTED_UNEQUAL = {
    "layout": "each framework runs in the layout its users get",
    "engine": COMPARED,
    "version": COMPARED,
    "mode": COMPARED,
    "compile": COMPARED,
    "xla": COMPARED,
    "loader": OWN_LOADER,
    "loader_workers": OWN_LOADER,
}

TUNED_KEYS = ("layout", "threads")
FASTEST = "the policy is best: each stack as it was measured to be fastest"


def fairness(settings: dict[str, dict[str, Any]]) -> list[Check]:
    """What was equal between stacks and what was not, from the settings each read back.

    Takes the settings by stack; any keys will do. A setting that is ``None`` counts as not
    reported.

    Returns: one check per setting: ``info`` where stacks differ by intent or fewer than two have
    the setting.
    """
    checks = dict.fromkeys(key for values in settings.values() for key in values)
    best = any(values.get("policy") == "best" for values in settings.values())
    expected = EXPECTED_UNEQUAL | (dict.fromkeys(TUNED_KEYS, FASTEST) if best else {})
    return [
        _compared(
            key, {stack: values.get(key) for stack, values in settings.items()}, expected.get(key)
        )
        for key in checks
    ]


def tuned(found: Iterable[Tuned]) -> list[Check]:
    """What the policy ``best`` changed, and what it gained."""
    return [_row("tuned", "info", f"{one.model}, {one.stack}: {_gain(one)}") for one in found]


def variables(found: Mapping[str, str]) -> list[Check]:
    """What of the environment may change a number: every stack got it, and some may read it."""
    words = "for every stack; not all of them read it"
    return [_row(f"variable {name}", "info", f"{value} ({words})") for name, value in found.items()]


def _gain(one: Tuned) -> str:
    changed = one.layout or f"{one.threads} thread{'s' if one.threads != 1 else ''}"
    low, high = one.ci95
    return f"{changed}, {one.ratio:.2f}x as fast as without [{low:.2f}, {high:.2f}]"


def _compared(key: str, by_stack: dict[str, Any], expected: str | None) -> Check:
    reported = {stack: value for stack, value in by_stack.items() if value is not None}
    groups: list[tuple[Any, list[str]]] = []
    for stack, value in reported.items():
        group = next((stacks for known, stacks in groups if _same(known, value)), None)
        if group is None:
            groups.append((value, [stack]))
        else:
            group.append(stack)
    detail = "; ".join(f"{_shown(value)}: {', '.join(stacks)}" for value, stacks in groups)
    silent = [stack for stack in by_stack if stack not in reported]
    if silent:
        detail = "; ".join(filter(None, [detail, f"not reported: {', '.join(silent)}"]))
    if len(groups) > 1 and expected:
        return _row(key, "info", f"{detail} ({expected})")
    if len(reported) < 2:  # noqa: PLR2004 - a comparison takes two
        return _row(key, "info", detail)
    return _row(key, "equal" if len(groups) == 1 else "unequal", detail)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=SAME)
    return bool(a == b)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(check: str, state: CheckState, detail: str) -> Check:
    return Check(check=check, state=state, detail=detail)
