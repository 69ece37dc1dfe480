"""Losses: each reference against numbers worked out by hand, each dialect against the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tasks import losses
from benchmarks.tasks.task import TaskError

TOLERANCE = 1e-12


@dataclass(frozen=True)
class Case:
    """A loss, and what it is given."""

    name: str
    output: NDArray[Any]
    target: NDArray[Any]
    options: dict[str, Any] = field(default_factory=dict)


def cases() -> list[Case]:
    """Every loss with every option, and the shapes it takes."""
    rng = np.random.default_rng(7)
    weights = [0.1, 2.0, 0.7, 1.3]
    every: list[dict[str, Any]] = [
        {},
        {"label_smoothing": 0.1},
        {"class_weights": weights},
        {"label_smoothing": 0.1, "class_weights": weights},
    ]
    made = [
        Case("cross_entropy", 3 * rng.normal(size=(*shape, 4)), rng.integers(0, 4, shape), options)
        for shape in ((6,), (3, 5), (2, 3, 4))
        for options in every
    ]
    ids = rng.integers(0, 4, (2, 3))
    made.append(Case("cross_entropy", 40 * rng.normal(size=(2, 3, 4)), ids.astype(np.int32)))
    pairs = [((6, 3), (6, 3)), ((6,), (6, 1)), ((6, 1), (6,)), ((2, 3, 4, 2), (2, 3, 4, 2))]
    for output, target in pairs:
        x, t = 2 * rng.normal(size=output), rng.normal(size=target)
        made += [Case(name, x, t) for name in ("mse", "mae", "huber", "binary_cross_entropy")]
        made.append(Case("huber", x, t, {"delta": 0.3}))
        made.append(Case("binary_cross_entropy", 20 * x, (t > 0).astype(np.float64)))
    probabilities = rng.dirichlet([0.5] * 4, size=(3, 5))
    probabilities[0, 0] = [0.0, 1.0, 0.0, 0.0]
    made.append(Case("kl", 3 * rng.normal(size=(3, 5, 4)), probabilities))
    made.append(Case("kl", rng.normal(size=(3, 4)), rng.integers(0, 2, (3, 4)).astype(np.float64)))
    return made


COMPILED = {"binary_cross_entropy", "cross_entropy", "mae", "mse"}
"""Losses that Keras has an object of, for ``compile``, that computes the same."""


def compiles(case: Case) -> bool:
    """Whether Keras has an object for it; for class ids it knows no options."""
    return case.name in COMPILED and not (case.name == "cross_entropy" and case.options)


def slope(case: Case) -> Any:
    """The gradient of the loss by its output, from its formula."""
    x = case.output
    if case.name == "cross_entropy":
        weights = np.asarray(case.options.get("class_weights", np.ones(x.shape[-1])))
        smoothing = case.options.get("label_smoothing", 0.0)
        wanted = (1 - smoothing) * np.eye(x.shape[-1])[case.target] * weights
        wanted = wanted + smoothing / x.shape[-1] * weights
        return _less(x, wanted) / weights[case.target].sum()
    if case.name == "kl":
        return _less(x, case.target) / (x.size / x.shape[-1])
    target = case.target.reshape(x.shape)
    if case.name == "binary_cross_entropy":
        return (1 / (1 + np.exp(-x)) - target) / x.size
    difference = x - target
    delta = case.options.get("delta", 1.0)
    return {
        "mse": 2 * difference,
        "mae": np.sign(difference),
        "huber": np.clip(difference, -delta, delta),
    }[case.name] / x.size


def _less(logits: NDArray[Any], wanted: NDArray[Any]) -> Any:
    """The gradient of ``sum of wanted * -log_softmax(logits)``."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    return shares * wanted.sum(axis=-1, keepdims=True) - wanted


def require_close(seen: Any, expected: Any, case: object) -> None:
    """Refuse a difference of more than 1e-12 of the largest expected value."""
    expected = np.asarray(expected, np.float64)
    assert np.shape(seen) == expected.shape, case
    away = np.max(np.abs(seen - expected)) / np.max(np.abs(expected))
    assert away <= TOLERANCE, (away, case)


def test_cross_entropy_of_equal_logits_is_the_log_of_their_number() -> None:
    value = losses.load("cross_entropy").reference(np.zeros((2, 5, 8)), np.ones((2, 5), int))
    assert value == pytest.approx(math.log(8), rel=1e-14)


def test_cross_entropy_weighs_and_smooths_as_pytorch_does() -> None:
    logits, ids = np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])
    loss = losses.load("cross_entropy").reference
    half, quarter, rest = math.log(2), math.log(4), math.log(4 / 3)
    assert loss(logits, ids) == pytest.approx((half + rest) / 2, rel=1e-14)
    weighted = (1 * half + 3 * rest) / 4
    assert loss(logits, ids, class_weights=[1, 3]) == pytest.approx(weighted, rel=1e-14)
    smooth = 0.9 * (half + rest) / 2 + 0.05 * (half + half + quarter + rest) / 2
    assert loss(logits, ids, label_smoothing=0.1) == pytest.approx(smooth, rel=1e-14)
    both = 0.9 * weighted + 0.05 * (half + 3 * half + quarter + 3 * rest) / 4
    value = loss(logits, ids, label_smoothing=0.1, class_weights=[1, 3])
    assert value == pytest.approx(both, rel=1e-14)


