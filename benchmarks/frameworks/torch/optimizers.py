"""PyTorch's optimizers, set so that they compute what ``benchmarks.tasks.optimizers`` states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from benchmarks.tasks.optimizers import SGD, Adam, Optimizer, Own, RMSprop

VANISHING = 1e-20
"""The smallest share of a learning rate: what it moves itself is lost in rounding."""


class Stepper:
    """One of PyTorch's optimizers with the stated arithmetic.

    PyTorch's RMSprop divides by ``sqrt(v) + e`` and the stated one by ``sqrt(v + epsilon)``, which
    no ``e`` makes equal. With ``e = sqrt(epsilon)`` both divide by ``sqrt(epsilon)`` where ``v`` is
    0 and by about ``sqrt(v)`` where it is large; in between PyTorch's step is smaller, by at most
    a factor of ``sqrt(2)``, where ``v`` is ``epsilon``. The work is the same, the trained weights
    are not: ``restated`` computes the stated form by hand, for a proof of what is trained.

    Args:
        parameters: The tensors to move; those without a gradient are left alone.
        asked: The optimizer and its constants.
        restated: Whether RMSprop is computed in the stated form instead of by PyTorch's optimizer.
        own: What makes the twin's own optimizer of the parameters, where ``asked`` is ``Own``.
        epsilon: Keras' epsilon for an own Adam; ``None`` leaves PyTorch's.

    Attributes:
        optimizer: PyTorch's optimizer. It clips, decays and matches epsilon as its own ``step``
            begins, so that a gradient scaler may call that instead of ``Stepper.step``. ``None``
            for the restated RMSprop.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        asked: Optimizer,
        *,
        restated: bool = False,
        own: Callable[..., Any] | None = None,
        epsilon: float | None = None,
    ) -> None:
        self.parameters = list(parameters)
        self.asked = asked
        self.taken, self.rate = 0, asked.learning_rate
        self.velocity: dict[Any, Any] = {}
        self.epsilon = epsilon
        by_hand = restated and isinstance(asked, RMSprop)
        self.optimizer: Any = None
        if own is not None and isinstance(asked, Own):
            self.optimizer = own(self.parameters)
        elif not by_hand:
            self.optimizer = _optimizer(self.parameters, asked)
        if self.optimizer is not None:
            self.optimizer.register_step_pre_hook(self._prepare)

    def step(self) -> None:
        """Move the parameters by their gradients."""
        if self.optimizer is not None:
            self.optimizer.step()
            return
        self._prepare()
        self._restated()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def reset(self) -> None:
        """Forget the gradients and what earlier steps left: velocities, moments, their count."""
        self.zero_grad()
        self.taken = 0
        self.velocity.clear()
        if self.optimizer is not None:
            self.optimizer.state.clear()

    def _prepare(self, *_: Any) -> None:
        """What PyTorch's step leaves out: rate, clip, decoupled decay, and Adam's epsilon."""
        asked, before = self.asked, self.rate
        self.rate = asked.rate(self.taken)
        self.taken += 1
        if asked.schedule is not None and self.optimizer is not None:
            self._schedule(before)
        moving = [one for one in self.parameters if one.grad is not None]
        if asked.clip and moving:
            _clip([one.grad for one in moving], asked.clip)
        if isinstance(asked, Adam):
            # PyTorch divides by sqrt(v / (1 - b2^t)) + e, the stated form by
            # (sqrt(v) + epsilon) / sqrt(1 - b2^t). Its AdamW decays by itself.
            self._match(asked.epsilon, asked.beta_2)
        elif isinstance(asked, Own):
            if self.epsilon is not None:
                self._match(self.epsilon, self.optimizer.param_groups[0]["betas"][1])
        elif asked.weight_decay and moving:
            with torch.no_grad():
                torch._foreach_mul_(moving, 1 - self.rate * asked.weight_decay)

    def _schedule(self, before: float) -> None:
        """Give PyTorch's optimizer this step's rate; ``before`` is that of the last step.

        PyTorch keeps ``b <- momentum * b + g`` and moves by ``rate * b``, the stated form keeps a
        velocity that has each step's own rate in it: ``b`` must shrink as the rate grows. Where
        there is no rate left, a very small one keeps what the velocity still moves.
        """
        asked, group = self.asked, self.optimizer.param_groups[0]
        group["lr"] = self.rate
        if not isinstance(asked, SGD) or not asked.momentum:
            return
        self.rate = group["lr"] = max(self.rate, VANISHING * asked.learning_rate)
        if not asked.nesterov:
            group["momentum"] = asked.momentum * before / self.rate
            return
        kept = [s["momentum_buffer"] for s in self.optimizer.state.values() if s]
        if kept:
            torch._foreach_mul_(kept, before / self.rate)

    def _match(self, epsilon: float, beta_2: float) -> None:
        """Give PyTorch's Adam the epsilon that makes its step the stated one."""
        for group in self.optimizer.param_groups:
            group["eps"] = epsilon / math.sqrt(1 - beta_2**self.taken)

    def _restated(self) -> None:
        """``v <- rho * v + (1 - rho) * g^2; w <- w - rate * g / sqrt(v + epsilon)``."""
        asked = self.asked
        if not isinstance(asked, RMSprop):
            raise TypeError(f"{type(asked).__name__} is not restated")
        with torch.no_grad():
            for one in self.parameters:
                if one.grad is None:
                    continue
                if one not in self.velocity:
                    self.velocity[one] = torch.zeros_like(one)
                v = self.velocity[one]
                v.mul_(asked.rho).addcmul_(one.grad, one.grad, value=1 - asked.rho)
                one.addcdiv_(one.grad, (v + asked.epsilon).sqrt(), value=-self.rate)


def told(made: Any) -> dict[str, Any]:
    """What an optimizer of PyTorch's states, in the words of ``Description.optimizer``."""
    first, kind = made.param_groups[0], type(made).__name__
    betas = first.get("betas", (None, None))
    return {
        "class": kind,
        "learning_rate": float(first["lr"]),
        "weight_decay": float(first.get("weight_decay", 0.0)),
        "decoupled": kind == "AdamW" or bool(first.get("decoupled_weight_decay")),
        "momentum": first.get("momentum"),
        "beta_1": betas[0],
        "beta_2": betas[1],
        "epsilon": first.get("eps"),
    }


def _optimizer(parameters: list[Any], asked: Optimizer) -> Any:
    """PyTorch's optimizer, without a clip, and with weight decay for AdamW only."""
    rate = asked.learning_rate
    match asked:
        case SGD(momentum=momentum, nesterov=nesterov):
            # PyTorch refuses nesterov without momentum, where it changes nothing.
            return torch.optim.SGD(
                parameters, lr=rate, momentum=momentum, nesterov=nesterov and momentum > 0
            )
        case Adam(beta_1=beta_1, beta_2=beta_2, weight_decay=decay):
            betas = (beta_1, beta_2)
            if decay:
                return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay)
            return torch.optim.Adam(parameters, lr=rate, betas=betas)
        case RMSprop(rho=rho, epsilon=epsilon):
            return torch.optim.RMSprop(parameters, lr=rate, alpha=rho, eps=math.sqrt(epsilon))
    raise TypeError(f"no PyTorch optimizer for {type(asked).__name__}")


def _clip(gradients: list[Any], limit: float) -> None:
    """``g <- g * min(1, limit / norm)``; PyTorch's own clip adds 1e-6 to the norm."""
    with torch.no_grad():
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (limit / norm).clamp(max=1.0))
