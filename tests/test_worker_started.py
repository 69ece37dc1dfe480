"""Workers of several threads are ended at once, those that are just being started included."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.results.records import Stack
from benchmarks.worker.process import WorkerProcess
from benchmarks.worker.started import Started
from tests.pipeline import Pipeline

NULL = Stack("null", "a")


def test_all_are_ended_and_none_is_started_from_then_on(pipeline: Pipeline) -> None:
    every = Started(pipeline.means.start)
    kept = [every(NULL), every(NULL)]
    assert len(pipeline.survivors()) == len(kept)
    every.end()
    assert pipeline.survivors() == []
    with pytest.raises(RuntimeError, match="no worker is started once all were ended"):
        every(NULL)
    assert pipeline.survivors() == []


def test_one_that_is_being_started_meanwhile_is_ended(pipeline: Pipeline) -> None:
    def start(*given: Any, **told: Any) -> WorkerProcess:
        worker = pipeline.means.start(*given, **told)
        every.end()  # as another thread may
        return worker

    every = Started(start)
    with pytest.raises(RuntimeError):
        every(NULL)
    assert len(pipeline.groups) == 1
    assert pipeline.survivors() == []
