"""Runs on a Ray cluster of several nodes: the same bits, and what nodes are asked for."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

import assay
from assay import Result
from assay.errors import ClusterError
from assay.runner.decisions import after_loss
from assay.runner.events import Event, Finished, NoSpace, Started, to_json
from assay.runner.ray import RayCluster, RayExecutor
from assay.runner.ray.bridge import Bridge
from assay.runner.ray.jobs import Job, Place, is_late
from assay.runner.ray.process import join
from assay.runner.site import OnRay
from assay.spec import study_toml

from ..cluster import Nodes, workers
from ..held import PATIENCE_SECONDS
from ..helpers import small_study, tasks_of
from ..search.played import search_study
from .ray_runs import MEMORY, assert_same, events_of


def take(events: Iterator[Event], count: int, kind: type[Event]) -> list[Event]:
    """The first events of a kind, as soon as they are there."""
    return list(itertools.islice((event for event in events if isinstance(event, kind)), count))


@pytest.mark.ray
def test_a_study_has_the_same_bits_and_its_data_travel_once_a_node(two_nodes: Nodes, tmp_path: Path) -> None:
    plain = ["conv 5 3x3 relu", "flatten", "layernorm", "dense classes softmax"]  # odd channels as a vector
    fused = ["conv 4 3x3 relu", "maxpool 2", "dropout 0.3", "flatten", "dense classes softmax"]
    study = small_study(
        network=None, factors={}, arms=[{"name": "plain", "layers": plain}, {"name": "fused", "layers": fused}],
        training={"epochs": 2, "batch_size": 64, "keep": {"best": "validation_loss"}}, seeds={"count": 3},
    )  # fmt: skip
    there = assay.run(study, store=tmp_path / "there", on="ray", workers=3)
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")
    assert {run.environment["path"] for run in there.runs} == {"plain", "fused"}
    assert all(run.environment["ray"]["host"] for run in there.runs)
    for name in ("one", "two"):
        files = [path for path in (two_nodes.folder / name).rglob("*.npy") if "arrays" in path.parts]
        assert {path.name for path in files} <= {"train-images.npy", "train-labels.npy"}
    assert list(two_nodes.folder.rglob("train-images.npy"))
    assert [path.name for path in two_nodes.folder.glob("*/tmp/assay-slot-*")] == []
    assert not list((tmp_path / "there").rglob("checkpoint*"))


@pytest.mark.ray
def test_a_client_server_does_as_well(two_nodes: Nodes, tmp_path: Path) -> None:
    study = small_study(seeds={"count": 1})
    assay.run(study, store=tmp_path / "there", on=f"ray://127.0.0.1:{two_nodes.client_port}", workers=1)
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")


@pytest.mark.ray
@pytest.mark.parametrize(
    "is_shared",
    # Checkpoints as messages: by default in test_ray_losses.py, where a node is killed.
    [pytest.param(False, marks=pytest.mark.slow, id="messages"), pytest.param(True, id="shared folder")],
)
def test_a_search_with_asynchronous_halving_chooses_the_same(two_nodes: Nodes, tmp_path: Path, is_shared: bool) -> None:
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
def test_slots_declare_the_memory_that_runs_were_measured_to_take(two_nodes: Nodes, tmp_path: Path) -> None:
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
def test_runs_share_a_gpu_as_they_are_told_to(two_nodes: Nodes, tmp_path: Path) -> None:
    tasks = tasks_of(small_study(seeds={"count": 1}), tmp_path)
    with RayCluster("ray", tmp_path) as cluster:
        assert (cluster.cores, cluster.machine_cores, cluster.gpus) == (4, 2, 1)
        assert OnRay(cluster).device_of("auto") == "cuda"

        shared = RayExecutor(cluster, 2, gpu_share=0.5, memory=lambda task: MEMORY)
        with two_nodes.hold.closed(1):
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
def test_what_the_cluster_has_no_room_for_is_told(two_nodes: Nodes, tmp_path: Path) -> None:
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
def test_machines_that_do_not_see_the_folder_for_artifacts_are_named(two_nodes: Nodes, tmp_path: Path) -> None:
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
