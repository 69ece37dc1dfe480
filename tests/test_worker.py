"""The child's side: its protocol over real pipes, what it feeds, and how it names a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import pytest

from benchmarks.frameworks.contracts import Settings
from benchmarks.request.discovery import task
from benchmarks.tasks import weights
from benchmarks.tasks.data import sets
from benchmarks.tasks.task import Task
from benchmarks.worker import build, shortage, sources
from benchmarks.worker.clock import ClockError
from benchmarks.worker.commands import Worker
from benchmarks.worker.phases._protocol import Built, Work

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "tests" / "models"


KEYS = {
    f"dense.{name}": {
        "shape": shape,
        "name": name,
        "kind": "Dense",
        "start": [0.0, 0.0],
        "trainable": True,
        "buffer": False,
    }
    for name, shape in (("kernel", [16, 10]), ("bias", [10]))
}
"""The weights of the tiny model, as a proof would hand them on."""
ASSIGNED = [["dense", {"kernel": "dense.kernel", "bias": "dense.bias"}, None, None]]


def _job(**changed: Any) -> dict[str, Any]:
    return {
        "framework": "null",
        "trainer": "",
        "settings": _settings(),
        "source": sources.of_model("tiny", MODELS),
        "shapes": {"features": [16]},
        "task_settings": {},
        "batch": 4,
        "handoff": {"assigned": ASSIGNED, "keys": KEYS, "outputs": {}, "changes": {}},
        "data": None,
        "data_dir": None,
        "train_samples": None,
        "test_samples": None,
    } | changed


def _settings(mode: str = "a", **changed: Any) -> dict[str, Any]:
    return asdict(Settings(mode=mode, **changed))


class Child:
    """A worker process, the two pipes to it, and the file that its stdout and stderr go to."""

    def __init__(
        self, process: subprocess.Popen[bytes], give: IO[str], take: IO[str], log: IO[bytes]
    ) -> None:
        self.process, self.give, self.take, self.log = process, give, take, log

    def tell(self, verb: str, **arguments: Any) -> None:
        self.give.write(json.dumps({"do": verb, "deadline_s": 30, **arguments}) + "\n")
        self.give.flush()

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        self.tell(verb, **arguments)
        answer: dict[str, Any] = json.loads(self.take.readline())
        return answer

    def start(self, mode: str = "a", **job: Any) -> dict[str, Any]:
        return self.ask("start", spawned=0.0, job=_job(settings=_settings(mode), **job))


@contextmanager
def _child(program: str = "benchmarks.worker", **control: Any) -> Iterator[Child]:
    reading, give = os.pipe()
    take, writing = os.pipe()
    with tempfile.TemporaryFile() as log, os.fdopen(give, "w") as out, os.fdopen(take) as into:
        process = subprocess.Popen(
            [sys.executable, "-m", program, str(reading), str(writing)],
            cwd=ROOT,
            env=dict(os.environ) | {"TWINBENCH_NULL": json.dumps(control)},
            pass_fds=(reading, writing),
            stdout=log,
            stderr=log,
        )
        os.close(reading)
        os.close(writing)
        try:
            yield Child(process, out, into, log)
        finally:
            process.kill()
            process.wait()


def test_a_whole_conversation(tmp_path: Path) -> None:
    written = tmp_path / "inference.npz"
    with _child() as child:
        started = child.start()
        assert started["ok"]
        assert started["import_s"] > 0
        assert started["build_s"] >= 0
        assert child.ask("first_step")["first_step_s"] >= 3 * 0.002
        assert child.ask("settings")["settings"] == {
            "threads": 1,
            "precision": "float32",
            "freed_memory": "kept",
        }

        assert child.ask("check", part="inference", path=str(written)) == {"ok": True}
        with np.load(written) as arrays:
            assert arrays["output/output"].shape == (4, 10)

        ready = child.ask("prepare", phase="train_step", turn_s=0.05, warm_s=0.1)
        assert ready["ok"]
        assert ready["items"] == 4
        assert len(ready["warmup_s"]) >= 3
        assert 2 <= ready["iterations"] <= 9  # 0.05 s in steps of 0.006 s

        for _ in range(3):
            sample = child.ask("turn")["run_s"]
            assert 0.006 <= sample < 0.1

        done = child.ask("finish")
        assert done["memory"]["device_peak_bytes"] is None
        assert done["memory"]["device_reason"] == "not a CUDA device"
        assert done["learned"] == []
        child.tell("quit")
        assert child.process.wait(10) == 0


def test_the_proof_is_made_by_a_worker_of_its_own(tmp_path: Path) -> None:
    told: dict[str, Any] = {"assigned": ASSIGNED, "keys": KEYS, "seed": 5}
    paths = {part: str(tmp_path / f"{part}.npz") for part in ("inference", "training")}
    with _child("benchmarks.proof.worker") as child:
        opened = child.ask(
            "open",
            framework="null",
            source=sources.of_model("tiny", MODELS),
            shapes={"features": [16]},
            settings={},
            batch=6,
            seed=5,
        )
        (node,) = opened["description"]["nodes"]
        assert (node["path"], node["macs"], node["output"]) == ("dense", 160, [10])
        assert opened["description"]["parameters"] == 170
        traced = child.ask("trace", **told, path=str(tmp_path / "trace.npz"), alike=False)
        assert traced == {"ok": True, "findings": []}
        assert child.ask("train", **told, path=str(tmp_path / "train.npz"))["ok"]
        assert child.ask("count") == {
            "ok": True,
            "flops": None,
            "reason": "nothing is computed",
        }
        assert child.ask("reference", **told, batch=2, paths=paths) == {"ok": True}
    made = weights.generate(KEYS, 5)
    with np.load(tmp_path / "trace.npz") as trace, np.load(tmp_path / "train.npz") as train:
        assert np.array_equal(trace["gradient/dense.kernel"], made["dense.kernel"])
        assert trace["output/output"].shape == (6, 10)
        assert train["after/task/dense.bias"] == pytest.approx(0.97 * made["dense.bias"])
        assert train["after/sgd/dense.bias"] == pytest.approx(0.97 * made["dense.bias"])
    with np.load(paths["inference"]) as inference, np.load(paths["training"]) as training:
        assert inference["output/output"].shape == (2, 10)
        assert training["update/dense.bias"] == pytest.approx(-0.01 * made["dense.bias"])
        assert training["size/dense.bias"] == pytest.approx(np.linalg.norm(made["dense.bias"]))
        assert training["loss"].shape == ()


def test_a_difference_of_two_timings() -> None:
    with _child() as child:
        child.start()
        assert child.ask("prepare", phase="backward", turn_s=0.02, warm_s=0.1)["ok"]
        turn = child.ask("turn")
        assert 0.001 < turn["run_s"] - turn["baseline_s"] < 0.02  # two delays less one


def test_an_epoch_is_one_iteration_and_says_what_it_learned() -> None:
    with _child() as child:
        child.start(data="digits", train_samples=50, test_samples=20)
        ready = child.ask("prepare", phase="epoch", turn_s=9, warm_s=9)
        assert (ready["iterations"], ready["items"], len(ready["warmup_s"])) == (1, 48, 1)
        assert child.ask("turn")["ok"]
        learned = child.ask("finish")["learned"]
        assert len(learned) == 2  # the warm-up, and the turn
        assert learned[0]["train_samples"] == 48
        assert learned[0]["test_samples"] == 20


def test_a_peak_that_a_device_does_not_tell_has_another_reason_than_no_device() -> None:
    with _child() as child:
        child.ask("start", spawned=0.0, job=_job(settings=_settings(device="cuda")))
        child.ask("prepare", phase="forward", turn_s=0.01, warm_s=0.02)
        told = child.ask("finish")["memory"]
        assert told["device_peak_bytes"] is None
        assert told["device_reason"] == (
            "the allocator's peak is older than this phase, and cannot be reset"
        )


def test_epochs_that_are_only_watched_teach_nothing() -> None:
    with _child() as child:
        child.start(data="digits", train_samples=50, test_samples=20)
        child.ask("prepare", phase="epoch", turn_s=9, warm_s=9)
        child.ask("turn")
        assert child.ask("sustain", seconds=0.05)["iterations"] >= 2
        assert len(child.ask("finish")["learned"]) == 2  # the warm-up, and the turn


def test_an_error_is_answered_with_status_reason_and_stack() -> None:
    with _child(fault="error") as child:
        child.start("b")
        answer = child.ask("prepare", phase="forward", turn_s=0.02, warm_s=0.1)
        assert answer["ok"] is False
        assert answer["status"] == "error"
        assert answer["reason"] == "RuntimeError: the null framework was told to fail"
        assert answer["stack"].startswith("Traceback")
        assert "strike" in answer["stack"]
        # The worker lives on and serves the phases that the fault does not touch.
        assert child.ask("prepare", phase="train_step", turn_s=0.02, warm_s=0.1)["ok"]


def test_memory_that_ran_out_has_a_status_of_its_own() -> None:
    with _child(fault="memory", at="build") as child:
        answer = child.start("b")
        assert (answer["ok"], answer["status"]) == (False, "oom_host")
        assert "MemoryError" in answer["reason"]


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("dance", "AttributeError: 'Worker' object has no attribute 'dance'"),
        ("turn", "RuntimeError: no phase has been prepared"),
        ("first_step", "RuntimeError: the worker has not been started"),
    ],
)
def test_an_order_that_cannot_be_obeyed(verb: str, reason: str) -> None:
    with _child() as child:
        answer = child.ask(verb)
        assert (answer["status"], answer["reason"]) == ("error", reason)
        assert child.start()["ok"]


def test_noise_on_stdout_does_not_reach_the_answers() -> None:
    with _child(fault="noise") as child:
        child.start("b")
        ready = child.ask("prepare", phase="forward", turn_s=0.002, warm_s=0.01)
        assert ready["ok"]
        assert child.ask("turn")["ok"]
        assert os.fstat(child.log.fileno()).st_size > 3 * len(b"noise") * 100_000


def test_a_worker_ends_when_its_parent_is_gone() -> None:
    with _child() as child:
        child.start()
        child.give.close()
        assert child.process.wait(10) == 0


# --- out of memory --------------------------------------------------------------------------------


def _error(name: str, text: str) -> BaseException:
    kind: type[BaseException] = type(name, (RuntimeError,), {})
    return kind(text)


@pytest.mark.parametrize(
    ("error", "device", "status"),
    [
        (_error("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB"), "cuda", "d"),
        (_error("RuntimeError", "CUDA error: out of memory"), "cuda", "d"),
        (_error("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "cuda", "d"),
        (_error("ResourceExhaustedError", "OOM when allocating, device:GPU:0"), "cuda", "d"),
        (_error("ResourceExhaustedError", "failed to allocate memory"), "cuda", "d"),
        (_error("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 9"), "cuda", "d"),
        (_error("ResourceExhaustedError", "OOM when allocating by allocator cpu"), "cuda", "h"),
        (_error("ResourceExhaustedError", "OOM when allocating by allocator cpu"), "cpu", "h"),
        (_error("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 9"), "cpu", "h"),
        (_error("RuntimeError", "DefaultCPUAllocator: can't allocate memory"), "cpu", "h"),
        (_error("RuntimeError", "DefaultCPUAllocator: can't allocate memory"), "cuda", "h"),
        (MemoryError(), "cpu", "h"),
        (MemoryError("std::bad_alloc"), "cuda", "h"),
        (_error("RuntimeError", "CUDA error: an illegal memory access"), "cuda", "error"),
        (ValueError("the shapes do not fit"), "cpu", "error"),
        (ClockError("the clock measured 0.0 s"), "cpu", "invalid"),
    ],
)
def test_who_ran_out_of_memory(error: BaseException, device: str, status: str) -> None:
    expected = {"d": "oom_device", "h": "oom_host"}.get(status, status)
    assert shortage.status(error, device) == expected


# --- what a worker is fed -------------------------------------------------------------------------


def _task() -> Task:
    return task("tiny", MODELS)


@pytest.mark.parametrize(
    ("batch", "train", "test", "expected"),
    [
        (4, None, None, (1436, 356)),  # of 1438 and 359
        (64, None, None, (1408, 320)),
        (4, 50, 10, (48, 8)),
        (32, 10, 10, (32, 32)),  # never less than one batch
        (4, 10**6, 10**6, (1436, 356)),
    ],
)
def test_data_is_cut_to_whole_batches(
    batch: int, train: int | None, test: int | None, expected: tuple[int, int]
) -> None:
    job = _job(data="digits", batch=batch, train_samples=train, test_samples=test)
    data = build._data(_task(), 0, job)
    assert (len(data.y_train), len(data.y_test)) == expected
    assert data.x_train.shape == (expected[0], 16)
    assert data.x_test.shape == (expected[1], 16)


def test_data_is_cut_before_it_is_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty thousand images at 224x224 would take 9 GB, of which a run needs a few hundred."""
    seen = []
    enlarge = sets.fit_to

    def spy(data: sets.Dataset, *rest: Any) -> sets.Dataset:
        seen.append(len(data.y_train))
        return enlarge(data, *rest)

    monkeypatch.setattr(sets, "fit_to", spy)
    build._data(_task(), 0, _job(data="digits", train_samples=8, test_samples=8))
    assert seen == [8]


