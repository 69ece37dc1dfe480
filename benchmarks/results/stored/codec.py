"""Records as JSON, read and written by msgspec, and older schemas brought up to this one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import msgspec

from benchmarks.results.records import EDITED, SCHEMA, Matchup, Run

Kind = TypeVar("Kind")


class RecordError(ValueError):
    """Stored data do not have the shape that their schema promises."""


@dataclass(frozen=True, slots=True)
class About:
    """What tells how to read the other fields, and whether they are as they were written."""

    schema: int | None = None
    sha256: str = ""


def to_json(record: Any) -> Any:
    """Plain data as JSON knows them; a NaN or an infinity becomes ``None``."""
    return msgspec.json.decode(compact(record))


def compact(record: Any) -> bytes:
    """A record as JSON in one line; what UTF-8 cannot hold (a lone surrogate) becomes ``?``.

    A run gets its SHA-256: that of these bytes with an empty ``sha256``.
    """
    if not isinstance(record, Run):
        return _plain(record)
    data = _plain(replace(record, sha256=""))
    return data.replace(_field(""), _field(_digest(data)), 1)  # the first field


def _plain(record: Any) -> bytes:
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return msgspec.json.encode(_clean(msgspec.to_builtins(record)))


def encode(record: Any) -> bytes:
    """A record as indented JSON, which ends with a line feed."""
    return msgspec.json.format(compact(record), indent=1) + b"\n"


def from_json(kind: type[Kind], data: Any) -> Kind:
    """Read a record from plain data; unknown keys are ignored, so that a newer field does no harm.

    Raises:
        RecordError: a field is missing or has the wrong type; the text names the field.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise RecordError(_told(error)) from error


def decode(kind: type[Kind], data: bytes) -> Kind:
    """Read a record from JSON.

    Raises:
        RecordError: it is damaged, nested too deeply, or not such a record.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(_told(error)) from error


def decode_run(data: bytes) -> Run:
    """Read run.json, upgrading older schemas.

    Raises:
        RecordError: damaged, not a run, or written by a newer version.
    """
    about = known(data)
    seal, current = sealed(data, about), about.schema == SCHEMA
    run = decode(Run, data) if current else read_run(decode(dict[str, Any], data))
    return replace(run, sha256=seal)


def known(data: bytes) -> About:
    """The schema of a stored run, which this version can read, and its SHA-256.

    Raises:
        RecordError: damaged, not a run, or written by a newer version.
    """
    try:
        found = decode(About, data)
    except RecordError as error:
        raise RecordError(f"not a run: {error}") from error
    _known(found.schema)
    return found


def sealed(data: bytes, about: About) -> str:
    """The SHA-256 that a stored run has; ``edited`` where it is not that of ``data``.

    Spaces between the fields, and how its numbers and letters are written, do not matter.
    """
    stated = about.sha256
    if not stated:
        return ""
    try:
        as_written = msgspec.json.format(data, indent=-1).replace(_field(stated), _field(""), 1)
        if _digest(as_written) == stated:
            return stated
        del as_written  # another program may have written the same anew
        found = _plain(msgspec.json.decode(data) | {"sha256": ""})
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return EDITED
    return stated if _digest(found) == stated else EDITED


def _field(digest: str) -> bytes:
    return b'"sha256":"%s"' % digest.encode("utf-8", "replace")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_run(data: Any) -> Run:
    """Read a run from plain data, upgrading older schemas.

    Raises:
        RecordError: not a run, or written by a newer version.
    """
    schema = _known(data.get("schema") if isinstance(data, dict) else None)
    return from_json(Run, data if schema == SCHEMA else _from_1(data))


def schema() -> dict[str, Any]:
    """The JSON Schema of run.json."""
    return dict(to_json(msgspec.json.schema(Run)))


def _known(schema: object) -> int:
    if type(schema) is not int or schema < 1:
        raise RecordError("not a run: it has no field 'schema' with a whole number from 1")
    if schema > SCHEMA:
        raise RecordError(
            f"schema {schema} is newer than this version reads ({SCHEMA}): update twinbench"
        )
    return schema


def _clean(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {_clean(key): _clean(value) for key, value in data.items()}
    return [_clean(item) for item in data] if isinstance(data, list | tuple) else data


def _told(error: Exception) -> str:
    """What is wrong and at which field: ``matchups[0].cases[2].stack: Expected ...``."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return f"truncated or not JSON ({error})"
    what, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    return f"{where}: {what}" if where else what


def _from_1(run: dict[str, Any]) -> dict[str, Any]:
    """A run of schema 1, whose results held the fields of their matchup among their own."""
    names, results = {field.name for field in fields(Matchup)}, run.get("matchups")
    if not isinstance(results, list):
        return run | {"schema": SCHEMA}
    matchups = [
        result | {"matchup": {k: v for k, v in result.items() if k in names}}
        if isinstance(result, dict)
        else result
        for result in results
    ]
    return run | {"matchups": matchups, "schema": SCHEMA}
