"""Runs on a Ray cluster parts of which are lost: nodes, workers, disks, the driver, everything."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import assay
from assay import Result
from assay.errors import ClusterError, ClusterGone, DiskFull
from assay.runner.events import EpochDone, Event, Finished, Lost, NoSpace, Started
from assay.runner.ray import RayCluster, RayExecutor
from assay.runner.worker import CHECKPOINT
from assay.spec import study_toml

from ..cluster import SETTINGS, Nodes, workers
from ..held import PATIENCE_SECONDS, SOURCE, wait_until
from ..helpers import small_study, tasks_of
from .ray_runs import HELD, LONG, MEMORY, Recorder, assert_same, events_of

pytestmark = pytest.mark.ray


@pytest.fixture
def own_cluster(tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """A cluster for one test, which may end it."""
    nodes = Nodes(tmp_path, kernels)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    try:
        yield nodes
    finally:
        nodes.close()


@pytest.mark.parametrize("is_shared", [False, True], ids=["messages", "shared folder"])
def test_a_node_is_killed_and_its_runs_go_on_elsewhere(no_nodes: Nodes, tmp_path: Path, is_shared: bool) -> None:
    shared = tmp_path / "shared"
    study = small_study(training=LONG, seeds={"count": 1})
    raylets = {name: no_nodes.add(name) for name in ("one", "two")}
    killed: list[str] = []

    def kill(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == HELD and not killed:
            killed.append(event.run)
            kept = shared / event.run if is_shared else next((tmp_path / "there").rglob(event.run))
            assert (kept / CHECKPOINT).exists()
            assert len(list(tmp_path.glob(f"sh*/**/{CHECKPOINT}"))) == is_shared
            assert len(list(tmp_path.glob(f"there/**/{CHECKPOINT}"))) == (not is_shared)
            ((name, left),) = [(name, left) for name, pid in raylets.items() if (left := workers(pid))]
            no_nodes.kill(name)
            assert psutil.wait_procs(left, timeout=PATIENCE_SECONDS)[1] == []
            no_nodes.hold.open()

    recorder = Recorder(kill)
    no_nodes.hold.close(HELD)
    url = shared.as_uri() if is_shared else None
    assay.run(study, store=tmp_path / "there", on="ray", artifacts=url, workers=1, progress=recorder)
    (lost,) = [event for event in recorder.events if isinstance(event, Lost)]
    assert lost.is_machine
    starts = [event.run for event in recorder.events if isinstance(event, Started)]
    assert sorted(starts) == sorted([*{event.run for event in recorder.events}, lost.run])
    mine = [e.record for e in recorder.events if isinstance(e, EpochDone) and e.run == lost.run]
    again = mine[[record.epoch for record in mine].index(1, 1) :]
    # Epochs that the first node had done are told again with its own seconds: they were not trained again.
    assert again[:HELD] == mine[:HELD]
    assert [record.epoch for record in again] == list(range(1, LONG["epochs"] + 1))
    assert not list(shared.glob("**/*"))
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")


def test_the_driver_is_killed_and_started_again(two_nodes: Nodes, tmp_path: Path) -> None:
    study = small_study(training=LONG, seeds={"count": 2})
    file = tmp_path / "small.toml"
    file.write_text(study_toml(study))
    store = tmp_path / "there"
    command = [sys.executable, "-m", "assay", "run", str(file), "--store", str(store), "--no-report", "--on", "ray"]
    command += ["--workers", "2"]

    def is_under_way() -> bool:
        if not list(store.rglob("checkpoint.safetensors")):
            return False
        runs = Result(store, "small").runs
        return any(run.state == "finished" for run in runs) and any(len(run.epochs) == HELD for run in runs)

    with two_nodes.hold.closed(HELD, seed=1):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(is_under_way)
        left = workers()
        assert left
        process.kill()
        process.wait()
        assert psutil.wait_procs(left, timeout=PATIENCE_SECONDS)[1] == []
    done = {run.id: run.seconds for run in Result(store, "small").runs if run.state == "finished"}
    assert done
    output = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert output.returncode == 0, output.stderr
    runs = Result(store, "small").runs
    assert {run.id: run.seconds for run in runs if run.id in done} == done
    assert [len(run.epochs) for run in runs] == [LONG["epochs"]] * 4
    assay.run(study, store=tmp_path / "here")
    assert_same(store, tmp_path / "here")


def test_a_run_that_is_out_of_memory_twice_is_a_row_and_the_others_finish(two_nodes: Nodes, tmp_path: Path) -> None:
    study = small_study(training=LONG, factors={"rate": [0.0]}, seeds={"count": 2})
    starts: list[str] = []

    def kill(event: Event) -> None:
        if isinstance(event, Started):
            starts.append(event.run)
            if event.run == starts[0]:  # killed as the system does when memory runs out
                for process in (there := workers()):
                    process.send_signal(signal.SIGKILL)
                assert psutil.wait_procs(there, timeout=PATIENCE_SECONDS)[1] == []
                if starts.count(event.run) == 2:
                    two_nodes.hold.open()

    two_nodes.hold.close(1, seed=0)  # the first
    result = assay.run(study, store=tmp_path, on="ray", workers=1, progress=Recorder(kill))
    states = {run.id: run.state for run in result.runs}
    assert states.pop(starts[0]) == "out of memory"
    assert list(states.values()) == ["finished"]
    assert starts.count(starts[0]) == 2


LIMIT = """
import resource, sys
if "assay.runner.worker" in " ".join(sys.orig_argv):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def test_a_node_with_a_full_disk_is_left_alone(no_nodes: Nodes, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(LIMIT)
    no_nodes.add("full", PYTHONPATH=f"{hook}{os.pathsep}{SOURCE}")
    study = small_study(training={"epochs": 3, "batch_size": 64})
    with pytest.raises(DiskFull, match="may not grow any larger"):  # the limit stands in for the disk
        assay.run(study, store=tmp_path / "there", on="ray")
    assert {run.state for run in Result(tmp_path / "there", "small").runs} == {"queued"}

    no_nodes.add("roomy")
    recorder = Recorder()
    result = assay.run(study, store=tmp_path / "there", on="ray", progress=recorder)
    assert {run.state for run in result.runs} == {"finished"}
    assert [event.is_machine for event in recorder.events if isinstance(event, Lost)] in ([], [True])


def test_work_is_not_tied_to_a_slow_node(no_nodes: Nodes, tmp_path: Path) -> None:
    raylets = {name: no_nodes.add(name) for name in ("quick", "slow")}
    tasks = tasks_of(small_study(training={"epochs": 8, "batch_size": 16}, seeds={"count": 3}), tmp_path)
    stopped: list[psutil.Process] = []
    events: list[Event] = []
    with RayCluster("ray", tmp_path) as cluster:
        executor = RayExecutor(cluster, 2, memory=lambda task: MEMORY, patience_seconds=1.0)
        no_nodes.hold.close(2)
        for event in events_of(executor, tasks):
            events.append(event)
            begun = {event.run for event in events if isinstance(event, EpochDone) and event.record.epoch == 2}
            if not stopped and len(begun) == 2:  # both nodes have one
                stopped += workers(raylets["slow"])
                for process in stopped:
                    process.suspend()  # as slow as can be
                no_nodes.hold.open()
        executor.close()
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert stopped
    assert not [event for event in events if isinstance(event, Lost | NoSpace)]
    ends = [event.run for event in events if isinstance(event, Finished)]
    assert sorted(ends) == sorted(task.id for task in tasks)


def test_a_connection_that_has_ended_is_not_waited_for(no_nodes: Nodes, tmp_path: Path) -> None:
    no_nodes.add("one")
    before = set(psutil.Process().children())
    with RayCluster("ray", tmp_path) as cluster:
        (bridge,) = set(psutil.Process().children()) - before
        bridge.kill()
        for _ in range(2):  # the first hears of its end, the second knows
            with pytest.raises(ClusterGone, match="was killed"):
                cluster.receive(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "is_shared",
    [
        # That checkpoints come by messages is proved by the node that is killed, too.
        pytest.param(False, id="messages", marks=pytest.mark.slow),
        pytest.param(True, id="shared folder"),
    ],
)
def test_the_cluster_is_gone_and_the_study_is_finished_here(
    own_cluster: Nodes, tmp_path: Path, is_shared: bool
) -> None:
    own_cluster.add("one")
    url = (tmp_path / "shared").as_uri() if is_shared else None
    study = small_study(training=LONG, seeds={"count": 1})
    gone: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == HELD and not gone:
            gone.append(event.record.epoch)
            own_cluster.kill_all()

    own_cluster.hold.close(HELD)
    with pytest.raises(ClusterGone, match="--on local"):
        assay.run(study, store=tmp_path / "there", on="ray", artifacts=url, workers=1, progress=Recorder(kill))
    assert gone
    kept = Result(tmp_path / "there", "small").runs
    assert [run.state for run in kept] == ["queued", "queued"]
    assert max(len(run.epochs) for run in kept) == HELD
    with pytest.raises(ClusterError, match="no Ray cluster"):
        assay.run(study, store=tmp_path / "there", on="ray")
    short = small_study(training=LONG, seeds={"count": 1}, factors={"rate": [0.0]})
    recorder = Recorder()
    assay.run(short, store=tmp_path / "there", artifacts=url, progress=recorder)
    seen = [e.record for e in recorder.events if isinstance(e, EpochDone) and e.record.epoch <= gone[0]]
    assert [path.name for path in (tmp_path / "shared").glob("*")] == []
    before = next(run for run in kept if run.epochs).epochs
    assert seen == list(before[: gone[0]])  # from its checkpoint: the same seconds, too
    assay.run(short, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")
