"""Optimizers: the reference against numbers worked out by hand, each framework against it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tasks.optimizers import SGD, Adam, Optimizer, RMSprop, named, reference
from benchmarks.tasks.schedules import Cosine, Exponential, Piecewise

TOLERANCE = 1e-12

Arrays = dict[str, NDArray[np.float64]]


def asked() -> list[Optimizer]:
    """Every optimizer plain, with weight decay, with a clip, and with both."""
    extra = [(0.0, 0.0), (0.01, 0.0), (0.0, 1.5), (0.01, 1.5), (0.0, 1000.0)]
    return [
        optimizer
        for decay, clip in extra
        for optimizer in (
            SGD(0.1, decay, clip),
            SGD(0.1, decay, clip, momentum=0.9),
            SGD(0.1, decay, clip, momentum=0.9, nesterov=True),
            SGD(0.1, decay, clip, nesterov=True),
            Adam(0.01, decay, clip),
            Adam(0.01, decay, clip, epsilon=0.01),
            RMSprop(0.01, decay, clip),
            RMSprop(0.01, decay, clip, epsilon=0.01),
            SGD(0.1, decay, clip, momentum=0.9, schedule=Cosine(5, floor=0.1)),
            Adam(0.01, decay, clip, schedule=Cosine(3, warmup=2)),
            RMSprop(0.01, decay, clip, schedule=Exponential(0.7, 2)),
            SGD(0.1, decay, clip, schedule=Exponential(0.7, 2, whole=True)),
            SGD(0.1, decay, clip, schedule=Piecewise((0, 2), (0.3, 0.1))),
        )
    ]


def drawn() -> tuple[Arrays, list[Arrays]]:
    """A kernel and a bias, and four gradients of each, some of them small or zero."""
    rng = np.random.default_rng(3)
    shapes = {"kernel": (4, 3), "bias": (3,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    gradients = [
        {name: rng.normal(size=shape) * scale for name, shape in shapes.items()}
        for scale in (1.0, 1e-4, 3.0, 0.2)
    ]
    for given in gradients[:2]:
        given["bias"][0] = 0.0
    return weights, gradients


def require_close(moved: Arrays, one: Optimizer) -> None:
    """Refuse parameters that are off by more than 1e-12 of the largest move of any."""
    weights, gradients = drawn()
    for name, expected in reference(one, weights, gradients).items():
        away = np.max(np.abs(moved[name] - expected)) / np.max(np.abs(expected - weights[name]))
        assert away <= TOLERANCE, (name, away, one)


def follow(one: Optimizer, gradients: list[float], *, start: float = 2.0) -> float:
    """Where a single weight ends."""
    steps = [{"w": np.array([g])} for g in gradients]
    return float(reference(one, {"w": np.array([start])}, steps)["w"][0])


def test_sgd_adds_up_velocity() -> None:
    assert follow(SGD(0.5), [1.0, 2.0]) == 0.5
    assert follow(SGD(0.5, momentum=0.5), [1.0, 2.0]) == 2 - 0.5 - 1.25
    # The velocities are -0.5 and -1.25; each move is half the velocity less half the gradient.
    assert follow(SGD(0.5, momentum=0.5, nesterov=True), [1.0, 2.0]) == 2 - 0.75 - 1.625


def test_weight_decay_comes_before_the_update_and_leaves_the_gradient_alone() -> None:
    assert follow(SGD(0.5, weight_decay=0.25), [1.0]) == 2 * (1 - 0.125) - 0.5
    plain = follow(Adam(0.5), [1.0], start=1.75)
    assert follow(Adam(0.5, weight_decay=0.25), [1.0]) == pytest.approx(plain, rel=1e-14)


def test_the_clip_is_of_the_norm_of_all_gradients() -> None:
    start = {"a": np.zeros(1), "b": np.zeros(2)}
    given = {"a": np.array([3.0]), "b": np.array([0.0, 4.0])}
    moved = reference(SGD(1.0, clip=2.5), start, [given])
    assert moved["a"].tolist() == [-1.5]
    assert moved["b"].tolist() == [0, -2]
    assert reference(SGD(1.0, clip=8.0), start, [given])["a"].tolist() == [-3]
    assert reference(SGD(1.0, clip=8.0), start, [{k: v * 0 for k, v in given.items()}])["a"] == 0


def test_adam_in_its_first_steps() -> None:
    one = Adam(0.5, beta_1=0.5, beta_2=0.75, epsilon=0.25)
    # m = 1, v = 1, sqrt(1 - 0.75) / (1 - 0.5) = 1
    first = 2 - 0.5 * 1 / (1 + 0.25)
    assert follow(one, [2.0]) == pytest.approx(first, rel=1e-15)
    # m = 0.5 + 0.5, v = 0.75 + 0.25, 1 - 0.75^2 = 0.4375, 1 - 0.5^2 = 0.75
    second = first - 0.5 * math.sqrt(0.4375) / 0.75 * 1 / (1 + 0.25)
    assert follow(one, [2.0, 1.0]) == pytest.approx(second, rel=1e-15)


def test_rmsprop_adds_epsilon_under_the_root() -> None:
    one = RMSprop(0.5, rho=0.75, epsilon=1.25)
    # v = 1, then 0.75 + 1 * 0.25 * 25 = 7
    first = 2 - 0.5 * 2 / 1.5
    assert follow(one, [2.0]) == pytest.approx(first, rel=1e-15)
    assert follow(one, [2.0, 5.0]) == pytest.approx(first - 2.5 / math.sqrt(8.25), rel=1e-15)


def test_schedules_by_hand() -> None:
    cosine = Cosine(4, warmup=2, floor=0.5)
    assert [cosine.share(step) for step in (0, 1, 2, 6, 99)] == [0.0, 0.5, 1.0, 0.5, 0.5]
    assert cosine.share(4) == pytest.approx(0.75, rel=1e-15)
    assert [Exponential(0.5, 2).share(step) for step in (0, 2, 4)] == [1.0, 0.5, 0.25]
    assert Exponential(0.25, 2).share(1) == 0.5
    assert Exponential(0.25, 2, whole=True).share(1) == 1.0
    piecewise = Piecewise((1, 3), (0.5, 0.25))
    assert [piecewise.share(step) for step in range(5)] == [1.0, 1.0, 0.5, 0.5, 0.25]
    with pytest.raises(ValueError, match="as many shares as steps"):
        Piecewise((3, 1), (0.5, 0.25))
    assert follow(SGD(1.0, schedule=Exponential(0.5)), [1.0, 1.0, 1.0]) == 2 - 1.75


def test_the_given_weights_stay_as_they_are() -> None:
    start = {"w": np.ones(2)}
    reference(SGD(1.0), start, [{"w": np.ones(2)}])
    assert start["w"].tolist() == [1, 1]


def test_an_optimizer_without_a_stated_arithmetic_is_refused() -> None:
    with pytest.raises(TypeError, match="no stated arithmetic for Optimizer"):
        follow(Optimizer(), [1.0])


def test_names() -> None:
    assert named("sgd") == SGD(0.01, momentum=0.9)
    assert named("adam") == Adam()
    assert named("adamw") == Adam(weight_decay=0.004)
    assert named("rmsprop") == RMSprop()
    with pytest.raises(ValueError, match=r"'adamm' \(there: sgd, adam, adamw, rmsprop, own\)"):
        named("adamm")


def moved_by_torch(stepper: Any, parameters: dict[str, Any]) -> Arrays:
    """The weights after the drawn gradients."""
    import torch

    for given in drawn()[1]:
        stepper.zero_grad()
        for name, gradient in given.items():
            parameters[name].grad = torch.from_numpy(gradient)
        stepper.step()
    return {name: parameters[name].detach().numpy() for name in drawn()[0]}


@pytest.mark.slow
def test_pytorch_computes_the_reference_and_again_after_a_reset() -> None:
    torch: Any = pytest.importorskip("torch")
    from benchmarks.frameworks.torch.optimizers import Stepper

    for one in asked():
        parameters = {
            name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in drawn()[0].items()
        }
        parameters["idle"] = torch.nn.Parameter(torch.ones(2))
        stepper = Stepper(parameters.values(), one, restated=True)
        require_close(moved_by_torch(stepper, parameters), one)
        assert parameters["idle"].tolist() == [1, 1]
        stepper.reset()
        with torch.no_grad():
            for name, value in drawn()[0].items():
                parameters[name].copy_(torch.from_numpy(value))
        require_close(moved_by_torch(stepper, parameters), one)


@pytest.mark.slow
def test_pytorchs_own_rmsprop_moves_less_by_at_most_the_root_of_two() -> None:
    torch: Any = pytest.importorskip("torch")
    from benchmarks.frameworks.torch.optimizers import Stepper

    one = RMSprop(0.01, epsilon=0.01)
    gradients = np.array([0.0, 1e-9, math.sqrt(0.1), 1e9])  # v / epsilon: 0, tiny, 1, huge
    parameter = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    stepper = Stepper([parameter], one)
    parameter.grad = torch.from_numpy(gradients)
    stepper.step()
    stated = reference(one, {"w": np.zeros(4)}, [{"w": gradients}])["w"]
    assert stated[0] == parameter[0] == 0
    ratio = stated[1:] / parameter.detach().numpy()[1:]
    assert ratio == pytest.approx([1, math.sqrt(2), 1], rel=1e-6)
