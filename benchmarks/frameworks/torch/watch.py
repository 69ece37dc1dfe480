"""Watches one forward pass of a PyTorch model: layers, steps without weights, what is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from benchmarks.frameworks.description import Arrays, Drop, Step
from benchmarks.frameworks.torch.layout import FLAT, Layouts, Tag, canonical
from benchmarks.tasks.layers import Kind

DROPS = {
    "dropout": "dropout",
    "dropout1d": "spatial dropout",
    "dropout2d": "spatial dropout",
    "dropout3d": "spatial dropout",
    "feature_dropout": "spatial dropout",
    "alpha_dropout": "alpha dropout",
    "feature_alpha_dropout": "alpha dropout",
}
RANDOM = frozenset(
    [
        "rand",
        "randn",
        "rand_like",
        "randn_like",
        "bernoulli",
        "bernoulli_",
        "normal",
        "normal_",
        "uniform_",
        "randint",
        "randint_like",
        "randperm",
        "multinomial",
        "exponential_",
        "poisson",
        "rrelu",
        "gumbel_softmax",
    ]
)
STEPS = {
    "relu": "relu",
    "relu_": "relu",
    "relu6": "relu6",
    "gelu": "gelu",
    "silu": "silu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
    "log_softmax": "logsoftmax",
    "elu": "elu",
    "selu": "selu",
    "leaky_relu": "leakyrelu",
    "softplus": "softplus",
    "max_pool1d": "maxpool",
    "max_pool2d": "maxpool",
    "max_pool3d": "maxpool",
    "boolean_dispatch": "maxpool",
    "avg_pool1d": "avgpool",
    "avg_pool2d": "avgpool",
    "avg_pool3d": "avgpool",
    "adaptive_avg_pool1d": "adaptiveavgpool",
    "adaptive_avg_pool2d": "adaptiveavgpool",
    "adaptive_avg_pool3d": "adaptiveavgpool",
    "interpolate": "interpolate",
    "pad": "pad",
    "flatten": "flatten",
    "reshape": "reshape",
    "view": "reshape",
    "mean": "mean",
    "scaled_dot_product_attention": "attention",
}
POSITIONAL = {
    "avgpool": ("", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "maxpool": ("", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "interpolate": ("", "size", "scale_factor", "mode", "align_corners"),
}
"""Names of what is given by position, of steps whose settings explain a difference."""
FIRST = {"Conv", "ConvTranspose", "BatchNorm", "GroupNorm", "PReLU"}
"""Kinds whose inputs of more than two axes hold channels in axis 1."""
SEQUENCES = {"RNN", "LSTM", "GRU", "MultiHeadAttention"}
SEQUENCE_RANK = 3


def array(tensor: Any) -> Any:
    """A float64 copy in host memory."""
    return tensor.detach().to("cpu", torch.float64).numpy().copy()


class Tracer(TorchFunctionMode):
    """While it is entered, records the calls of a module's layers and functions; drops nothing.

    ``kinds`` says of each module that owns weights which kind it is (``None``: unknown). ``calls``
    lists their paths in forward order, repeated where one is called again; ``totals`` are the
    numbers that all calls of each gave. ``arrays`` is filled where ``keep`` is set, under the keys
    of ``description.Arrays``; a layer's first call counts.
    """

    def __init__(
        self, module: Any, kinds: Mapping[str, Kind | None], batch: int, *, keep: bool
    ) -> None:
        super().__init__()
        self.module, self.kinds, self.batch, self.keep = module, kinds, batch, keep
        self.layouts = Layouts()
        self.calls: list[str] = []
        self.shapes: dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = {}
        self.totals: dict[str, int] = {}
        self.grids: dict[str, tuple[int, ...]] = {}
        self.steps: list[Step] = []
        self.drops: list[Drop] = []
        self.random: list[str] = []
        self.arrays: Arrays = {}
        self._inside: list[str] = []
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        """Hook every module that owns weights."""
        for path, part in self.module.named_modules():
            if path in self.kinds:
                before, after = self._hooked(path)
                self._hooks.callback(
                    part.register_forward_pre_hook(before, with_kwargs=True).remove
                )
                self._hooks.callback(part.register_forward_hook(after).remove)
        super().__enter__()
        return self

    def __exit__(self, *caught: object) -> None:
        """Unhook."""
        super().__exit__(*caught)
        self._hooks.close()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of PyTorch and note what it was."""
        del types
        name, keywords = getattr(func, "__name__", ""), dict(kwargs or {})
        if name in RANDOM and self._outermost():
            self.random.append(name)
        if name in DROPS:
            return self._dropped(name, args, keywords)
        if name == "scaled_dot_product_attention" and keywords.get("dropout_p"):
            self._note_drop("attention dropout", keywords["dropout_p"])
            keywords["dropout_p"] = 0.0
        step = STEPS.get(name) if self._outermost() else None
        given = [a for a in args if isinstance(a, torch.Tensor)]
        if isinstance(args[0] if args else None, list | tuple):
            given += [a for a in args[0] if isinstance(a, torch.Tensor)]
        before = None
        if step and given and self.keep:
            before = canonical(array(given[0]), self.layouts.of(given[0]))
        made = func(*args, **keywords)
        if isinstance(made, torch.Tensor) and made.ndim:
            self.layouts.follow(name, given, made)
            if step and given and not (step == "reshape" and made.ndim != FLAT):
                self._step("flatten" if step == "reshape" else step, args, keywords, before, made)
        return made

    def _outermost(self) -> bool:
        """Whether no layer of a known kind is being called."""
        return not any(self.kinds.get(path) for path in self._inside)

    def _step(
        self,
        name: str,
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
        before: Any,
        made: Any,
    ) -> None:
        key = str(len(self.steps))
        given = dict(zip(POSITIONAL.get(name, ()), args, strict=False)) | dict(keywords)
        plain = {k: v for k, v in given.items() if isinstance(v, int | float | str | bool)}
        if name == "gelu":
            plain.setdefault("approximate", "none")
        self.steps.append(Step(name=name, after=len(self.calls), key=key, constants=plain))
        if self.keep and before is not None:
            self.arrays[f"step/{key}/in"] = before
            self.arrays[f"step/{key}/out"] = canonical(array(made), self.layouts.of(made))

    def _dropped(self, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        rate = keywords.get("p", args[1] if len(args) > 1 else 0.5)
        training = keywords.get("training", args[2] if len(args) > FLAT else True)
        if rate and training and self._outermost():
            if self.keep:
                self.arrays[f"drop/{len(self.drops)}"] = canonical(
                    array(args[0]), self.layouts.of(args[0])
                )
            self._note_drop(DROPS[name], rate)
        return args[0] if args else keywords["input"]

    def _note_drop(self, what: str, rate: float) -> None:
        where = self.calls[-1] if self.calls else ""
        self.drops.append(Drop(what=what, rate=float(rate), after=len(self.calls), where=where))

    def _hooked(self, path: str) -> tuple[Callable[..., None], Callable[..., None]]:
        kind = self.kinds[path]

        def before(module: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
            first = next(
                (a for a in (*args, *keywords.values()) if isinstance(a, torch.Tensor)), None
            )
            self._inside.append(path)
            again = path in self.calls
            self.calls.append(path)
            if again or first is None:
                return
            tag = self.layouts.of(first)
            if kind and kind.name in FIRST and first.ndim > FLAT:
                self.layouts.spatial(first)
                tag = Tag(first=True)
            elif tag.grid and first.ndim == FLAT:
                self.grids[path] = tag.grid
            self._keep(module, path, self._ordered(module, kind, array(first), tag))

        def after(module: Any, args: tuple[Any, ...], output: Any) -> None:
            self._inside.pop()
            made = output[0] if isinstance(output, tuple | list) else output
            if not isinstance(made, torch.Tensor):
                return
            self.totals[path] = self.totals.get(path, 0) + made.numel()
            source = next((a for a in args if isinstance(a, torch.Tensor)), None)
            tag = self._tag(path, kind, source, made)
            if kind:
                self.layouts.put(made, tag)
            if path in self.shapes and self.shapes[path][1] is None:
                held = self._ordered(module, kind, array(made), tag)
                self.shapes[path] = (self.shapes[path][0], held.shape[1:])
                if self.keep and not isinstance(module, torch.nn.RNNCellBase):
                    self.arrays[f"node/{path}/out"] = held

        return before, after

    def _keep(self, module: Any, path: str, given: Any) -> None:
        self.shapes[path] = (given.shape[1:], None)
        if self.keep and not isinstance(module, torch.nn.RNNCellBase):  # one step of a sequence
            self.arrays[f"node/{path}/in"] = given

    def _tag(self, path: str, kind: Kind | None, source: Any, made: Any) -> Tag:
        """What is known of a layer's output."""
        name = kind.name if kind else ""
        if name in FIRST and made.ndim > FLAT:
            return Tag(first=True)
        if name in {"BatchNorm", "LayerNorm", "RMSNorm"} and source is not None:
            came = self.layouts.of(source)
            return Tag(first=came.first, grid=came.grid, makers=(*came.makers, path))
        return Tag(makers=(path,)) if name == "Dense" else self.layouts.of(made)

    def _ordered(self, module: Any, kind: Kind | None, held: Any, tag: Tag) -> Any:
        """Channels last, and the batch in front of a sequence."""
        held = canonical(held, tag)
        sequence = kind is not None and kind.name in SEQUENCES and held.ndim == SEQUENCE_RANK
        if sequence and not getattr(module, "batch_first", True) and held.shape[0] != self.batch:
            return np.swapaxes(held, 0, 1)
        return held