def _session(mode: str, seed: int) -> Built:
    settings = _settings(mode, seed=seed)
    job = _job(data="digits", train_samples=40, test_samples=8, settings=settings)
    return build.build(build.device("null", settings), job)


def test_two_stacks_get_the_same_weights_batch_and_data_in_the_same_order() -> None:
    one, two = _session("a", 3), _session("b", 3)
    assert weights.digest(one.weights) == weights.digest(two.weights)
    for part in ("inputs", "targets"):
        for x, y in zip(getattr(one.batch, part), getattr(two.batch, part), strict=True):
            assert np.array_equal(x, y)
    data = [session.real_data() for session in (one, two)]
    loaders = [
        session.device.batches(of.x_train, of.y_train, size=4, scale=of.scale)
        for session, of in zip((one, two), data, strict=True)
    ]
    seen = 0
    for left, right in zip(*loaders, strict=True):
        assert np.array_equal(left.inputs[0], right.inputs[0])
        assert np.array_equal(left.targets[0], right.targets[0])
        seen += 1
    assert seen == 10
    assert np.array_equal(data[0].y_train, data[1].y_train)
    other = _session("a", 4)
    assert weights.digest(other.weights) != weights.digest(one.weights)
    assert not np.array_equal(one.batch.inputs[0], other.batch.inputs[0])
    assert not np.array_equal(one.real_data().x_train, other.real_data().x_train)


