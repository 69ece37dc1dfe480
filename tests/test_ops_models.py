"""Real steps of every shipped model: the vocabulary must not rot."""

from pathlib import Path

import pytest

from benchmarks import frameworks
from benchmarks.machine.environment import framework_status
from benchmarks.request import discovery
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.why._shared import profiling
from benchmarks.why._shared.subjects import subject
from profilers.ops import taxonomy
from profilers.ops.account import spent

MOST_OTHER = 0.05
TRIES = 3
"""A step that another process interrupts in an operation of no category is recorded again."""
HEAVY = "resnet50"
ON_REQUEST = ("keras_torch-eager", "keras_torch-compile", "jax-xla")
CASES = [
    (model, stack)
    for model in ("mlp", "simple_cnn", "digits_cnn", "lstm")
    for stack in ("torch-eager", "torch-compile", "tensorflow-graph", "tensorflow-xla")
] + [
    *((model, stack) for model in ("mlp", "simple_cnn", "lstm") for stack in ON_REQUEST),
    ("simple_cnn", "torch-script"),
    ("simple_cnn", "tensorflow-eager"),
    (HEAVY, "torch-eager"),
    (HEAVY, "tensorflow-graph"),
]

LIGHT = {
    ("simple_cnn", "torch-eager"),
    ("lstm", "tensorflow-graph"),
}
"""One of each profiler; the others take as long each, and are asked for by -m heavy."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "stack"),
    [pytest.param(*c, marks=() if c in LIGHT else pytest.mark.heavy) for c in CASES],
)
def test_few_operations_of_a_train_step_have_no_category(model: str, stack: str) -> None:
    parsed = Stack.parse(stack)
    missing = framework_status(frameworks.facts(parsed.framework).packages)
    if missing:
        pytest.skip(missing)
    of = subject(Selection(models=(model,), phases=("train_step",), stacks=(stack,)))
    for _ in range(TRIES):
        (profile,), failed = profiling.take_all(of, [parsed], steps=3, recordings=1)
        assert failed == {}
        found = profile.account
        seconds = {
            name: sum(spent(r) for r in found.rows if r.category == name)
            for name in taxonomy.CATEGORIES
        }
        if seconds[taxonomy.OTHER] < MOST_OTHER * found.wall_s:
            break
    assert seconds[taxonomy.OTHER] < MOST_OTHER * found.wall_s
    assert {r.category for r in found.rows} <= set(taxonomy.CATEGORIES)
    assert sum(seconds.values()) + found.overhead_s == pytest.approx(found.wall_s)
    layered = parsed.mode not in {"compile", "script"} and stack != "tensorflow-eager"
    if layered or stack == "torch-compile":  # Keras' LSTM, compiled, is products as any other
        main = {"lstm": "recurrent", "mlp": "matmul"}.get(model, "conv")
        assert seconds[main] > 0
    phases = {r.phase for r in found.rows}
    assert {"forward", "backward"} <= phases <= set(taxonomy.PHASES)
    if layered:
        named = {r.layer for r in found.rows if r.layer}
        assert {layer.name for layer in of.layers} - named == set()


def test_every_shipped_model_is_among_them() -> None:
    shipped = set(discovery.names("models"))
    assert shipped - {model for model, _ in CASES} == {"resnet50_transfer"}  # resnet50, frozen
    assert Path(discovery.HERE / "models" / HEAVY).is_dir()
