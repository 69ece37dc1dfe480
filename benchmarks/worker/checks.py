"""What a stack computes as it is timed, written by its worker for the parent to compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.contracts import Samples

if TYPE_CHECKING:
    from benchmarks.worker.phases._protocol import Built

Array = NDArray[Any]
PARTS = ("inference", "training")
"""What a timed stack is checked on, each by itself, so that a failure of one spares the other."""
FIT = "fit"
"""What a stack with a trainer of its own is checked on beside these: an epoch of one batch."""
SAME_AS = {FIT: "training"}
"""Parts that are held against the reference of another one."""
SKIPPED = 16
"""Steps that dynamic loss scaling may skip, halving its scale of 2^15 each time, to 1."""


def write_check(built: Built, path: Path, part: str, *, scaled: bool = False) -> None:
    """In a worker: write what the timed callables compute from the start, to ``path`` (npz).

    ``part`` is one of ``PARTS``, or ``FIT``. Where losses are ``scaled``, the step that counts is
    the first one that was not skipped because a gradient overflowed; the scale found stays.
    """
    program = built.program
    program.reset()
    arrays: dict[str, Array] = {}
    if part == "inference":
        program.set_training(training=False)
        outputs = program.outputs(program.infer(built.batch))
        arrays |= {f"output/{name}": held for name, held in outputs.items()}
    elif part == FIT:
        arrays["loss"] = np.asarray(_fit_once(built))
        arrays |= _updates(built)
    else:
        program.set_training(training=True)
        for _ in range(SKIPPED if scaled else 1):
            arrays["loss"] = program.outputs(program.step(built.batch))["output"]
            updates = _updates(built)
            if any(update.any() for update in updates.values()):
                break
        arrays |= updates
    program.reset()
    np.savez(path, allow_pickle=False, **arrays)


def _updates(built: Built) -> dict[str, Array]:
    """What training has added to each trained weight."""
    after = built.program.export()
    return {
        f"update/{key}": after[key] - built.weights[key]
        for key, one in built.keys.items()
        if one["trainable"] and key in after
    }


def _fit_once(built: Built) -> float:
    """The training loss of one epoch of the trainer over the batch that is checked."""
    built.task.labelled()
    (x,), (y,) = built.fed.inputs.values(), built.fed.targets.values()
    kept = x.astype(built.device.asked.storage) if x.dtype.kind == "f" else x
    samples = Samples(train=(kept, y), test=(kept, y), size=len(y))
    loss, *_ = built.trainer.fit(built.device, built.program, samples).run()
    return float(loss)
