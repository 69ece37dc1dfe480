"""Takes out of what is written whose machine it is: folders of a home, a user's name, typed paths.

A run may be published as it is. What was typed for a run's own code has a word in its place.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.machine.environment import ROOT

HOME, USER = "~", "USER"


def hidden(data: Any, words: Mapping[str, str] | None = None) -> Any:
    """Plain data without the names of this machine's people; keys of mappings stay.

    ``words`` has a word for each further path.
    """
    paths = dict(words or {}) | {f"{ROOT}/": ""} | _home()
    # The longest first: a folder of models may lie in a home.
    told = [(path, paths[path]) for path in sorted(paths, key=len, reverse=True)]
    return _without(data, told, _user())


def _without(data: Any, told: list[tuple[str, str]], user: re.Pattern[str] | None) -> Any:
    if isinstance(data, str):
        for path, word in told:
            data = data.replace(path, word)
        return user.sub(USER, data) if user and "/" in data else data
    if isinstance(data, Mapping):
        return {key: _without(value, told, user) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(_without(value, told, user) for value in data)
    return data


def _home() -> dict[str, str]:
    """The home folder, as it is named and as it is found, where there is one."""
    folder = Path("~").expanduser()
    found = {str(folder), str(folder.resolve())}
    return {path: HOME for path in found if path not in {"/", "~", ""}}


def _user() -> re.Pattern[str] | None:
    """The user's name within a path, as a folder or at the end of one (``/tmp/cache_NAME``)."""
    with suppress(OSError, KeyError):
        name = getpass.getuser()
        if name != "root":  # which is nobody's
            return re.compile(rf"(?<=[/_-]){re.escape(name)}(?=[/'\"\s:]|$)")
    return None
