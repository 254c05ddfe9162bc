"""What every executor must do; each implementation is a parameter."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from assay.runner import Executor, LocalExecutor
from assay.runner.events import TRANSIENT, EpochDone, Event, Failed, Finished, Lost, NoSpace, Started
from assay.runner.ray import RayCluster, RayExecutor
from assay.train import Task
from assay.train.checkpoint import load_weights
from assay.train.epochs import EpochRecord

from ..cluster import Nodes, workers
from ..held import PATIENCE_SECONDS, Hold
from ..helpers import same_weights, small_study, tasks_of
from ..in_process import InProcessExecutor

Make = Callable[[int], Executor]


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    executors: list[Executor] = []
    if request.param == "ray":
        request.getfixturevalue("two_nodes")

    with contextlib.ExitStack() as connections:

        def build(num_workers: int) -> Executor:
            if request.param == "local":
                executors.append(LocalExecutor(num_workers, logs=tmp_path / "logs"))
            else:
                cluster = connections.enter_context(RayCluster("ray", tmp_path / "logs"))
                executors.append(RayExecutor(cluster, num_workers, memory=lambda task: 400 << 20))
            return executors[-1]

        yield build
        for executor in executors:
            executor.close()


@pytest.fixture
def hold(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """What stops the workers of the executors that are made."""
    if request.node.callspec.params["make"] == "ray":
        nodes: Nodes = request.getfixturevalue("two_nodes")
        yield nodes.hold
        return
    held = Hold(tmp_path / "hold.json")
    for name, value in held.variables.items():
        monkeypatch.setenv(name, value)
    yield held


def collect(executor: Executor, num_ends: int) -> list[Event]:
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(isinstance(event, Finished | Failed | Lost | NoSpace) for event in events) < num_ends:
        assert time.monotonic() < deadline, f"only got {events}"
        events += executor.poll(0.2)
    return events


def weights(task: Task, events: list[Event]) -> dict[str, object]:
    done = next(event for event in events if isinstance(event, Finished) and event.run == task.id)
    return dict(load_weights(task.folder / done.weights_file, done.weights_sha256))


def measures(events: list[Event], run: str) -> list[EpochRecord]:
    mine = [event.record for event in events if isinstance(event, EpochDone) and event.run == run]
    return [dataclasses.replace(record, seconds=0.0) for record in mine]


def test_every_task_ends_once_and_its_events_are_in_order(make: Make, tmp_path: Path) -> None:
    tasks = tasks_of(small_study(), tmp_path)
    executor = make(2)
    for task in tasks:
        executor.submit(task)
    events = collect(executor, len(tasks))
    for task in tasks:
        kinds = [type(event) for event in events if event.run == task.id and not isinstance(event, TRANSIENT)]
        assert kinds == [Started, EpochDone, EpochDone, Finished]
        assert [record.epoch for record in measures(events, task.id)] == [1, 2]


def test_a_run_beside_others_is_the_run_alone(make: Make, tmp_path: Path) -> None:
    tasks = tasks_of(small_study(), tmp_path / "beside")
    beside = make(2)
    for task in tasks:
        beside.submit(task)
    together = collect(beside, len(tasks))
    alone_task = dataclasses.replace(tasks[-1], folder=tmp_path / "alone")
    alone = make(1)
    alone.submit(alone_task)
    events = collect(alone, 1)
    assert same_weights(weights(alone_task, events), weights(tasks[-1], together))  # type: ignore[arg-type]
    assert measures(events, alone_task.id) == measures(together, alone_task.id)


def test_a_failing_run_does_not_disturb_the_next(make: Make, tmp_path: Path) -> None:
    good = tasks_of(small_study(), tmp_path)[0]
    bad_study = small_study(training={"epochs": 2, "optimizer": {"name": "sgd", "learning_rate": 1e30}})
    bad = tasks_of(bad_study, tmp_path)[0]
    missing = dataclasses.replace(good, id="missing", images=tmp_path / "none.npy")
    executor = make(1)
    for task in (bad, missing, good):
        executor.submit(task)
    ends = [event for event in collect(executor, 3) if isinstance(event, Failed | Finished)]
    assert [(type(end), getattr(end, "state", "")) for end in ends] == [
        (Failed, "diverged"), (Failed, "failed"), (Finished, ""),
    ]  # fmt: skip
    assert "none.npy" in ends[1].reason


def test_a_killed_worker_is_told_and_the_run_goes_on_from_its_checkpoint(
    make: Make, hold: Hold, tmp_path: Path
) -> None:
    study = small_study(training={"epochs": 12, "batch_size": 16})
    task = tasks_of(study, tmp_path / "killed")[1]
    executor = make(1)
    hold.close(3)
    executor.submit(task)
    events: list[Event] = []
    while sum(isinstance(event, EpochDone) for event in events) < 3:
        events += executor.poll(0.2)
    (worker,) = workers()
    worker.send_signal(signal.SIGKILL)
    lost = collect(executor, 1)[-1]
    hold.open()
    assert isinstance(lost, Lost)
    assert lost.is_memory
    executor.submit(task)
    resumed = collect(executor, 1)
    assert [record.epoch for record in measures(resumed, task.id)] == list(range(1, 13))

    untouched = dataclasses.replace(task, folder=tmp_path / "untouched")
    executor.submit(untouched)
    assert same_weights(weights(untouched, collect(executor, 1)), weights(task, resumed))  # type: ignore[arg-type]


def test_closing_leaves_no_process(make: Make, hold: Hold, tmp_path: Path) -> None:
    executor = make(2)
    hold.close(1)
    for task in tasks_of(small_study(), tmp_path):
        executor.submit(task)
    while not executor.poll(0.2):
        pass
    started = workers()
    assert started
    executor.close()
    assert psutil.wait_procs(started, timeout=PATIENCE_SECONDS)[1] == []
    assert workers() == []


def test_a_run_in_the_tests_own_process_is_that_of_a_worker(tmp_path: Path) -> None:
    """So that tests which are about a study's results need no worker processes."""
    diverging = small_study(training={"epochs": 2, "optimizer": {"name": "sgd", "learning_rate": 1e30}})
    tasks = {
        name: [*tasks_of(small_study(), tmp_path / name), tasks_of(diverging, tmp_path / name)[0]]
        for name in ("here", "there")
    }
    events: dict[str, list[Event]] = {}
    for name, executor in (("here", InProcessExecutor(1)), ("there", LocalExecutor(1))):
        for task in tasks[name]:
            executor.submit(task)
        events[name] = collect(executor, len(tasks[name]))
        executor.close()
    assert [type(event) for event in events["here"]] == [type(event) for event in events["there"]]
    for here, there in zip(tasks["here"], tasks["there"], strict=True):
        assert measures(events["here"], here.id) == measures(events["there"], there.id)
    for here, there in zip(tasks["here"][:-1], tasks["there"][:-1], strict=True):
        assert same_weights(weights(here, events["here"]), weights(there, events["there"]))  # type: ignore[arg-type]


def test_no_task_knows_the_test_split(tmp_path: Path) -> None:
    for task in tasks_of(small_study(), tmp_path):
        text = str(task.to_json())
        assert "train-images" in text
        assert "test" not in text.replace(str(tmp_path), "").replace(os.environ["XDG_CACHE_HOME"], "")
