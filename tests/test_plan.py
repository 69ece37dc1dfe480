"""What is asked becomes an ordered list of cases, or one line that says what could be asked."""

import dataclasses
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.request import discovery, options, plan
from benchmarks.request.discovery import UnknownNameError
from benchmarks.request.plan import make
from benchmarks.request.selection import EFFORTS, Selection, SelectionError, Variant
from benchmarks.results.records import Stack
from benchmarks.tasks.task import Task
from benchmarks.worker import briefing
from tests.pipeline import MODELS

ALL = discovery.names("models")
LIGHT = tuple(name for name in ALL if not discovery.task(name).heavy)
TINY = Selection(models_dir=MODELS, models=("tiny",), stacks=("null-a", "null-b"))


@pytest.mark.parametrize(
    ("turn_s", "rounds"), [(0.01, 20), (0.1, 20), (0.16, 12), (0.3, 10), (9.0, 10), (math.inf, 10)]
)
def test_a_launch_takes_the_more_rounds_the_shorter_its_turns(turn_s: float, rounds: int) -> None:
    effort = replace(EFFORTS["standard"], rounds=10, turn_s=0.1, turns_s=2.0)
    assert effort.rounds_of(turn_s) == rounds


@pytest.mark.parametrize(
    ("epoch_s", "rounds"), [(0.01, 10), (0.4, 10), (1.0, 5), (2.5, 2), (60.0, 2), (math.inf, 2)]
)
def test_a_launch_takes_the_more_epochs_the_shorter_they_are(epoch_s: float, rounds: int) -> None:
    effort = replace(EFFORTS["standard"], rounds=10, epoch_rounds=2, epochs_s=5.0)
    assert effort.epochs_of(epoch_s) == rounds


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Selection(models=("nope",)), r"^unknown model 'nope'; there are: .*\bmlp\b"),
        (Selection(phases=("nope",)), r"^unknown phase 'nope'; there are: .*\bforward\b"),
        (
            Selection(stacks=("torch-nope",)),
            r"^unknown stack 'torch-nope' \(did you mean .*\); there are: .*\btensorflow-graph\b",
        ),
        (Selection(effort="nope"), "^unknown effort 'nope'; there are: quick, standard, release$"),
        (Selection(device="tpu"), "^unknown device 'tpu'; there are: cpu, cuda$"),
        (Selection(precision="int1"), "^unknown precision 'int1'; there are: .*float32"),
        (Selection(batch=(8, 0)), "^batch is 0; it must be at least 1$"),
        *(
            (
                Selection(timeout_s=float(seconds)),
                f"^timeout is {seconds} s; it must be more than 0 and at most a week$",
            )
            for seconds in ("0", "-1", "nan", "inf")
        ),
        (Selection(budget_s=float("nan")), "^the budget is nan s; it must be more than 0$"),
        (Selection(seed=-1), "^seed is -1; it must be 0 to 4294967295$"),
        (Selection(seed=1 << 32), "^seed is 4294967296; it must be 0 to 4294967295$"),
        (Selection(shard=(3, 2)), "^shard 3/2; write i/n with 1 <= i <= n, for example 1/4$"),
        (Selection(shard=(0, 2)), "^shard 0/2; "),
        (Selection(models_dir=Path("no-such-folder")), "no-such-folder: there is no such folder$"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_allowed(asked: Selection, message: str) -> None:
    with pytest.raises((SelectionError, UnknownNameError), match=message) as caught:
        make(asked)
    assert "\n" not in str(caught.value)


def test_the_test_adapter_is_not_offered_to_users() -> None:
    with pytest.raises(UnknownNameError) as caught:
        make(Selection(stacks=("null-c",)))
    assert "null" not in str(caught.value).partition("there are:")[2]


def test_an_empty_selection_is_everything_but_what_is_heavy() -> None:
    made = make(Selection())
    assert tuple(group.model for group in made.groups) == LIGHT
    assert 0 < len(LIGHT) < len(ALL)
    for group in made.groups:
        assert group.stacks == discovery.default_stacks()
        assert set(plan.ORDER) == set(discovery.names("phases"))
        of_twins = {"postprocess", "first_token", "next_token"}
        assert group.phases() == tuple(phase for phase in plan.ORDER if phase not in of_twins)
    assert made.effort == EFFORTS["quick"]


def test_a_heavy_model_is_planned_when_it_is_named_or_time_is_given() -> None:
    for name in set(ALL) - set(LIGHT):
        (group,) = make(Selection(models=(name,))).groups
        assert group.model == name
    assert tuple(group.model for group in make(Selection(effort="standard")).groups) == ALL


@pytest.mark.parametrize("count", [1, 2, 3, len(LIGHT), len(LIGHT) + 2])
def test_shards_part_the_models_exactly(count: int) -> None:
    shards = [make(Selection(shard=(i, count))).groups for i in range(1, count + 1)]
    names = [group.model for groups in shards for group in groups]
    assert sorted(names) == sorted(LIGHT)
    sizes = [len(groups) for groups in shards]
    assert max(sizes) - min(sizes) <= 1


def test_only_models_whose_twins_define_it_have_the_phase_postprocess() -> None:
    (group,) = make(Selection(models=("yolov3_tiny",), stacks=("torch-eager",))).groups
    assert group.phases()[:3] == ("forward", "postprocess", "backward")
    asked = Selection(models=("mlp",), stacks=("torch-eager",), phases=("postprocess",))
    with pytest.raises(SelectionError, match=r"^mlp has no phase postprocess: not every twin defi"):
        make(asked)


def test_a_model_that_generates_has_the_phases_of_the_first_and_the_next_token() -> None:
    (group,) = make(Selection(models=("gpt2_small",), stacks=("torch-eager",))).groups
    assert group.phases()[:4] == ("forward", "first_token", "next_token", "backward")
    asked = Selection(models=("mlp",), stacks=("torch-eager",), phases=("next_token",))
    with pytest.raises(SelectionError, match=r"^mlp has no phase next_token: not every twin defi"):
        make(asked)


def test_a_function_is_found_in_every_twin_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "torch.py").write_text("def postprocess(outputs): return {}\n")
    assert discovery.defines("mine", "postprocess", tmp_path)
    assert not discovery.defines("mine", "choices", tmp_path)
    (folder / "keras.py").write_text("def f():\n    def postprocess(outputs): return {}\n")
    assert not discovery.defines("mine", "postprocess", tmp_path)
    (folder / "keras.py").write_text("def postprocess(:\n")
    assert not discovery.defines("mine", "postprocess", tmp_path)


