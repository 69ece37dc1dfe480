"""The checks of one worker on models of a folder, in a process of its own: FRAMEWORK FOLDER NAMES.

The last line of its output is JSON: by ``model/check``, what the child found.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.audit.worker import AuditWorker
from benchmarks.frameworks.contracts import Settings
from benchmarks.worker import sources

CHECKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("batch", "batch", {"bound": 1e-5}),
    ("unchanged", "unchanged", {}),
    ("saved", "saved", {}),
    ("again", "again", {}),
    ("frozen", "frozen", {"whole": True}),
    ("frozen", "frozen by the flag alone", {"whole": False}),
)


def main(framework: str, folder: str, *names: str) -> None:
    """Build each model without a proof: each side is matched with itself."""
    facts, worker = frameworks.facts(framework), AuditWorker()
    jobs: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] = {}
    for name in names:
        source = sources.of_model(name, Path(folder))
        jobs[name] = {
            "framework": framework,
            "trainer": "",
            "settings": asdict(Settings(mode=next(iter(facts.modes)))),
            "source": source,
            "shapes": {},
            "task_settings": {},
            "batch": 4,
            "handoff": {"assigned": [], "keys": {}, "outputs": {}, "changes": {}},
            "data": None,
            "data_dir": None,
        }
    first, *_ = names
    worker.start(spawned=0.0, job=jobs[first])
    for name in names:
        worker.rebuild(job=jobs[name])
        for check, row, told in CHECKS:
            found[f"{name}/{row}"] = worker.audit(check=check, **told)["found"]
    sys.stdout.write(f"{json.dumps(found, default=float)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
