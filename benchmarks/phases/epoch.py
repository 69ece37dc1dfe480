"""A whole epoch on real data: training as each framework's users write it, then evaluation."""

from benchmarks.frameworks.contracts import Samples
from benchmarks.phases._protocol import Session, Work
from benchmarks.records import Learned

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

    return Work(
        run=run,
        before=session.program.reset,
        discard=0,
        iterations=1,
        warm_up=1,
        items=len(data.y_train),
        learned=learned,
    )
