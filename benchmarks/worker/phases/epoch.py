"""A whole epoch on real data: training as each framework's users write it, then evaluation."""

from dataclasses import replace

import numpy as np

from benchmarks.frameworks.contracts import Samples
from benchmarks.results.records import Learned
from benchmarks.tasks import metrics
from benchmarks.worker.phases._protocol import Session, Work

NEEDS_DATA = True


def prepare(session: Session) -> Work:
    """One iteration is one epoch from the initial weights; only a first pass is discarded."""
    data = session.real_data()
    samples = Samples(
        train=(data.x_train, data.y_train),
        test=(data.x_test, data.y_test),
        size=session.batch_size,
        scale=data.scale,
    )
    epoch = session.trainer.fit(session.device, session.program, samples)
    learned: list[Learned] = []

    def run() -> None:
        train_loss, train_accuracy, test_loss, test_accuracy = epoch.run()
        learned.append(
            Learned(
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                test_loss=test_loss,
                test_accuracy=test_accuracy,
                train_samples=len(data.y_train),
                test_samples=len(data.y_test),
            )
        )

    def judge() -> None:
        """Add the task's metrics to what the last epoch taught."""
        if learned and session.task.metrics:
            learned[-1] = replace(learned[-1], metrics=_metrics(session, samples))

    return Work(
        run=run,
        before=session.program.reset,
        discard=0,
        iterations=1,
        warm_up=1,
        items=len(data.y_train),
        learned=learned,
        after=judge,
    )


def _metrics(session: Session, samples: Samples) -> dict[str, float | None]:
    """The task's metrics of the model as it stands, on the samples to test on."""
    program, (x, y) = session.program, samples.test
    program.set_training(training=False)
    made = [
        program.outputs(program.infer(batch))
        for batch in session.device.batches(x, y, size=samples.size, scale=samples.scale)
    ]
    outputs = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    targets = {next(iter(session.task.targets)): y}
    return {
        metric.name: metrics.compute(metric, outputs, targets) for metric in session.task.metrics
    }
