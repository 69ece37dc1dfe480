"""Keras' optimizers, set so that they compute what ``benchmarks.tasks.optimizers`` states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.tasks.optimizers import SGD, Adam, Optimizer, Own, RMSprop
from benchmarks.tasks.schedules import Cosine, Exponential, Piecewise


def make(asked: Optimizer, own: Callable[[], Any] | None = None) -> Any:
    """The ``keras.optimizers.Optimizer`` asked for; ``own`` makes the twin's.

    Keras clips by the global norm, decays every variable by ``w - w * decay * rate`` (biases too)
    and then updates, in the forms stated; Adam with weight decay is its AdamW.

    Raises:
        TypeError: Keras has none that computes this.
    """
    from keras import backend, config, optimizers

    if own is not None and isinstance(asked, Own):
        return own()

    exact = asked.clip and backend.backend() == "torch" and config.floatx() == "float64"
    of = _clipping_exactly if exact else _as_it_is
    shared = {
        "learning_rate": _rate(asked),
        "weight_decay": float(asked.weight_decay) or None,
        "global_clipnorm": float(asked.clip) or None,
    }
    match asked:
        case SGD(momentum=momentum, nesterov=nesterov):
            return of(optimizers.SGD)(momentum=float(momentum), nesterov=nesterov, **shared)
        case Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon):
            kind = optimizers.AdamW if asked.weight_decay else optimizers.Adam
            return of(kind)(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **shared)
        case RMSprop(rho=rho, epsilon=epsilon):
            return of(optimizers.RMSprop)(rho=rho, epsilon=epsilon, **shared)
    raise TypeError(f"no Keras optimizer for {type(asked).__name__}")


def _rate(asked: Optimizer) -> Any:
    """The learning rate, or Keras' own schedule of it, in the type that Keras computes in."""
    import numpy as np
    from keras import config
    from keras.optimizers import schedules

    schedule, number = asked.schedule, np.dtype(config.floatx()).type
    rate = float(asked.learning_rate)
    match schedule:
        case None:
            return rate
        case Cosine(steps=steps, warmup=warmup, floor=floor):
            warm = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
            start = number(0.0 if warmup else rate)
            return schedules.CosineDecay(start, steps, alpha=floor, **warm)
        case Exponential(factor=factor, steps=steps, whole=whole):
            return schedules.ExponentialDecay(number(rate), steps, number(factor), whole)
        case Piecewise(after=after, shares=shares):
            values = [number(rate * share) for share in (1.0, *shares)]
            return schedules.PiecewiseConstantDecay(list(after), values)
    raise TypeError(f"no Keras schedule for {type(schedule).__name__}")


def told(made: Any) -> dict[str, Any]:
    """What an optimizer of Keras' states, in the words of ``Description.optimizer``."""
    stated = made.get_config()
    return {
        "class": type(made).__name__,
        "learning_rate": float(made.learning_rate),
        "weight_decay": float(stated.get("weight_decay") or 0.0),
        "decoupled": True,
        "momentum": stated.get("momentum"),
        "beta_1": stated.get("beta_1"),
        "beta_2": stated.get("beta_2"),
        "epsilon": stated.get("epsilon"),
    }


def _as_it_is(kind: Any) -> Any:
    return kind


def _clipping_exactly(kind: Any) -> Any:
    """The class of optimizers with its clip in float64.

    On PyTorch, Keras takes the factor that gradients are clipped by through float32 whatever their
    type; a proof in float64 would see that.
    """
    import torch

    def clip(self: Any, gradients: list[Any]) -> list[Any]:
        norm = torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
        scale = (self.global_clipnorm / norm).clamp(max=1.0)
        return [g if g is None else g * scale for g in gradients]

    return type(kind.__name__, (kind,), {"_clip_gradients": clip})
