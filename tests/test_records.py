"""Records survive the disk unchanged, ids never change, and a bad record names its bad field."""

import dataclasses
import json
import math
from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.results import records
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
    RecordError,
    Run,
    Stack,
    TimedCheck,
    Tuned,
    Verdict,
    from_json,
    read_run,
    to_json,
)

KINDS = tuple(
    kind
    for kind in vars(records).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
NUMBERS = st.floats(min_value=-1e100, max_value=1e100)
TEXT = st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)
KNOWN = {
    str: TEXT,
    float: NUMBERS,
    dict[str, Any]: st.dictionaries(TEXT, JSON, max_size=2),
    dict[str, float]: st.dictionaries(TEXT, NUMBERS, max_size=2),
    tuple[float, float]: st.tuples(NUMBERS, NUMBERS),
}


def any_of(kind: type) -> st.SearchStrategy[Any]:
    """Records of a kind, every field filled at random."""
    return st.builds(kind, **{name: value(hint) for name, hint in get_type_hints(kind).items()})


def value(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type."""
    options = get_args(hint)
    if hint in KNOWN:
        return KNOWN[hint]
    if hint in KINDS:
        return any_of(hint)
    if get_origin(hint) is tuple:
        return st.lists(value(options[0]), max_size=1 if options[0] in KINDS else 3).map(tuple)
    if get_origin(hint) is UnionType:
        return st.one_of(*map(value, options))
    return st.from_type(hint)


def through_disk(record: Any) -> Any:
    return json.loads(json.dumps(to_json(record), allow_nan=False))


RUN = Run(
    run_id="20261121T081500Z-3f2a",
    started="2026-11-21T08:15:00Z",
    seconds=61.5,
    exit=0,
    command=("run", "--models", "mlp"),
    environment={"cores": 2},
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


def parts(record: Any) -> Iterator[Any]:
    """Every record within a record, itself included."""
    if dataclasses.is_dataclass(record):
        yield record
        for field in dataclasses.fields(record):
            yield from parts(getattr(record, field.name))
    elif isinstance(record, tuple):
        for item in record:
            yield from parts(item)


TUNED = Tuned(model="mlp", stack="torch-eager", ratio=1.2, ci95=(1.1, 1.3))
EXAMPLES = {type(part): part for part in (*parts(RUN), Stack("torch", "eager"), TUNED)}


@EVERY_KIND
@settings(max_examples=30)
@given(data=st.data())
def test_every_record_survives_the_disk(kind: type, data: st.DataObject) -> None:
    record = data.draw(any_of(kind))
    assert from_json(kind, through_disk(record)) == record


def test_a_run_survives_the_disk() -> None:
    assert read_run(through_disk(RUN)) == RUN


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null_on_disk_and_nan_again(bad: float) -> None:
    launch = Launch(index=0, samples_s=(bad, 1.0), warmup_s=(bad,))
    data = through_disk(launch)
    assert data["samples_s"] == [None, 1.0]
    back = from_json(Launch, data)
    assert math.isnan(back.samples_s[0])
    assert back.samples_s[1] == 1.0
    assert math.isnan(back.warmup_s[0])
    check = TimedCheck(stack="s", quantity="loss", error=bad, bound=1.0)
    assert math.isnan(from_json(TimedCheck, through_disk(check)).error)


def test_a_derived_figure_that_is_no_number_is_null_too() -> None:
    start = ColdStart(launch=0, cache="warm", import_s=math.nan, build_s=1.0, first_step_s=1.0)
    assert through_disk(start)["total_s"] is None


def test_an_absent_figure_stays_none() -> None:
    verdict = dataclasses.replace(RUN.matchups[0].verdicts[0], ratio=None, ci95=None)
    assert from_json(Verdict, through_disk(verdict)) == verdict
    assert from_json(Case, through_disk(Case(id="c", stack="s", status="ok"))).telemetry is None


def test_a_number_without_a_fraction_is_a_float_still() -> None:
    launch = from_json(Launch, {"index": 0, "samples_s": [1, 2]})
    assert [type(sample) for sample in launch.samples_s] == [float, float]


@EVERY_KIND
def test_a_newer_minor_field_does_no_harm(kind: type) -> None:
    record = EXAMPLES[kind]
    assert from_json(kind, through_disk(record) | {"newer": {"deep": [1]}}) == record


@EVERY_KIND
def test_a_missing_field_is_named(kind: type) -> None:
    whole = through_disk(EXAMPLES[kind])
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    assert required or kind is Failure
    for name in required:
        if name == "matchup":  # its fields stand in the object itself
            continue
        rest = {key: inner for key, inner in whole.items() if key != name}
        with pytest.raises(RecordError) as caught:
            from_json(kind, rest)
        assert str(caught.value) == f"{kind.__name__}: field {name!r} is missing"


def test_a_missing_field_says_where() -> None:
    data = through_disk(RUN)
    del data["matchups"][0]["cases"][0]["launches"][0]["samples_s"]
    with pytest.raises(RecordError) as caught:
        read_run(data)
    where = "Run.matchups[0].cases[0].launches[0]"
    assert str(caught.value) == f"{where}: field 'samples_s' is missing"
    del data["matchups"][0]["model"]
    with pytest.raises(RecordError, match="field 'model' is missing"):
        read_run(data)


@pytest.mark.parametrize(
    ("field", "bad", "said"),
    [
        ("seconds", "61.5", "Run.seconds: expected float, found str"),
        ("seconds", True, "Run.seconds: expected float, found bool"),
        ("exit", 0.0, "Run.exit: expected int, found float"),
        ("exit", False, "Run.exit: expected int, found bool"),
        ("run_id", None, "Run.run_id: expected str, found NoneType"),
        ("command", "run", "Run.command: expected a list, found str"),
        ("command", ["run", 1], "Run.command[1]: expected str, found int"),
        ("environment", [], "Run.environment: expected dict, found list"),
        ("matchups", [7], "Run.matchups[0]: expected an object, found int"),
    ],
)
def test_a_wrong_type_is_named(field: str, bad: object, said: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_run(through_disk(RUN) | {field: bad})
    assert str(caught.value) == said


def test_a_word_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecordError) as caught:
        from_json(Parity, {"status": "maybe"})
    assert str(caught.value) == "Parity.status: 'maybe' is not one of proven, failed, partial"


@pytest.mark.parametrize("schema", [SCHEMA + 1, 999])
def test_a_newer_schema_is_refused(schema: int) -> None:
    with pytest.raises(RecordError, match=rf"schema {schema} is newer .* \({SCHEMA}\): update"):
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
    assert case.summary() == figures
    assert through_disk(case).items() >= figures.items()


def test_what_samples_cannot_say_is_none() -> None:
    assert set(Case(id="c", stack="s", status="ok").summary().values()) == {None}
    once = Case(id="c", stack="s", status="ok", launches=(Launch(index=0, samples_s=(2.0,)),))
    assert once.summary() == {
        "median_s": 2.0,
        "iqr_s": None,
        "min_s": 2.0,
        "throughput_per_s": None,
    }


def test_derived_figures_stand_beside_the_fields() -> None:
    data = through_disk(RUN)["matchups"][0]
    assert data["model"] == "mlp"
    assert data["cases"][0]["cold_starts"][0]["total_s"] == 7.0
    assert data["parity"]["timed"][0]["ok"] is True
    assert TimedCheck(stack="s", quantity="q", error=math.nan, bound=1.0).ok is False