def test_a_shard_plans_a_model_as_the_whole_does() -> None:
    whole = {group.model: group for group in make(Selection()).groups}
    for group in make(Selection(shard=(2, 3))).groups:
        assert group.matchups == whole[group.model].matchups


def test_names_given_twice_count_once() -> None:
    made = make(replace(TINY, models=("tiny", "tiny"), phases=("forward", "forward")))
    assert made.case_ids() == (
        "tiny.forward.b4.float32.cpu.null-a",
        "tiny.forward.b4.float32.cpu.null-b",
    )


def test_the_order_of_stacks_is_the_users() -> None:
    (group,) = make(replace(TINY, stacks=("null-b", "null-a"))).groups
    assert group.stacks == (Stack("null", "b"), Stack("null", "a"))


def test_phases_come_in_the_order_in_which_they_are_shown() -> None:
    (group,) = make(replace(TINY, phases=("train_step", "forward"))).groups
    assert group.phases() == ("forward", "train_step")


def test_an_id_names_the_data_and_the_shape_that_are_not_the_published_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = discovery.task("tiny", MODELS)
    small = replace(task.sizes["quick"], shapes={"features": (8,)}, train_samples=64)

    def smaller(*_: object) -> Task:
        return replace(task, sizes={"quick": small})

    monkeypatch.setattr(discovery, "task", smaller)
    (group,) = make(replace(TINY, phases=("forward", "dataload", "epoch"))).groups
    assert [matchup.id for matchup in group.matchups] == [
        "tiny.forward.b4.8.float32.cpu",
        "tiny.dataload.b4.8-digits.float32.cpu",
        "tiny.epoch.b4.8-digits-64.float32.cpu",
    ]


def test_an_id_names_the_settings_that_are_not_the_published_ones() -> None:
    small, whole = (
        make(Selection(models=("alexnet",), phases=("forward",), stacks=("torch-eager",), effort=e))
        for e in ("quick", "standard")
    )
    assert [g.matchups[0].id for g in small.groups] == [
        "alexnet.forward.b8.96x96x3-width16-dense256.float32.cpu"
    ]
    assert [g.matchups[0].id for g in whole.groups] == ["alexnet.forward.b64.float32.cpu"]


def test_each_size_and_batch_is_a_group_with_a_name_of_its_own() -> None:
    made = make(replace(TINY, phases=("forward",), batch=(2, 8), size=("standard", "wide")))
    assert {g.name: g.matchups[0].id for g in made.groups} == {
        "tiny.standard.b2": "tiny.forward.b2.float32.cpu",
        "tiny.standard.b8": "tiny.forward.b8.float32.cpu",
        "tiny.wide.b2": "tiny.forward.b2.32.float32.cpu",
        "tiny.wide.b8": "tiny.forward.b8.32.float32.cpu",
    }
    assert [(g.size.batch, g.task.inputs["features"].shape) for g in made.groups[1:3]] == [
        (8, (16,)),
        (2, (32,)),
    ]
    for plan_ in (made, make(replace(TINY, effort="release"))):
        for group in plan_.groups:
            alone = make(plan_.selection_of(group)).groups
            assert [replace(one, name=group.name) for one in alone] == [group]


def test_two_sizes_of_the_same_shape_are_measured_once() -> None:
    made = make(replace(TINY, phases=("forward",), batch=(2,), size=("quick", "standard")))
    assert [(g.name, g.matchups[0].batch) for g in made.groups] == [("tiny.quick", 2)]


