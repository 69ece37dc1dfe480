"""Asked to end, a command ends in order and keeps what is done; asked twice, it ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.machine.environment import ROOT
from benchmarks.measure import session
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from tests.pipeline import OURS, TINY, WITHOUT, Pipeline, alive, until
from tests.test_faults import _complete_without_duplicates, _user_model

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What may ask a command to end: not the list of the product, of which one could be missing."""
EVERY = pytest.mark.parametrize("number", SIGNALS)
HANGING = (
    "import pathlib, time\npathlib.Path(__file__).with_name('here').touch()\ntime.sleep(600)\n"
)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """However these tests were started, no signal is ignored: a background job ignores SIGINT.

    One that a command does not take ends its test, and not all of them.
    """
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {each: signal.signal(each, usual.get(each, _unheard)) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def _unheard(number: int, _frame: object) -> None:
    raise AssertionError(f"nothing takes {signal.Signals(number).name}")


@EVERY
def test_a_run_that_is_asked_to_end_while_it_calibrates_keeps_what_is_done(
    pipeline: Pipeline, number: signal.Signals
) -> None:
    before, usual = [signal.getsignal(each) for each in SIGNALS], pipeline.means

    def asked(*_: object) -> None:
        signal.raise_signal(number)
        raise AssertionError("it went on")

    done = pipeline.wanting(ceiling=asked).run("--phases", "forward")
    assert done.code == done.run.exit == Exit.INTERRUPTED
    assert [signal.getsignal(each) for each in SIGNALS] == before
    pipeline.means = usual
    assert pipeline.call("--resume", *OURS).code == 0


@EVERY
def test_a_proof_that_is_asked_to_end_ends_with_its_workers(
    tmp_path: Path, number: signal.Signals
) -> None:
    models = _user_model(tmp_path, HANGING)
    words = ["verify", *models, "--stacks", "null-a", "--out", str(tmp_path / "results")]
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline", WITHOUT, *words],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until((tmp_path / "models" / "mine" / "here").exists)
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert workers
    parent.send_signal(number)
    assert parent.wait(60) == Exit.INTERRUPTED
    until(lambda: not any(map(alive, workers)))
    assert not list(tmp_path.glob("twinbench-run-*"))  # no temporary folder is left either


@pytest.mark.slow
def test_the_second_request_ends_a_run_at_once_and_its_journal_is_whole(
    pipeline: Pipeline,
) -> None:
    parent = pipeline.start("--phases", "forward", "--effort", "standard")
    until(lambda: pipeline.launches_done() >= 1)
    workers = psutil.Process(parent.pid).children(recursive=True)
    for worker in workers:
        worker.suspend()  # so that none leaves by itself when it is told to

    # Both are there when it goes on: however busy the machine is, nothing lies between them.
    parent.send_signal(signal.SIGSTOP)
    for number in (signal.SIGINT, signal.SIGTERM):
        parent.send_signal(number)
    parent.send_signal(signal.SIGCONT)
    until(lambda: parent.poll() is not None)
    assert parent.returncode == Exit.INTERRUPTED
    assert "asked twice to end: ended at once" in pipeline.stderr.read_text()
    until(lambda: not any(map(alive, workers)))
    (log,) = pipeline.journals()
    entries, damaged = journal.read(log)
    assert damaged == 0
    assert entries[-1]["kind"] != "end"
    assert not (log.parent / session.SUMMARY).exists()  # it did not wait for that
    _complete_without_duplicates(pipeline.call("--resume", *OURS))


def test_a_signal_that_is_ignored_stays_ignored(pipeline: Pipeline) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raised = list[Path]()

    def report(folder: Path) -> None:
        signal.raise_signal(signal.SIGHUP)
        raised.append(folder)

    try:
        pipeline.wanting(report=report)
        assert pipeline.call(*TINY, "--phases", "forward", "--effort", "release").code == 0
        assert raised
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
