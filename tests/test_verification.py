"""Verification: several models at a time, in workers that go on, and kept while nothing changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import frameworks
from benchmarks.__main__ import main
from benchmarks.proof import kept
from benchmarks.proof.verification import Verified, verified
from benchmarks.request import discovery, plan
from benchmarks.request.plan import Plan
from benchmarks.request.selection import Selection, Variant
from tests.pipeline import MODELS, TINY, Pipeline

NAMES = ("a", "b", "c")


def _plan(folder: Path, **changes: Any) -> Plan:
    """Models that are alike, in a folder of their own."""
    for name in NAMES:
        shutil.copytree(MODELS / "tiny", folder / name, dirs_exist_ok=True)
    chosen = Selection(
        models_dir=folder, models=NAMES, phases=("forward",), stacks=("null-a", "null-b")
    )
    return plan.make(replace(chosen, **changes))


def _ok(one: Verified) -> bool:
    return one.parity is not None and not one.failures and kept.sound(one.parity)


def test_models_come_in_the_plans_order_and_no_process_stays(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    found = list(verified(_plan(tmp_path / "mine"), 1, pipeline.means.start))
    assert [one.name for one in found] == list(NAMES)
    for one in found:
        assert _ok(one)
        assert one.parity
        assert {check.stack for check in one.parity.timed} == {"null-a", "null-b"}
        assert one.seconds > 0
    assert pipeline.survivors() == []


def test_a_worker_goes_on_with_the_next_model_where_no_compiler_keeps_anything(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two models at a time have two of each worker: three models reuse at least one of each.
    facts = frameworks.facts("null")
    monkeypatch.setattr(frameworks, "facts", lambda _: replace(facts, plain=("a",)))
    made = _plan(tmp_path / "mine")
    assert all(map(_ok, verified(made, 1, pipeline.means.start)))
    proofs, of_a, of_b = 2, 2, 3
    assert len(pipeline.groups) <= proofs + of_a + of_b
    pipeline.groups.clear()
    (*_,) = verified(replace(made, groups=made.groups[:1]), 1, pipeline.means.start)
    assert len(pipeline.groups) == 3


def test_a_worker_that_fails_costs_its_own_check_and_the_next_model_has_a_new_one(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "error", "at": "build"}))
    facts = frameworks.facts("null")
    monkeypatch.setattr(frameworks, "facts", lambda _: replace(facts, plain=("a", "b")))
    for one in verified(_plan(tmp_path / "mine"), 1, pipeline.means.start):
        assert one.parity
        assert set(one.failures) == {"null-b"}
        assert {check.stack for check in one.parity.timed} == {"null-a"}
    assert pipeline.survivors() == []


def test_a_caller_that_stops_leaves_no_process(pipeline: Pipeline, tmp_path: Path) -> None:
    found = verified(_plan(tmp_path / "mine"), 1, pipeline.means.start)
    assert next(found).name == "a"
    found.close()
    assert pipeline.survivors() == []


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Takes a user's models for ours, whose sources are a file that is returned."""
    source = tmp_path / "source.py"
    source.write_text("first")
    monkeypatch.setattr(kept, "_ours", lambda *_: True)
    monkeypatch.setattr(discovery, "model_sources", lambda _: (source,))
    return source


def _verify(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says; its workers start anew in ``pipeline.groups``."""
    pipeline.groups.clear()
    kept._digest.cache_clear()
    assert main(["verify", "--out", str(pipeline.out), *TINY, *words], pipeline.means) == 0
    return capsys.readouterr().err


def test_what_was_proven_is_kept_until_something_changes(
    pipeline: Pipeline, ours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _verify(pipeline, capsys)
    assert "kept" not in first
    assert pipeline.groups
    again = _verify(pipeline, capsys)
    assert "1 verification kept, since 2" in again
    assert pipeline.groups == []
    assert again.splitlines()[0] == first.splitlines()[0]
    (row,) = json.loads((pipeline.out / "verify.json").read_text())
    assert {check["stack"] for check in row["parity"]["timed"]} == {"null-a", "null-b"}

    assert "kept" not in _verify(pipeline, capsys, "--again")
    assert "kept" not in _verify(pipeline, capsys, "--seed", "5")
    ours.write_text("second")
    assert "kept" not in _verify(pipeline, capsys)
    assert pipeline.groups


@pytest.mark.usefixtures("ours")
def test_what_was_refused_or_damaged_is_not_kept(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _verify(pipeline, capsys)
    (place,) = (pipeline.out / kept.STORE).iterdir()
    found = kept.read(place)
    assert found
    assert not kept.sound(replace(found.parity, status="failed"))
    kept.store(place, replace(found.parity, status="failed"))
    assert kept.read(place) is None
    place.write_text('{"date": 7}')
    assert kept.read(place) is None
    assert "kept" not in _verify(pipeline, capsys)


@pytest.mark.usefixtures("ours")
def test_what_cannot_be_seen_from_here_is_proven_each_time(tmp_path: Path) -> None:
    made = _plan(tmp_path / "mine")
    group = made.groups[0]
    assert kept.path(tmp_path, made, group, 1)
    elsewhere = Variant(label="x", python="python3")
    for asked in (
        replace(made.selection, env=("X",)),
        replace(made.selection, variants=(elsewhere,)),
    ):
        assert kept.path(tmp_path, replace(made, selection=asked), group, 1) is None


def test_what_a_users_folder_has_a_part_in_is_proven_each_time(tmp_path: Path) -> None:
    made = _plan(tmp_path / "mine")
    assert kept.path(tmp_path, made, made.groups[0], 1) is None
    # The folder may hold the trainer of one of our models.
    for folder, there in ((None, True), (tmp_path / "mine", False)):
        chosen = Selection(models_dir=folder, models=("mlp",), stacks=("torch-eager",))
        ours = plan.make(chosen)
        assert (kept.path(tmp_path, ours, ours.groups[0], 1) is not None) is there


@pytest.mark.usefixtures("ours")
def test_all_that_a_verification_rests_on_is_in_the_name_of_its_file(tmp_path: Path) -> None:
    def place(threads: int = 1, **changes: Any) -> Path | None:
        made = _plan(tmp_path / "mine", **changes)
        return kept.path(tmp_path, made, made.groups[0], threads)

    places = [
        place(),
        place(threads=2),
        place(seed=1),
        place(batch=(3,)),
        place(stacks=("null-a",)),
        place(precision="bfloat16"),
        place(policy="defaults"),
        place(equalize=True),
    ]
    assert None not in places
    assert len(set(places)) == len(places)
    assert place() == places[0]


def test_sources_are_those_of_the_model_and_all_that_models_share() -> None:
    shared, own = discovery.shared_sources(), discovery.model_sources("vgg16")
    named = {path.relative_to(discovery.HERE).as_posix() for path in shared}
    assert {"proof/prove.py", "models/_resnet/torch.py", "models/images/_blocks/keras.py"} <= named
    assert not any(name.startswith("models/images/vgg16/") for name in named)
    assert {path.name for path in own} == {"__init__.py", "torch.py", "keras.py"}