def test_a_size_that_a_model_lacks_is_said() -> None:
    with pytest.raises(SelectionError, match=r"^tiny has no size 'huge'; there are: quick, "):
        make(replace(TINY, size=("huge",)))


def test_a_batch_of_an_older_journal_is_the_only_one() -> None:
    for written, batches in ((7, (7,)), (None, ()), ([3, 5], (3, 5))):
        stored = options.to_stored(Selection()) | {"batch": written}
        assert options.from_stored(stored).batch == batches


def test_what_a_later_version_stored_of_a_selection_is_left_out() -> None:
    assert options.from_stored(options.to_stored(TINY) | {"later": 3}) == TINY


def test_what_a_stack_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        discovery, "framework_status", lambda requires: "no torch" if "torch" in requires else None
    )
    made = make(replace(TINY, models=("mlp", "tiny"), stacks=("torch-eager", "null-a")))
    assert made.unsupported == {"torch-eager": "no torch"}
    torch, null = made.groups[0].stacks
    assert made.lacking("mlp", torch) == "no torch"
    assert made.lacking("mlp", null) == "the model has no null twin"
    assert made.lacking("tiny", torch) == "the model has no torch twin"
    assert made.lacking("tiny", null) is None


def test_a_plan_is_cut_to_the_cases_that_are_wanted() -> None:
    whole = make(replace(TINY, phases=("forward", "train_step")))
    cut = whole.only({"tiny.train_step.b4.float32.cpu.null-b"})
    assert cut.case_ids() == ("tiny.train_step.b4.float32.cpu.null-b",)
    assert whole.only(set(whole.case_ids())).groups == whole.groups
    assert whole.only(set()).groups == ()


FORWARD, STEP = "tiny.forward.b4.float32.cpu", "tiny.train_step.b4.float32.cpu"


@pytest.mark.parametrize(
    ("only", "cases"),
    [
        ((STEP,), (f"{STEP}.null-a", f"{STEP}.null-b")),
        ((f"{STEP}.null-b",), (f"{STEP}.null-b",)),
        ((FORWARD, f"{FORWARD}.null-a"), (f"{FORWARD}.null-a", f"{FORWARD}.null-b")),
    ],
)
def test_only_takes_the_ids_of_matchups_and_of_cases(
    only: tuple[str, ...], cases: tuple[str, ...]
) -> None:
    made = make(replace(TINY, phases=("forward", "train_step"), only=only))
    assert made.case_ids() == cases


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(SelectionError, match=r"unknown id 'tiny\.forward\.b8.*nearest: ") as caught:
        make(replace(TINY, phases=("forward",), only=("tiny.forward.b8.float32.cpu",)))
    assert str(caught.value).partition("nearest: ")[2].split(", ")[0] == FORWARD
    with pytest.raises(SelectionError, match=r"the nearest: none$"):
        make(replace(TINY, shard=(2, 2), only=(FORWARD,)))


@pytest.mark.parametrize(
    "chosen",
    [
        Selection(),
        replace(
            TINY,
            phases=("forward",),
            batch=(3, 5),
            size=("quick", "wide"),
            seed=5,
            timeout_s=1.5,
            shard=(1, 2),
        ),
        Selection(effort="standard", device="cuda", data="digits", data_dir=Path("somewhere")),
        replace(TINY, only=(FORWARD, f"{STEP}.null-a")),
        replace(TINY, profile=True, telemetry=False, until_ci=0.01, budget_s=60.0, launches=5),
        Selection(
            stacks=("torch-eager@a", "torch-eager@b"),
            variants=(Variant(label="a", layout="channels_last"), Variant(label="b", threads=1)),
        ),
    ],
)
def test_a_selection_survives_the_journal(chosen: Selection) -> None:
    assert options.from_stored(options.to_stored(chosen)) == chosen


def test_a_variant_changes_what_its_worker_is_told_and_nobody_elses() -> None:
    chosen = Selection(variants=(Variant(label="v", layout="channels_last", threads=1),))
    told = briefing.settings(Stack.parse("torch-eager@v"), chosen, 4)
    plain = briefing.settings(Stack.parse("torch-eager"), chosen, 4)
    assert (plain["layout"], plain["threads"]) == (None, 4)
    assert told == plain | {"layout": "channels_last", "threads": 1}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Selection)])
def test_a_selection_that_was_stored_before_a_flag_was_there_has_its_default(name: str) -> None:
    chosen = Selection(
        models=("mlp",),
        seed=3,
        profile=True,
        telemetry=False,
        variants=(Variant(label="x", layout="channels_last", threads=1),),
    )
    stored = options.to_stored(chosen)
    del stored[name]
    default: Any = {name: getattr(Selection(), name)}
    assert options.from_stored(stored) == replace(chosen, **default)


def test_a_variant_that_was_stored_before_it_could_change_more_changes_no_more() -> None:
    stored = options.to_stored(Selection()) | {
        "variants": [{"label": "old", "python": "envs/old/bin/python", "slow": 0.0}]
    }
    assert options.from_stored(stored).variants == (
        Variant(label="old", python="envs/old/bin/python"),
    )
