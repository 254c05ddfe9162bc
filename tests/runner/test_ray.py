"""Runs on a Ray cluster of several nodes: the same bits, and what happens when parts of it go."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

import assay
from assay import Result
from assay.errors import ClusterError, ClusterGone, DiskFull
from assay.runner.decisions import after_loss
from assay.runner.events import EpochDone, Event, Finished, Lost, NoSpace, Started, to_json
from assay.runner.progress import Silent
from assay.runner.ray import RayCluster, RayExecutor
from assay.runner.ray.bridge import Bridge
from assay.runner.ray.jobs import Job, Place, is_late
from assay.runner.ray.process import join
from assay.runner.site import OnRay
from assay.runner.worker import CHECKPOINT
from assay.spec import study_toml
from assay.store import RunRecord
from assay.train import Task
from assay.train.checkpoint import load_weights

from ..cluster import SETTINGS, Nodes, workers
from ..held import PATIENCE_SECONDS, SOURCE, wait_until
from ..helpers import same_weights, small_study, tasks_of
from ..search.played import search_study

MEMORY = 400 << 20
LONG = {"epochs": 8, "batch_size": 32}
HELD = 4  # the epoch after which tests hold runs


@pytest.fixture
def two(two_nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    yield two_nodes
    two_nodes.hold.open()


@pytest.fixture
def nodes(tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """A cluster that the test may break; it has no node yet but its head."""
    started = Nodes(tmp_path, kernels)
    monkeypatch.setenv("RAY_ADDRESS", started.address)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    try:
        yield started
    finally:
        started.close()


class Told(Silent):
    """Keeps what a study's progress is told, and does something about it."""

    def __init__(self, do: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self.do = do

    def follow(self, event: Event) -> None:
        self.events.append(event)
        self.do(event)


def events_of(executor: RayExecutor, tasks: Sequence[Task]) -> Iterator[Event]:
    """What becomes of these tasks, until all have finished."""
    for task in tasks:
        executor.submit(task)
    left = {task.id for task in tasks}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left:
        assert time.monotonic() < deadline
        for event in executor.poll(0.2):
            yield event
            if isinstance(event, Finished):
                left.discard(event.run)


def take(events: Iterator[Event], count: int, kind: type[Event]) -> list[Event]:
    """The first events of a kind, as soon as they are there."""
    return list(itertools.islice((event for event in events if isinstance(event, kind)), count))


def weights(store: Path, run: RunRecord) -> dict[str, object]:
    return dict(load_weights(store / (run.weights_path or ""), run.weights_sha256 or ""))


def assert_same(one: Path, other: Path, name: str = "small") -> None:
    for mine, theirs in zip(Result(one, name).runs, Result(other, name).runs, strict=True):
        assert mine.id == theirs.id
        assert mine.state == theirs.state == "finished"
        assert same_weights(weights(one, mine), weights(other, theirs))  # type: ignore[arg-type]
        mine_seen, theirs_seen = ([dataclasses.replace(e, seconds=0.0) for e in run.epochs] for run in (mine, theirs))
        assert mine_seen == theirs_seen


@pytest.mark.ray
def test_a_study_has_the_same_bits_and_its_data_travel_once_a_node(two: Nodes, tmp_path: Path) -> None:
    plain = ["conv 4 3x3 relu", "instancenorm", "flatten", "dense classes softmax"]
    fused = ["conv 4 3x3 relu", "maxpool 2", "dropout 0.3", "flatten", "dense classes softmax"]
    study = small_study(
        network=None, factors={}, arms=[{"name": "plain", "layers": plain}, {"name": "fused", "layers": fused}],
        training={"epochs": 2, "batch_size": 64, "keep": {"best": "validation_loss"}}, seeds={"count": 3},
    )  # fmt: skip
    there = assay.run(study, store=tmp_path / "there", on="ray", workers=4)
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")
    assert {run.environment["path"] for run in there.runs} == {"plain", "fused"}
    assert all(run.environment["ray"]["host"] for run in there.runs)
    for name in ("one", "two"):
        files = [path for path in (two.folder / name).rglob("*.npy") if "arrays" in path.parts]
        assert {path.name for path in files} <= {"train-images.npy", "train-labels.npy"}
    assert list(two.folder.rglob("train-images.npy"))
    assert [path.name for path in two.folder.glob("*/tmp/assay-slot-*")] == []
    assert not list((tmp_path / "there").rglob("checkpoint*"))


@pytest.mark.ray
def test_a_client_server_does_as_well(two_nodes: Nodes, tmp_path: Path) -> None:
    study = small_study(seeds={"count": 1})
    assay.run(study, store=tmp_path / "there", on=f"ray://127.0.0.1:{two_nodes.client_port}", workers=1)
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")


@pytest.mark.ray
@pytest.mark.parametrize("is_shared", [False, True], ids=["messages", "shared folder"])
def test_a_search_with_asynchronous_halving_chooses_the_same(two: Nodes, tmp_path: Path, is_shared: bool) -> None:
    study = search_study(halving={"method": "asha"}, batch=3, trials=6)
    url = (tmp_path / "shared").as_uri() if is_shared else None
    there = assay.run(study, store=tmp_path / "there", on="ray", artifacts=url, workers=2).record
    assert not list((tmp_path / "shared").glob("*"))
    here = assay.run(study, store=tmp_path / "here").record
    assert there.search is not None
    assert here.search is not None
    trained = [
        [(run.id, run.state, [epoch.validation_loss for epoch in run.epochs]) for run in record.search.runs]
        for record in (there, here)
        if record.search
    ]
    assert trained[0] == trained[1]
    assert "paused" in {state for _, state, _ in trained[0]}
    assert_same(tmp_path / "there", tmp_path / "here")


@pytest.mark.ray
def test_slots_declare_the_memory_that_runs_were_measured_to_take(two: Nodes, tmp_path: Path) -> None:
    study = small_study()
    first = assay.run(study, store=tmp_path, on="ray", workers=1)
    declared = [run.environment["ray"]["declared_memory_bytes"] for run in first.runs]
    assert sorted(declared)[0] == 0  # the one that measures
    peaks = [run.peak_memory_bytes or 0 for run in first.runs]
    again = assay.run(small_study(seeds={"count": 3}), store=tmp_path, on="ray", workers=2)
    new = [run.environment["ray"]["declared_memory_bytes"] for run in again.runs if run.seed == 2]
    most = max(run.peak_memory_bytes or 0 for run in again.runs)
    assert len(new) == 2
    assert all(1.2 * min(peaks) <= size <= 1.3 * most for size in new)  # 1.25, but the system counts a bit roughly


@pytest.mark.ray
def test_runs_share_a_gpu_as_they_are_told_to(two: Nodes, tmp_path: Path) -> None:
    tasks = tasks_of(small_study(seeds={"count": 1}), tmp_path)
    with RayCluster("ray", tmp_path) as cluster:
        assert (cluster.cores, cluster.machine_cores, cluster.gpus) == (4, 2, 1)
        assert OnRay(cluster).device_of("auto") == "cuda"

        shared = RayExecutor(cluster, 2, gpu_share=0.5, memory=lambda task: MEMORY)
        with two.hold.closed(1):
            started = {event.run for event in take(events_of(shared, tasks), 2, Started)}
            beside = workers()
            shared.close()
            assert psutil.wait_procs(beside, timeout=PATIENCE_SECONDS)[1] == []
        assert started == {task.id for task in tasks}  # the first is in training still as the second begins
        assert len(beside) == 2

        whole = RayExecutor(cluster, 2, gpu_share=1.0, memory=lambda task: MEMORY)
        seen = [(event, len(workers())) for event in events_of(whole, tasks)]
        whole.close()
    assert sum(isinstance(event, Finished) for event, _ in seen) == 2
    assert max(count for _, count in seen) == 1  # one after the other


@pytest.mark.ray
def test_what_the_cluster_has_no_room_for_is_told(two: Nodes, tmp_path: Path) -> None:
    notes: list[str] = []
    with RayCluster("ray", tmp_path) as cluster:
        executor = RayExecutor(cluster, 1, threads=3, memory=lambda task: MEMORY, note=notes.append, patience_seconds=1)
        executor.submit(tasks_of(small_study(), tmp_path)[0])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not notes:
            assert time.monotonic() < deadline
            assert executor.poll(0.5) == []
        executor.close()
    assert notes == ["waiting for the cluster to have room for a worker with 3 cores and 500 MiB of memory"]


@pytest.mark.ray
@pytest.mark.parametrize("is_shared", [False, True], ids=["messages", "shared folder"])
def test_a_node_is_killed_and_its_runs_go_on_elsewhere(nodes: Nodes, tmp_path: Path, is_shared: bool) -> None:
    shared = tmp_path / "shared"
    study = small_study(training=LONG, seeds={"count": 1})
    raylets = {name: nodes.add(name) for name in ("one", "two")}
    killed: list[str] = []

    def kill(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == HELD and not killed:
            killed.append(event.run)
            kept = shared / event.run if is_shared else next((tmp_path / "there").rglob(event.run))
            assert (kept / CHECKPOINT).exists()
            assert len(list(tmp_path.glob(f"sh*/**/{CHECKPOINT}"))) == is_shared
            assert len(list(tmp_path.glob(f"there/**/{CHECKPOINT}"))) == (not is_shared)
            ((name, left),) = [(name, left) for name, pid in raylets.items() if (left := workers(pid))]
            nodes.kill(name)
            assert psutil.wait_procs(left, timeout=PATIENCE_SECONDS)[1] == []
            nodes.hold.open()

    told = Told(kill)
    nodes.hold.close(HELD)
    url = shared.as_uri() if is_shared else None
    assay.run(study, store=tmp_path / "there", on="ray", artifacts=url, workers=1, progress=told)
    (lost,) = [event for event in told.events if isinstance(event, Lost)]
    assert lost.is_machine
    starts = [event.run for event in told.events if isinstance(event, Started)]
    assert sorted(starts) == sorted([*{event.run for event in told.events}, lost.run])
    mine = [e.record for e in told.events if isinstance(e, EpochDone) and e.run == lost.run]
    again = mine[[record.epoch for record in mine].index(1, 1) :]
    # Epochs that the first node had done are told again with its own seconds: they were not trained again.
    assert again[:HELD] == mine[:HELD]
    assert [record.epoch for record in again] == list(range(1, LONG["epochs"] + 1))
    assert not list(shared.glob("**/*"))
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")


@pytest.mark.ray
def test_the_driver_is_killed_and_started_again(two: Nodes, tmp_path: Path) -> None:
    study = small_study(training=LONG, seeds={"count": 2})
    file = tmp_path / "small.toml"
    file.write_text(study_toml(study))
    store = tmp_path / "there"
    command = [sys.executable, "-m", "assay", "run", str(file), "--store", str(store), "--no-report", "--on", "ray"]

    def is_under_way() -> bool:
        if not list(store.rglob("checkpoint.safetensors")):
            return False
        runs = Result(store, "small").runs
        return any(run.state == "finished" for run in runs) and any(len(run.epochs) == HELD for run in runs)

    with two.hold.closed(HELD, seed=1):
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


@pytest.mark.ray
def test_a_run_that_is_out_of_memory_twice_is_a_row_and_the_others_finish(two: Nodes, tmp_path: Path) -> None:
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
                    two.hold.open()

    two.hold.close(1, seed=0)  # the first
    result = assay.run(study, store=tmp_path, on="ray", workers=1, progress=Told(kill))
    states = {run.id: run.state for run in result.runs}
    assert states.pop(starts[0]) == "out of memory"
    assert list(states.values()) == ["finished"]
    assert starts.count(starts[0]) == 2


LIMIT = """
import resource, sys
if "assay.runner.worker" in " ".join(sys.orig_argv):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


@pytest.mark.ray
def test_a_node_with_a_full_disk_is_left_alone(nodes: Nodes, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(LIMIT)
    nodes.add("full", PYTHONPATH=f"{hook}{os.pathsep}{SOURCE}")
    study = small_study(training={"epochs": 3, "batch_size": 64})
    with pytest.raises(DiskFull, match="no space is left"):
        assay.run(study, store=tmp_path / "there", on="ray")
    assert {run.state for run in Result(tmp_path / "there", "small").runs} == {"queued"}

    nodes.add("roomy")
    told = Told()
    result = assay.run(study, store=tmp_path / "there", on="ray", progress=told)
    assert {run.state for run in result.runs} == {"finished"}
    assert [event.is_machine for event in told.events if isinstance(event, Lost)] in ([], [True])


@pytest.mark.ray
def test_work_is_not_tied_to_a_slow_node(nodes: Nodes, tmp_path: Path) -> None:
    raylets = {name: nodes.add(name) for name in ("quick", "slow")}
    tasks = tasks_of(small_study(training={"epochs": 8, "batch_size": 16}, seeds={"count": 3}), tmp_path)
    stopped: list[psutil.Process] = []
    events: list[Event] = []
    with RayCluster("ray", tmp_path) as cluster:
        executor = RayExecutor(cluster, 2, memory=lambda task: MEMORY, patience_seconds=1.0)
        nodes.hold.close(2)
        for event in events_of(executor, tasks):
            events.append(event)
            begun = {event.run for event in events if isinstance(event, EpochDone) and event.record.epoch == 2}
            if not stopped and len(begun) == 2:  # both nodes have one
                stopped += workers(raylets["slow"])
                for process in stopped:
                    process.suspend()  # as slow as can be
                nodes.hold.open()
        executor.close()
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert stopped
    assert not [event for event in events if isinstance(event, Lost | NoSpace)]
    ends = [event.run for event in events if isinstance(event, Finished)]
    assert sorted(ends) == sorted(task.id for task in tasks)


@pytest.mark.ray
@pytest.mark.parametrize("is_shared", [False, True], ids=["messages", "shared folder"])
def test_the_cluster_is_gone_and_the_study_is_finished_here(nodes: Nodes, tmp_path: Path, is_shared: bool) -> None:
    nodes.add("one")
    url = (tmp_path / "shared").as_uri() if is_shared else None
    study = small_study(training=LONG, seeds={"count": 1})
    gone: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == HELD and not gone:
            gone.append(event.record.epoch)
            nodes.kill_all()

    nodes.hold.close(HELD)
    with pytest.raises(ClusterGone, match="--on local"):
        assay.run(study, store=tmp_path / "there", on="ray", artifacts=url, workers=1, progress=Told(kill))
    assert gone
    kept = Result(tmp_path / "there", "small").runs
    assert [run.state for run in kept] == ["queued", "queued"]
    assert max(len(run.epochs) for run in kept) == HELD
    with pytest.raises(ClusterError, match="no Ray cluster"):
        assay.run(study, store=tmp_path / "there", on="ray")
    short = small_study(training=LONG, seeds={"count": 1}, factors={"rate": [0.0]})
    told = Told()
    assay.run(short, store=tmp_path / "there", artifacts=url, progress=told)
    seen = [e.record for e in told.events if isinstance(e, EpochDone) and e.record.epoch <= gone[0]]
    assert [path.name for path in (tmp_path / "shared").glob("*")] == []
    before = next(run for run in kept if run.epochs).epochs
    assert seen == list(before[: gone[0]])  # from its checkpoint: the same seconds, too
    assay.run(short, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")


@pytest.mark.ray
def test_machines_that_do_not_see_the_folder_for_artifacts_are_named(two: Nodes, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"machine .* cannot use memory://here .it does not see there"):
        assay.run(small_study(), store=tmp_path, on="ray", artifacts="memory://here", workers=1)
    assert {run.attempts for run in Result(tmp_path, "small").runs} == {0}


def test_a_machine_that_cannot_write_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = [{"Alive": True, "NodeID": name, "Resources": {"CPU": 1}} for name in ("bad", "good")]
    monkeypatch.setitem(sys.modules, "ray", Mock(nodes=Mock(return_value=there)))
    bridge, sent = Bridge(io.StringIO(), None), Mock()
    monkeypatch.setattr(bridge, "send", sent)
    job = Job(tasks_of(small_study(), tmp_path)[0].to_json(), None)
    place = Place(Mock(), 0, about={"node": "bad", "host": "bad.local"}, job=job)
    bridge._places.append(place)
    why = "artifacts at s3://bucket cannot be written (denied); check your credentials."
    bridge._answered(place, {"events": [to_json(NoSpace(job.run, why))]}, job)
    (lost,) = sent.call_args.args
    assert lost["event"] == "Lost"
    assert lost["reason"] == f"machine bad.local cannot write ({why[:-1]})"
    assert lost["is_machine"]


def test_only_what_is_much_later_than_elsewhere_is_taken_up_twice() -> None:
    assert is_late(pace=10.0, elsewhere=1.0, epochs_left=5, patience_seconds=30.0)
    assert not is_late(pace=10.0, elsewhere=1.0, epochs_left=3, patience_seconds=30.0)  # 27 seconds are not worth it
    assert not is_late(pace=1.9, elsewhere=1.0, epochs_left=1000, patience_seconds=30.0)  # nor is a bit slower


def test_a_client_server_that_dies_as_it_begins_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    deaths = [ConnectionAbortedError("Starting Ray client server failed.")] * 9
    asked = Mock(side_effect=[*deaths[:2], "joined"])
    join(asked)
    assert asked.call_count == 3
    with pytest.raises(ConnectionAbortedError):
        join(Mock(side_effect=deaths))
    nobody = Mock(side_effect=ConnectionError("ray client connection timeout"))
    with pytest.raises(ConnectionError, match="timeout"):
        join(nobody)
    assert nobody.call_count == 1


def test_paces_are_compared_between_runs_of_the_same_layers_base_and_training(tmp_path: Path) -> None:
    task = tasks_of(small_study(seeds={"count": 1}), tmp_path)[0].to_json()

    def kind(**changes: object) -> str:
        return Job({**task, "arm": {**task["arm"], **changes}}, None).arm

    assert kind(name="other") == kind()
    bases = [{"name": "vgg16"}, {"name": "squeezenet"}, {"name": "vgg16", "train": "all"}]
    assert len({kind(), kind(layers=[]), *(kind(base=base) for base in bases)}) == 5


def test_a_run_that_takes_machine_after_machine_along_is_given_up() -> None:
    assert [after_loss(0, machines) for machines in (1, 5, 6)] == ["retry", "retry", "give up"]
    assert after_loss(2, 1) == "give up"


@pytest.mark.parametrize("address", ["rai", "ray://head", "ray://head:x", "10.0.0.1:6379"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no place to train"):
        assay.run(small_study(), store=tmp_path, on=address)
    assert not (tmp_path / "store.sqlite").exists()


def test_everything_works_without_ray_but_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(study_toml(small_study(seeds={"count": 1})))
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from assay.cli import main; import assay.runner.ray\n"
        "main(['run', sys.argv[1], '--no-report', '--store', sys.argv[2], '--on', sys.argv[3]])"
    )

    def run(on: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(file), str(tmp_path / "store"), on]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = run("ray")
    assert refused.returncode == 2
    assert "error: Ray is not installed; pip install 'assay[ray]'" in refused.stderr
    assert run("local").returncode == 0
