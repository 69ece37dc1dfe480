"""Sound files for readers to be given, changed: a run that was made here, and small ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.measure import session
from benchmarks.results.records import Matchup
from benchmarks.results.stored.codec import to_json
from tests import report_samples, report_series
from tests.pipeline import ROOT
from tests.soak.parent import Job


@cache
def made() -> Path:
    """The folder of a run of the null framework, two launches long."""
    place = Path(tempfile.mkdtemp(prefix="sound-"))
    job = Job(seed=0, runs=(0,), launches=2, faults=False)
    subprocess.run(
        [sys.executable, "-m", "tests.soak.parent", str(place), json.dumps(asdict(job))],
        cwd=ROOT,
        env=os.environ | {"TWINBENCH_LOCKS": str(place)},
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (folder,) = (path.parent for path in place.glob(f"0/*-*/{session.SUMMARY}"))
    return folder


def entries() -> list[dict[str, Any]]:
    """The lines of its journal, without their checksums."""
    lines = (made() / session.JOURNAL).read_bytes().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "sum"} for line in lines]


def runs() -> list[dict[str, Any]]:
    """run.json of that run, and of small ones that hold more; schema 2."""
    whole = report_samples.healthy_run(("mlp",), ("forward", "epoch"))
    small = [report_series.run(1), report_series.failed(report_series.run(2)), whole]
    return [json.loads((made() / session.SUMMARY).read_bytes()), *map(to_json, small)]


def of_schema_1(run: dict[str, Any]) -> dict[str, Any]:
    """The same as the first version wrote it: a matchup's fields among those of its result."""
    names = {field.name for field in fields(Matchup)}
    results = [
        {**{k: v for k, v in result["matchup"].items() if k in names}, **result}
        for result in run["matchups"]
    ]
    for result in results:
        del result["matchup"]
    return {**run, "schema": 1, "matchups": results}