@pytest.mark.parametrize(
    ("device", "bursts", "waits"), [("cpu", False, 26), ("cpu", True, 2), ("cuda", False, 2)]
)
def test_a_turn_is_timed_in_blocks_where_each_iteration_takes_its_own_time(
    device: str, bursts: bool, waits: int
) -> None:
    """A GPU would run dry at the end of each; a loader gives some at once, and then none."""
    waited = list[None]()
    session: Any = SimpleNamespace(device=SimpleNamespace(synchronize=lambda: waited.append(None)))
    work = Work(run=lambda: time.sleep(0.0001), discard=0, bursts=bursts)
    made = Worker(device=device, built=session, work=work, iterations=100, turn_s=0.2)
    assert made.turn()["run_s"] >= 0.0001
    assert len(waited) == waits


@pytest.mark.parametrize(("discard", "least", "most"), [(1, 3, 61), (0, 1, 1)])
def test_a_turn_settles_by_time_unless_it_discards_nothing(
    discard: int, least: int, most: int
) -> None:
    """30 ms of 0.5 ms are 60 iterations at most, and one is timed; an epoch begins at once."""
    ran = list[None]()
    session: Any = SimpleNamespace(device=SimpleNamespace(synchronize=lambda: None))

    def run() -> None:
        ran.append(None)
        time.sleep(0.0005)

    work = Work(run=run, discard=discard, iterations=1)
    began = time.perf_counter()
    Worker(device="cpu", built=session, work=work, iterations=1, turn_s=0.2).turn()
    assert least <= len(ran) <= most
    assert time.perf_counter() - began >= (0.03 if discard else 0)
