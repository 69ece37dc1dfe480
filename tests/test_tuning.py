"""The policy best: a change is taken where it was measured to help, and nowhere else."""

from dataclasses import replace

import pytest

from benchmarks.machine import environment
from benchmarks.measure.calibration import tuning
from benchmarks.request import changes, discovery, options, plan
from benchmarks.request.selection import Selection, Variant
from benchmarks.results.fairness import fairness, tuned
from benchmarks.results.machine import Environment, Tuned
from benchmarks.results.records import Case, Exit, Launch, Matchup, MatchupResult, Run, Stack
from benchmarks.worker import briefing
from tests.pipeline import MODELS, OURS, Pipeline

TORCH, GRAPH = Stack.parse("torch-eager"), Stack.parse("tensorflow-graph")
FOUND = Tuned(
    model="simple_cnn", stack="torch-eager", layout="channels_last", ratio=1.8, ci95=(1.7, 1.9)
)
BEST = Selection(policy="best", tuned=(FOUND,))


def timed(**times_s: float) -> Run:
    """A run of one matchup; ``_at_`` in a name stands for ``@`` and ``_on_`` for ``-``."""
    cases = tuple(
        Case(
            id=name,
            stack=name.replace("_at_", "@").replace("_on_", "-"),
            status="ok",
            launches=tuple(Launch(index=i, samples_s=(t, t * 1.001)) for i in range(7)),
        )
        for name, t in times_s.items()
    )
    matchup = Matchup(
        model="simple_cnn", phase="train_step", batch=8, precision="float32", device="cpu"
    )
    return Run(
        run_id="r",
        started="2026-11-21T08:15:00Z",
        seconds=0,
        exit=0,
        command=(),
        environment=Environment(),
        matchups=(MatchupResult(matchup=matchup, parity=None, cases=cases, verdicts=()),),
    )


@pytest.mark.parametrize(
    ("stack", "model", "labels"),
    [
        ("torch-eager", "simple_cnn", ["channels_last", "one_thread"]),
        ("keras_torch-eager", "simple_cnn", ["channels_first", "one_thread"]),
        ("torch-eager", "mlp", ["one_thread"]),
        ("torch-eager@old", "simple_cnn", ["old_channels_last", "old_one_thread"]),
    ],
)
def test_what_may_be_changed(stack: str, model: str, labels: list[str]) -> None:
    chosen = Selection(variants=(Variant(label="old", python="envs/old/bin/python"),))
    task, of = discovery.task(model), Stack.parse(stack)
    found = changes.possible(of, task, chosen, cores=2)
    assert [variant.label for variant in found] == labels
    assert {variant.python for variant in found} == {chosen.variant(of).python}
    on_a_gpu = changes.possible(of, task, replace(chosen, device="cuda"), cores=2)
    assert [v.label for v in on_a_gpu] == [name for name in labels if "thread" not in name]


def test_the_fastest_change_is_taken_where_it_is_clearly_faster() -> None:
    candidates = {
        TORCH: [changes.LAYOUTS["channels_last"], changes.ONE_THREAD],
        GRAPH: [changes.ONE_THREAD],
    }
    run = timed(
        torch_on_eager=0.2,
        torch_on_eager_at_channels_last=0.1,
        torch_on_eager_at_one_thread=0.15,
        tensorflow_on_graph=0.2,
        tensorflow_on_graph_at_one_thread=0.199,
    )
    (found,) = tuning.fastest(run, "simple_cnn", candidates)
    assert (found.model, found.stack, found.layout) == (
        "simple_cnn",
        "torch-eager",
        "channels_last",
    )
    assert found.threads is None
    assert found.ratio == pytest.approx(2.0)
    assert found.ci95 == pytest.approx((2.0, 2.0))


def test_a_worker_is_told_what_its_stack_was_tuned_to() -> None:
    def layout(stack: Stack, model: str | None) -> str | None:
        found: str | None = briefing.settings(stack, BEST, 2, model)["layout"]
        return found

    assert layout(TORCH, "simple_cnn") == "channels_last"
    assert layout(Stack.parse("torch-eager@a"), "simple_cnn") == "channels_last"  # a copy of it
    assert layout(TORCH, "resnet50") is None
    assert layout(TORCH, None) is None  # for no model, as the ceilings are measured
    assert layout(GRAPH, "simple_cnn") is None
    tried = replace(BEST, variants=(changes.LAYOUTS["channels_first"],))
    asked = briefing.settings(Stack.parse("torch-eager@channels_first"), tried, 2, "simple_cnn")
    assert asked["layout"] == "channels_first"


def test_what_was_tuned_survives_the_journal_and_is_no_flag() -> None:
    assert options.from_stored(options.to_stored(BEST)) == BEST
    assert options.as_command(BEST) == ("--policy", "best")


def test_the_page_says_what_was_changed_and_what_it_gained() -> None:
    on_one = replace(FOUND, layout=None, threads=1)
    assert [row.detail for row in tuned((FOUND, on_one))] == [
        "simple_cnn, torch-eager: channels_last, 1.80x as fast as without [1.70, 1.90]",
        "simple_cnn, torch-eager: 1 thread, 1.80x as fast as without [1.70, 1.90]",
    ]
    apart = {"a-x": {"threads": 1}, "b-y": {"threads": 2}}
    assert fairness(apart)[0].state == "unequal"
    best = {stack: told | {"policy": "best"} for stack, told in apart.items()}
    assert fairness(best)[0].state == "info"


def test_nothing_is_tuned_but_for_the_best_policy() -> None:
    chosen = Selection(models_dir=MODELS, models=("tiny",), stacks=("null-a",))
    made = plan.make(chosen)
    group = made.groups[0]
    assert tuning.selection(made, group, {Stack.parse("null-a"): []}) is None
    data = plan.make(replace(chosen, phases=("dataload",)))
    tried = {Stack.parse("null-a"): [changes.ONE_THREAD]}
    assert tuning.selection(data, data.groups[0], tried) is None


def test_a_best_run_measures_what_helps_and_then_uses_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "usable_cores", lambda: 2)
    pipeline.inside()
    done = pipeline.run("--phases", "train_step", "--policy", "best", alone=0.25)
    assert "first, what makes each stack of tiny faster" in capsys.readouterr().err
    assert done.code == Exit.OK
    assert done.matchup("train_step").matchup.id.endswith(".best")
    threads = {c.stack: c.settings["threads"] for c in done.matchup("train_step").cases}
    assert threads == {"null-a": 2, "null-b": 1}
    (row,) = (r for r in done.run.environment.fairness if r.check == "tuned")
    assert row.detail.startswith("tiny, null-b: 1 thread, ")
    assert len(list((pipeline.out / tuning.FOLDER).glob("*-*/run.json"))) == 1
    resumed = pipeline.call("--resume", *OURS)
    assert {c.stack: c.settings["threads"] for c in resumed.matchup("train_step").cases} == threads
