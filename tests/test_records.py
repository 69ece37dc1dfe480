"""Records survive the disk unchanged, ids never change, and a bad record names its bad field."""

import dataclasses
import gzip
import json
import math
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from benchmarks.results import machine, observed, profiles, records
from benchmarks.results.machine import Environment
from benchmarks.results.records import (
    SCHEMA,
    Case,
    Cause,
    ColdStart,
    Difference,
    Failure,
    Finding,
    Launch,
    LayerWork,
    Learned,
    Matchup,
    MatchupResult,
    Parity,
    Run,
    Stack,
    TimedCheck,
    Verdict,
)
from benchmarks.results.stored.codec import (
    RecordError,
    decode_run,
    encode,
    from_json,
    read_run,
    schema,
)
from docs.generated import PUBLIC_RUN, RUN_SCHEMA
from tests.pipeline import Pipeline

KINDS = tuple(
    kind
    for module in (records, machine, observed, profiles)
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
NUMBERS = st.floats(min_value=-1e100, max_value=1e100)
TEXT = st.text(max_size=4)
KNOWN = {
    str: TEXT,
    float: NUMBERS,
}


def any_of(kind: type) -> st.SearchStrategy[Any]:
    """Records of a kind, every field filled at random."""
    hints = get_type_hints(kind)
    return st.builds(
        kind, **{f.name: value(hints[f.name]) for f in dataclasses.fields(kind) if f.init}
    )


def value(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type."""
    options = get_args(hint)
    if hint in KNOWN:
        return KNOWN[hint]
    if hint in KINDS:
        return any_of(hint)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXT, value(options[1]), max_size=2)
    if get_origin(hint) is tuple and ... not in options:
        return st.tuples(*map(value, options))
    if get_origin(hint) is tuple:
        return st.lists(value(options[0]), max_size=1 if options[0] in KINDS else 3).map(tuple)
    if get_origin(hint) is UnionType:
        return st.one_of(*map(value, options))
    return st.from_type(hint)


def through_disk(record: Any) -> Any:
    return json.loads(encode(record))


RUN = Run(
    run_id="20261121T081500Z-3f2a",
    started="2026-11-21T08:15:00Z",
    seconds=61.5,
    exit=0,
    command=("run", "--models", "mlp"),
    environment=Environment(cores=2),
    matchups=(
        MatchupResult(
            matchup=Matchup(model="mlp", phase="forward", batch=8),
            parity=Parity(
                status="failed",
                first_difference=Difference(
                    where="dense",
                    quantity="output",
                    a="torch",
                    b="tensorflow",
                    shape_a=(8, 10),
                    shape_b=(8, 10),
                    error=0.5,
                ),
                timed=(TimedCheck(stack="torch-eager", quantity="loss", error=0.1, bound=0.2),),
                findings=(Finding(name="macs", text="they differ", error=0.1),),
                diagnosis=(Cause(where="dense", cause="bias"),),
                layers=(
                    LayerWork(
                        name="dense",
                        kind="Dense",
                        parameters=10,
                        trainable=True,
                        macs=10,
                        output=5,
                        terms=2,
                    ),
                ),
            ),
            cases=(
                Case(
                    id="mlp.forward.b8.float32.cpu.torch-eager",
                    stack="torch-eager",
                    status="ok",
                    launches=(Launch(index=0, samples_s=(0.5, 0.25)),),
                    cold_starts=(
                        ColdStart(
                            launch=0, cache="empty", import_s=1.0, build_s=2.0, first_step_s=4.0
                        ),
                    ),
                    learned=(
                        Learned(
                            train_loss=0.5,
                            train_accuracy=0.75,
                            test_loss=0.5,
                            test_accuracy=0.75,
                            train_samples=4,
                            test_samples=4,
                        ),
                    ),
                    failure=Failure(launch=0),
                ),
            ),
            verdicts=(
                Verdict(
                    a="torch-eager",
                    b="tensorflow-graph",
                    ratio=1.25,
                    ci95=(1.125, 1.5),
                    launches=3,
                    margin=0.02,
                    verdict="faster",
                ),
            ),
        ),
    ),
)


def least(kind: type) -> Any:
    """A record of a kind with no more than its required fields."""
    hints = get_type_hints(kind)
    required = [f.name for f in dataclasses.fields(kind) if f.init and _required(f)]
    return kind(**{name: _least(hints[name]) for name in required})


def _least(hint: Any) -> Any:
    options = get_args(hint)
    if hint in KINDS:
        return least(hint)
    if type(None) in options:
        return None
    if get_origin(hint) is Literal:
        return options[0]
    if get_origin(hint) is tuple:
        return () if ... in options else tuple(map(_least, options))
    return {str: "x", int: 1, float: 1.0, bool: False}[hint]


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


@EVERY_KIND
@settings(max_examples=30)
@given(data=st.data())
def test_every_record_survives_the_disk(kind: type, data: st.DataObject) -> None:
    record = data.draw(any_of(kind))
    assert from_json(kind, through_disk(record)) == record


def test_a_run_survives_the_disk() -> None:
    assert read_run(through_disk(RUN)) == RUN


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null_once_stored_and_no_check_that_holds(bad: float) -> None:
    stored = through_disk(TimedCheck(stack="s", quantity="loss", error=bad, bound=1.0))
    assert stored["error"] is None
    back = from_json(TimedCheck, stored)
    assert (back.error, back.ok) == (None, False)
    assert from_json(
        Parity, {"status": "failed", "max_rel_error": {"loss": None}}
    ).largest_error == (math.inf)


def test_an_absent_figure_stays_none() -> None:
    verdict = dataclasses.replace(RUN.matchups[0].verdicts[0], ratio=None, ci95=None)
    assert from_json(Verdict, through_disk(verdict)) == verdict
    assert from_json(Case, through_disk(Case(id="c", stack="s", status="ok"))).telemetry is None


def test_a_number_without_a_fraction_is_a_float_still() -> None:
    launch = from_json(Launch, {"index": 0, "samples_s": [1, 2]})
    assert [type(sample) for sample in launch.samples_s] == [float, float]


@EVERY_KIND
def test_a_newer_minor_field_does_no_harm(kind: type) -> None:
    record = least(kind)
    assert from_json(kind, through_disk(record) | {"newer": {"deep": [1]}}) == record


@EVERY_KIND
def test_a_missing_field_is_named(kind: type) -> None:
    whole = through_disk(least(kind))
    for name in (f.name for f in dataclasses.fields(kind) if _required(f)):
        rest = {key: inner for key, inner in whole.items() if key != name}
        with pytest.raises(RecordError) as caught:
            from_json(kind, rest)
        assert str(caught.value) == f"Object missing required field `{name}`"


def test_a_missing_field_says_where() -> None:
    data = through_disk(RUN)
    del data["matchups"][0]["cases"][0]["launches"][0]["samples_s"]
    with pytest.raises(RecordError) as caught:
        read_run(data)
    where = "matchups[0].cases[0].launches[0]"
    assert str(caught.value) == f"{where}: Object missing required field `samples_s`"


@pytest.mark.parametrize(
    ("field", "bad", "said"),
    [
        ("seconds", "61.5", "seconds: Expected `float`, got `str`"),
        ("seconds", True, "seconds: Expected `float`, got `bool`"),
        ("exit", 0.5, "exit: Expected `int`, got `float`"),
        ("exit", False, "exit: Expected `int`, got `bool`"),
        ("run_id", None, "run_id: Expected `str`, got `null`"),
        ("command", "run", "command: Expected `array`, got `str`"),
        ("command", ["run", 1], "command[1]: Expected `str`, got `int`"),
        ("environment", [], "environment: Expected `object`, got `array`"),
        ("matchups", [7], "matchups[0]: Expected `object`, got `int`"),
    ],
)
def test_a_wrong_type_is_named(field: str, bad: object, said: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_run(through_disk(RUN) | {field: bad})
    assert str(caught.value) == said


def test_a_word_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecordError) as caught:
        from_json(Parity, {"status": "maybe"})
    assert str(caught.value) == "status: Invalid enum value 'maybe'"


@pytest.mark.parametrize("schema", [SCHEMA + 1, 999])
def test_a_newer_schema_is_refused(schema: int) -> None:
    with pytest.raises(RecordError, match=rf"schema {schema} is newer .* \({SCHEMA}\): update"):
        read_run(through_disk(RUN) | {"schema": schema})


@pytest.mark.parametrize("schema", [0, -5, True, 1.0])
def test_a_schema_that_never_was_is_refused(schema: object) -> None:
    with pytest.raises(RecordError, match=r"not a run: .* with a whole number from 1"):
        read_run(through_disk(RUN) | {"schema": schema})


@pytest.mark.parametrize("data", [None, [], "run", {}, {"schema": "1"}, {"schema": None}])
def test_what_is_no_run_is_refused(data: object) -> None:
    with pytest.raises(RecordError, match="not a run"):
        read_run(data)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "resnet50.train_step.b8.float32.cpu"),
        ({"device": "cuda", "precision": "bfloat16"}, "resnet50.train_step.b8.bfloat16.cuda"),
        ({"variant": "64x64x3"}, "resnet50.train_step.b8.64x64x3.float32.cpu"),
        ({"policy": "defaults"}, "resnet50.train_step.b8.float32.cpu.defaults"),
        ({"variant": "v", "policy": "best"}, "resnet50.train_step.b8.v.float32.cpu.best"),
    ],
)
def test_ids_never_change_for_they_key_the_history(changes: dict[str, Any], expected: str) -> None:
    matchup = dataclasses.replace(Matchup(model="resnet50", phase="train_step", batch=8), **changes)
    assert matchup.id == expected
    assert matchup.case_id("torch-eager") == f"{expected}.torch-eager"
    result = MatchupResult(matchup=matchup, parity=None, cases=())
    assert through_disk(result)["id"] == expected


@pytest.mark.parametrize(
    ("text", "stack"),
    [
        ("torch-eager", Stack("torch", "eager")),
        ("keras_torch-eager", Stack("keras_torch", "eager")),
        ("some-thing-xla", Stack("some-thing", "xla")),
    ],
)
def test_a_stack_is_its_text(text: str, stack: Stack) -> None:
    assert Stack.parse(text) == stack
    assert str(stack) == text


@pytest.mark.parametrize("text", ["", "torch", "-eager", "torch-"])
def test_what_is_no_stack_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not a stack: write FRAMEWORK-MODE"):
        Stack.parse(text)


def test_a_case_writes_what_its_samples_come_to() -> None:
    case = Case(
        id="c",
        stack="s",
        status="ok",
        items_per_iteration=6,
        launches=(
            Launch(index=0, samples_s=(1.0, 2.0, 3.0)),
            Launch(index=1, samples_s=(4.0, 5.0)),
        ),
    )
    figures = {"median_s": 3.0, "iqr_s": 2.0, "min_s": 1.0, "throughput_per_s": 2.0}
    assert through_disk(case).items() >= figures.items()
    edited = through_disk(case) | {"median_s": 9.0}
    assert from_json(Case, edited) == case  # figures follow from samples, whatever a file says


def test_what_samples_cannot_say_is_none() -> None:
    none = Case(id="c", stack="s", status="ok")
    assert (none.median_s, none.iqr_s, none.min_s, none.throughput_per_s) == (None,) * 4
    once = Case(id="c", stack="s", status="ok", launches=(Launch(index=0, samples_s=(2.0,)),))
    assert (once.median_s, once.iqr_s, once.min_s, once.throughput_per_s) == (2.0, None, 2.0, None)


def test_derived_figures_stand_beside_the_fields() -> None:
    data = through_disk(RUN)["matchups"][0]
    assert data["matchup"]["model"] == "mlp"
    assert data["id"] == "mlp.forward.b8.float32.cpu"
    assert data["cases"][0]["cold_starts"][0]["total_s"] == 7.0
    assert data["parity"]["timed"][0]["ok"] is True
    assert TimedCheck(stack="s", quantity="q", error=math.nan, bound=1.0).ok is False


def test_the_stored_schema_is_that_of_the_records_and_real_runs_keep_it(pipeline: Pipeline) -> None:
    """docs/run.schema.json is written by ``python -m docs.generated``."""
    stored = json.loads(RUN_SCHEMA.read_text())
    assert stored == schema()
    validator = Draft202012Validator(stored)
    pipeline.run("--phases", "forward,epoch,cold_start", "--profile")
    real = json.loads((pipeline.out / "latest" / "run.json").read_text())
    validator.validate(real)
    validator.validate(json.loads(encode(decode_run(gzip.decompress(PUBLIC_RUN.read_bytes())))))
    del real["matchups"][0]["cases"][0]["launches"][0]["samples_s"]
    assert not validator.is_valid(real)


def test_the_public_run_of_schema_1_is_upgraded() -> None:
    content = gzip.decompress(PUBLIC_RUN.read_bytes())
    assert json.loads(content)["schema"] == 1
    run = decode_run(content)
    assert run.schema == SCHEMA
    assert decode_run(encode(run)) == run
    assert run.environment.ceiling is not None
    assert run.matchups[0].cases[0].telemetry is not None
    assert run.matchups[0].profile is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "truncated or not JSON"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        (b'{"schema":2,"x":' + b"[" * 100_000, "nested too deeply"),
        (b'{"schema":1,"matchups":[{"cases":' + b"[" * 100_000, "nested too deeply"),
        (b'{"schema":2,"run_id":"\xff"}', "utf-8"),
        (b'{"schema":2,"seconds":1e400}', "Number out of range"),
        (b'{"schema":NaN}', "truncated or not JSON"),
    ],
)
def test_damaged_content_is_refused_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode_run(content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
