"""A whole epoch on real data: training as each framework's users write it, then evaluation."""

from dataclasses import replace

import numpy as np

from benchmarks.frameworks.contracts import Samples
from benchmarks.results.records import Learned
from benchmarks.tasks import metrics
from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = True


def prepare(built: Built) -> Work:
    """One iteration is one epoch from the initial weights; only a first pass is discarded."""
    data = built.real_data()
    samples = Samples(
        train=(data.x_train, data.y_train),
        test=(data.x_test, data.y_test),
        size=built.batch_size,
        scale=data.scale,
    )
    epoch = built.trainer.fit(built.device, built.program, samples)
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

    def add_metrics() -> None:
        """Add the task's metrics to what the last epoch taught."""
        if learned and built.task.metrics:
            learned[-1] = replace(learned[-1], metrics=_metrics(built, samples))

    return Work(
        run=run,
        before=built.program.reset,
        discard=0,
        iterations=1,
        warm_up=1,
        items=len(data.y_train),
        learned=learned,
        after=add_metrics,
    )


def _metrics(built: Built, samples: Samples) -> dict[str, float | None]:
    """The task's metrics of the model as it stands, on the samples to test on."""
    program, (x, y) = built.program, samples.test
    program.set_training(training=False)
    made = [
        program.outputs(program.infer(batch))
        for batch in built.device.batches(x, y, size=samples.size, scale=samples.scale)
    ]
    outputs = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    targets = {next(iter(built.task.targets)): y}
    return {metric.name: metrics.compute(metric, outputs, targets) for metric in built.task.metrics}
