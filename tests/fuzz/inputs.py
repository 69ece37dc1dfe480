"""Inputs for readers: sound files with bytes or values changed, sealed again where ours are."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

Inputs = st.SearchStrategy[bytes]
Option = TypeVar("Option")
Path = tuple[str | int, ...]
"""The keys and indices that lead to a value of a document."""
TOKENS = (
    *(b"null", b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"9" * 30, b"9" * 5000, b"\\ud800"),
    *(b"[", b"{", b'"', b",", b"[" * 200, b'{"a":' * 200, b"\x00", b"\xff", b"\n", b" ", b";"),
    *(b"\x80\x04.", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x93NUMPY", b"\x00" * 8, b"\xff" * 8),
)
"""What is put into a file beside single bytes."""
SCALARS = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 10**400, -0.5, 1e-320, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "-", "a" * 300, "../../x", "\ud800"),
    *("\x1b[31m", "two\nlines", "null-a", "cold_start", "faster", "ok", "2026-01-01T00:00:00Z"),
)
LONGEST = 400
"""Bytes of an input that is drawn at random."""


def values() -> st.SearchStrategy[Any]:
    """Values that a JSON document may hold; some are none that JSON knows."""
    scalars = st.one_of(st.sampled_from(SCALARS), st.integers(), st.floats(), st.text(max_size=5))
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=4,
    )


@st.composite
def edited(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A sound file with up to four changes of its bytes."""
    data = bytearray(_picked(draw, seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 5)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                data[at : at + 1] = bytes(b ^ 1 << draw(st.integers(0, 7)) for b in data[at:][:1])
            case 2:
                del data[at : at + draw(st.integers(1, 64))]
            case 3:
                data[at:at] = _picked(draw, TOKENS)
            case 4:
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case _:
                del data[at:]
    return bytes(data)


@st.composite
def changed(draw: st.DrawFn, documents: Sequence[tuple[Any, list[Path]]]) -> Any:
    """A sound document with up to three of its values replaced, removed, moved or repeated."""
    document, every = _picked(draw, documents)
    for _ in range(draw(st.integers(1, 3))):
        place = _picked(draw, every)
        old, made = _at(document, place), list[Any]()
        match draw(st.integers(0, 5)):
            case 0 | 1:
                made = [draw(values())]
            case 2:
                made = [_at(document, _picked(draw, every))]
            case 3:
                made = [old, old]
            case 4:
                made = [[old]]
        document = _with(document, place, made)
    return document


def _picked(draw: st.DrawFn, options: Sequence[Option]) -> Option:
    """One of some options, without a strategy for them, which would look at each."""
    return options[draw(st.integers(0, len(options) - 1))]


def files(*seeds: bytes) -> Inputs:
    """Files of bytes, and bytes that are none."""
    return st.one_of(edited(seeds), edited(seeds), st.binary(max_size=LONGEST))


def documents(*sound: Any) -> Inputs:
    """JSON documents: values changed, then bytes changed, then any value, then any bytes."""
    known = [(one, list(places(one))) for one in sound]
    return st.one_of(
        changed(known).map(dumped),
        changed(known).map(dumped),
        edited([dumped(one) for one in sound]),
        values().map(dumped),
        st.binary(max_size=LONGEST),
    )


def lines(*sound: Sequence[Any], seal: Callable[[bytes], bytes]) -> Inputs:
    """Lines of JSON, each sealed as ours are after its values were changed; or bytes changed."""
    known = [(list(one), list(places(list(one)))) for one in sound]

    def joined(document: Any) -> bytes:
        every = document if isinstance(document, list) else [document]
        return b"".join(seal(dumped(one)) + b"\n" for one in every)

    return st.one_of(
        changed(known).map(joined),
        changed(known).map(joined),
        edited([joined(one) for one, _ in known]),
        st.lists(values(), max_size=3).map(joined),
        st.binary(max_size=LONGEST),
    )


def sealed(body: bytes) -> bytes:
    """A line with the checksum that a journal and an index have."""
    return body[:-1] + b',"sum":"%08x"}' % zlib.crc32(body)


def dumped(document: Any) -> bytes:
    """A document as JSON without spaces; NaN and infinities as Python writes them."""
    return json.dumps(document, separators=(",", ":")).encode()


def places(document: Any, above: Path = ()) -> Iterator[Path]:
    """Where each value of a document lies, itself included."""
    yield above
    if isinstance(document, dict):
        for key, one in document.items():
            yield from places(one, (*above, key))
    elif isinstance(document, list):
        for index, one in enumerate(document):
            yield from places(one, (*above, index))


def _at(document: Any, place: Path) -> Any:
    for step in place:
        try:
            document = document[step]
        except (LookupError, TypeError):
            return None
    return document


def _with(document: Any, place: Path, made: list[Any]) -> Any:
    """The document with a value replaced by those of a list; what lies beside it is shared.

    In a mapping, where a key has one value, the last is taken. The same document where the place is
    gone.
    """
    if not place:
        return made[-1] if made else None
    step, *below = place
    if isinstance(document, dict) and step in document:
        new = [_with(document[step], tuple(below), made)] if below else made
        return {k: v for k, v in document.items() if k != step} | ({step: new[-1]} if new else {})
    if isinstance(document, list) and isinstance(step, int) and step < len(document):
        new = [_with(document[step], tuple(below), made)] if below else made
        return [*document[:step], *new, *document[step + 1 :]]
    return document
