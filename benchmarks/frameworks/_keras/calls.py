"""How a Keras model is called with named inputs, and the task's loss of what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.frameworks.contracts import Source
from benchmarks.tasks import losses
from benchmarks.tasks.task import Objective, TaskError

Inputs = Mapping[str, Any]
Feed = Callable[[Inputs], Any]
Call = Callable[[Inputs, bool], Any]


class Caller:
    """Calls a model as it wants to be called, which the first call finds out.

    Attributes:
        model: the model.
        feed: what ``fit`` must be given for some inputs: a tensor, a mapping or a list. ``None``
            where the model takes several arguments, which ``fit`` cannot give.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.feed: Feed | None = None
        self._call: Call | None = None

    def __call__(self, inputs: Inputs, *, training: bool) -> Any:
        """The model's output for named inputs.

        Raises:
            TaskError: it takes no input; any error of the model itself comes as it is.
        """
        if self._call is not None:
            return self._call(inputs, training)
        first: Exception | None = None
        for feed, call in self._ways(inputs):
            try:
                made = call(inputs, training)
            except Exception as error:
                first = first or error
                continue
            self.feed, self._call = feed, call
            return made
        raise first or TaskError("the Keras side takes no input")

    def _ways(self, inputs: Inputs) -> Iterator[tuple[Feed | None, Call]]:
        import keras

        model, order = self.model, list(inputs)

        def listed(given: Inputs) -> list[Any]:
            return [given[name] for name in order]  # JAX sorts a mapping that it traces

        feeds: dict[str, Feed] = {"dict": dict, "list": listed}
        if len(inputs) == 1:
            feeds = {"tensor": lambda given: next(iter(given.values())), "dict": dict}
        else:
            plain = inspect.signature(model.call).parameters
            ours = {"training", "mask", "inputs"} - set(inputs)  # what Keras itself gives
            names = [n for n in plain if n not in ours]
            required = [n for n in names if plain[n].default is plain[n].empty]
            if not isinstance(model, keras.Sequential) and set(inputs) <= set(names):
                yield None, lambda given, training: model(**given, training=training)
            elif len(required) == len(inputs):
                yield None, lambda given, training: model(*listed(given), training=training)
        for feed in feeds.values():
            yield feed, _calling(model, feed)


def _calling(model: Any, feed: Feed) -> Call:
    return lambda given, training: model(feed(given), training=training)


def named(output: Any, name: str = "output") -> dict[str, Any]:
    """Outputs by name: one tensor is ``output``, a sequence ``output_0``, …, a mapping its keys."""
    if isinstance(output, Mapping):
        return {str(k): v for k, v in output.items()}
    if isinstance(output, tuple | list):
        found: dict[str, Any] = {}
        for index, one in enumerate(output):
            found |= named(one, f"{name}_{index}")
        return found
    return {name: output}


def plain(output: Any) -> dict[str, Any]:
    """Outputs by name, without the logits that Keras' softmax hangs on what it gives.

    Its cross-entropy would take those instead of what the model gives, on TensorFlow alone.
    """
    found = named(output)
    for name, one in found.items():
        if hasattr(one, "_keras_logits"):
            import tensorflow as tf

            found[name] = tf.identity(one)
    return found


def parts(
    source: Source, objective: Objective, outputs: Mapping[str, Any], targets: Mapping[str, Any]
) -> dict[str, Any]:
    """The parts of an objective's loss.

    Raises:
        TaskError: the task names an output that is not there.
    """
    if objective.name in source.losses:
        made = source.losses[objective.name](dict(outputs), dict(targets))
        return dict(made) if isinstance(made, Mapping) else {"loss": made}
    found = {}
    for part in objective.loss or ():
        if part.output not in outputs:
            known = ", ".join(outputs)
            raise TaskError(f"the Keras side has no output {part.output!r}; it has: {known}")
        loss = losses.load(part.name, source.extra)
        value = loss.keras(outputs[part.output], targets[part.target], **part.options)
        found[f"{part.output}.{part.name}"] = value if part.weight == 1 else part.weight * value
    return found


def total(model: Any, made: Mapping[str, Any]) -> Any:
    """All parts and what the model adds itself (regularisers)."""
    from keras import ops

    every = [*made.values(), *model.losses]
    return every[0] if len(every) == 1 else ops.sum(ops.stack([ops.reshape(o, ()) for o in every]))