def test_binary_cross_entropy_is_that_of_the_sigmoid() -> None:
    loss = losses.load("binary_cross_entropy").reference
    value = loss(np.array([0.0, math.log(3)]), np.array([1.0, 0.0]))
    assert value == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-14)
    assert loss(np.array([-800.0]), np.array([1.0])) == 800
    assert loss(np.array([1.0]), np.array([0.5])) == pytest.approx(math.log(1 + math.e) - 0.5)


def test_differences_are_squared_taken_as_they_are_or_both() -> None:
    output, target = np.array([1.0, -1.0, 3.5]), np.array([[1.5], [1.0], [3.5]])
    assert losses.load("mse").reference(output, target) == pytest.approx(4.25 / 3)
    assert losses.load("mae").reference(output, target) == pytest.approx(2.5 / 3)
    huber = losses.load("huber").reference
    assert huber(output, target) == pytest.approx((0.125 + 1.5) / 3)
    assert huber(output, target, delta=0.25) == pytest.approx((0.09375 + 0.46875) / 3)


def test_kl_is_zero_where_the_softmax_is_the_target_and_ignores_zeros() -> None:
    loss = losses.load("kl").reference
    target = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert loss(np.log(target) + 3, target) == pytest.approx(0, abs=1e-15)
    assert loss(np.zeros((1, 2)), np.array([[0.0, 1.0]])) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy", "kl"])
def test_a_target_that_would_be_broadcast_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(3,\) does not fit"):
        losses.load(name).reference(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="does not fit"):
        losses.load(name).reference(np.zeros((2, 3)), np.zeros((3, 2)))


def test_class_ids_need_the_outputs_shape_without_its_last_axis() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        losses.load("cross_entropy").reference(np.zeros((2, 3, 4)), np.zeros((2, 4), int))


def test_every_loss_says_what_it_suits_and_every_target_has_a_default() -> None:
    suited = {name: losses.load(name).SUITS for name in losses.names()}
    assert set(suited) == {"binary_cross_entropy", "cross_entropy", "huber", "kl", "mae", "mse"}
    for kind in ("classes", "values", "labels", "like"):
        assert kind in suited[losses.default_for(kind)]


def test_an_unknown_loss_is_told_the_nearest_and_all() -> None:
    with pytest.raises(TaskError, match=r"no loss 'hubert'; did you mean 'huber'\? \(there: bin"):
        losses.load("hubert")
    with pytest.raises(TaskError, match=r"no loss '_shapes'"):
        losses.load("_shapes")


def test_a_users_file_goes_first_and_must_be_whole(tmp_path: Path) -> None:
    folder = tmp_path / "losses"
    folder.mkdir()
    whole = "SUITS = ('values',)\ndef reference(o, t): return 5.0\ntorch = keras = reference\n"
    (folder / "mse.py").write_text(whole)
    (folder / "half.py").write_text("def reference(o, t): return 5.0\n")
    (folder / "_shared.py").touch()
    (tmp_path / "stray.py").write_text(whole)
    assert losses.load("mse", (tmp_path,)).reference(0, 0) == 5
    assert losses.load("mse").reference(np.zeros(1), np.ones(1)) == 1
    assert set(losses.names((tmp_path,))) == {*losses.names(), "half"}
    with pytest.raises(TaskError, match=r"half\.py does not define torch, keras, SUITS"):
        losses.load("half", (tmp_path,))


def test_of_two_folders_the_first_one_counts(tmp_path: Path) -> None:
    for number, name in enumerate(("model", "all")):
        (tmp_path / name / "losses").mkdir(parents=True)
        code = f"SUITS = ()\ndef reference(o, t): return {number}.0\ntorch = keras = reference\n"
        (tmp_path / name / "losses" / "own.py").write_text(code)
    both = (tmp_path / "model", tmp_path / "all")
    assert losses.load("own", both).reference(0, 0) == 0
    assert losses.load("own", both[::-1]).reference(0, 0) == 1
    with pytest.raises(TaskError, match="there is no loss 'own'"):
        losses.load("own")


@pytest.mark.slow
def test_pytorch_computes_the_reference() -> None:
    torch: Any = pytest.importorskip("torch")
    for case in cases():
        loss = losses.load(case.name)
        expected = loss.reference(case.output, case.target, **case.options)
        target = torch.from_numpy(case.target)
        output = torch.from_numpy(case.output).requires_grad_()
        value = loss.torch(output, target, **case.options)
        value.backward()
        require_close(value.detach().numpy(), expected, case)
        require_close(output.grad.numpy(), slope(case), case)
        if case.name == "cross_entropy" and case.output.ndim > 2:
            first = output.detach().movedim(-1, 1).contiguous().movedim(1, -1)
            value = loss.torch(first, target, **case.options)
            require_close(value.numpy(), expected, case)
