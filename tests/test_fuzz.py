"""Some inputs for every reader, those that one once took badly, and that a fault is found."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from benchmarks.results.stored import files
from benchmarks.results.stored.codec import to_json
from reports.runs import store
from tests.fuzz import inputs
from tests.fuzz.__main__ import ALL, told_of
from tests.fuzz.foreign import TWIN
from tests.fuzz.reader import LONGEST_S, Reader, documented, fuzz
from tests.fuzz.readers import READERS

SOME = 25
BY_NAME = {reader.name: reader for reader in READERS}
SLOW = {"keras", "tensorflow"}
"""What takes long to import; its readers are asked for by -m heavy."""


def _saved(values: object) -> bytes:
    made = io.BytesIO()
    np.save(made, np.asarray(values))
    return made.getvalue()


def _npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _told(**changes: object) -> bytes:
    described = to_json(TWIN)
    described["nodes"][0] |= changes
    return json.dumps({"ok": True, "description": described}).encode()


KEPT: dict[str, tuple[bytes, ...]] = {
    "run.json, schema 1": (b'{"schema":1,"matchups":0.0}', b'{"schema":1,"matchups":null}'),
    "IDX images": (struct.pack(">4I", 0x0803, 0, 2**32 - 1, 2**32 - 1),),
    "weights.npz, a member": (
        b"no array at all",
        _saved(["a", "b"]),
        _saved([1j]),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"),
        _npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }") + bytes(4),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 20_000) + b" " * 20_000,
    ),
    "stored predictions": (_npy("{'d6,), }"), b"\x93NUMPY\x02\x00" + b"\xff" * 4),
    "labels of predictions": (_npy("{'d6,), }"), b"\x93NUMPY\x02\x00" + b"\xff" * 4),
    "journal of an audit, by --resume": (
        inputs.sealed(b'{"kind":"audit","selection":1}') + b"\n",
        inputs.sealed(b'{"kind":"audit","selection":{}}')
        + b"\n"
        + inputs.sealed(b'{"kind":"rows","model":"tiny","stack":"null-a","rows":[{"model":1}]}')
        + b"\n",
    ),
    "A/A floor": (b'{"a":{"date":"2026-11-27","logs":[1e308]}}',),
    "ceilings": (b'{"flops_per_s":-1.0,"bytes_per_s":1.0}',),
    "folded stacks": (b"a;b " + b"9" * 5000,),
    "folded stacks of py-spy": (b"a;b " + b"9" * 5000,),
    "pace of a profile": (
        b'{"alone":{"iterations":1,"median_s":0.1,"mean_s":1e999}}',
        b'{"alone":{"iterations":1,"median_s":0.1,"mean_s":"x"}}',
        b'{"alone":{"iterations":1,"median_s":0.1,"mean_s":-1.0}}',
    ),
    "journal, by --resume": (
        inputs.sealed(b'{"kind":"run","seconds":1e999}') + b"\n",
        inputs.sealed(b'{"kind":"run","header":{}}')
        + b"\n"
        + inputs.sealed(b'{"kind":"end","seconds":%s}' % (b"9" * 400))
        + b"\n",
    ),
    "described twin": (
        _told(weights={"kernel": {"shape": [-2, 3]}}),
        _told(weights={"kernel": {"shape": [10**9, 10**9]}}),
        _told(weights=3),
        b'{"ok":true}',
    ),
    "answer of a worker": (b"[" * 100_000, b'{"ok":null}', b"[]", b'{"ok":false}', b"\xff"),
    "told task": (b'{"is":"Task","inputs":' + b"[" * 400 + b"]" * 400 + b"}",),
}
"""By reader: inputs that did not end in a value or in the one documented error."""


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(r, id=r.name, marks=[pytest.mark.heavy] if r.needs in SLOW else [])
        for r in READERS
    ],
)
def test_a_reader_ends_in_a_value_or_in_its_one_error(reader: Reader, tmp_path: Path) -> None:
    if reader.needs and importlib.util.find_spec(reader.needs) is None:
        pytest.skip(f"{reader.needs} is not installed")
    if reader.needs in SLOW:  # a framework is set up before it is imported
        told = told_of(reader.name, SOME, 0, tmp_path)
        assert (told.failures, told.inputs >= SOME) == ((), True)
        return
    found = fuzz(reader, tmp_path, SOME)
    assert {where: text for where, (text, _) in found.failures.items()} == {}
    assert found.inputs >= SOME
    assert found.slowest_s < LONGEST_S


@pytest.mark.slow
def test_a_reader_is_fuzzed_in_a_process_of_its_own(tmp_path: Path) -> None:
    told = told_of("lock", SOME, 0, tmp_path)
    assert (told.failures, told.skipped, told.inputs >= SOME) == ((), "", True)


@pytest.mark.parametrize("name", KEPT)
def test_what_a_reader_once_took_badly(name: str, tmp_path: Path) -> None:
    _, read = BY_NAME[name].start(tmp_path)
    for data in KEPT[name]:
        read(data)


def test_times_that_make_no_number_are_no_point() -> None:
    line = store.CaseLine(
        status="ok", reason=None, median_s=1.0, launches_s=(1.0,), canary_s=(0.0,)
    )
    entry = store.Entry(
        folder="x",
        run_id="x",
        started="",
        fingerprint="",
        exit=0,
        confirmation=False,
        commit=None,
        versions={},
        cases={"a": line},
        ratios={},
    )
    found = store.point(entry, "a")
    assert found is not None
    assert (found.value, found.reason) == (None, "float division by zero")


def test_the_shares_make_up_all_inputs() -> None:
    assert sum(reader.share for reader in READERS) == ALL


def test_a_wrong_ending_is_found_and_its_input_is_small(tmp_path: Path) -> None:
    def start(_folder: Path) -> tuple[inputs.Inputs, object]:
        def read(data: bytes) -> None:
            with documented(ValueError):
                if b"\xff" in data:
                    raise KeyError("a fault that was planted")
                raise ValueError("as it should be")

        return inputs.files(bytes(200)), read

    planted = Reader(name="planted", start=start, share=1)  # type: ignore[arg-type]
    found = fuzz(planted, tmp_path, 300)
    (where,) = found.failures
    assert where.startswith("KeyError at test_fuzz.py:")
    text, data = found.failures[where]
    assert "a fault that was planted" in text
    assert data.count(b"\xff") == 1
    assert found.inputs >= 300


def test_an_error_of_several_lines_is_a_wrong_ending() -> None:
    with pytest.raises(AssertionError, match="several lines"), documented(ValueError):
        raise ValueError("two\nlines")


@pytest.mark.parametrize("place", [(), ("a",), ("a", 1), ("b",), ("a", 7), ("x", "y")])
def test_a_document_is_changed_at_one_place_alone(place: inputs.Path) -> None:
    document = {"a": [1, 2, 3], "b": "x"}
    changed = inputs._with(document, place, ["new"])
    assert document == {"a": [1, 2, 3], "b": "x"}
    expected = {
        (): "new",
        ("a",): {"a": "new", "b": "x"},
        ("a", 1): {"a": [1, "new", 3], "b": "x"},
        ("b",): {"a": [1, 2, 3], "b": "new"},
    }
    assert changed == expected.get(place, document)


def test_values_hold_what_json_does_not_know() -> None:
    assert isinstance(inputs.values(), st.SearchStrategy)
    assert inputs.dumped([float("inf"), "\ud800"]) == b'[Infinity,"\\ud800"]'


@pytest.mark.parametrize("number", [b"1e999", b"-1E+400", b"9" * 400 + b".0"])
def test_a_number_beyond_any_float_is_refused(number: bytes) -> None:
    with pytest.raises(ValueError, match="is not a JSON number"):
        files.parse(b"[%s]" % number)
    assert files.parse(b'["1e999", 1e308, 1e-400]') == ["1e999", 1e308, 0.0]
