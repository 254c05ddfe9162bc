"""Runs in MLflow, TensorBoard and Weights & Biases: what stands there is read back by their own readers."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.errors import SpecError
from assay.results.result import Result
from assay.tracking import LiveTracking, TrackedRun, Tracker, live_trackers, open_tracker, opening
from assay.tracking import live as live_module
from assay.train.epochs import EpochRecord

from .helpers import small_study

MLFLOW = pytest.mark.filterwarnings("ignore")  # of its own dependencies
COMPLETE = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return assay.run(small_study(seeds={"count": 2}), store=tmp_path_factory.mktemp("store"), workers=1)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, without accounts: nothing leaves this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


# MLflow


def mlflow_runs(uri: str) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags["assay.run"]: run for run in runs} | {"": (client, experiment)}


@MLFLOW
def test_mlflow_has_every_epoch_of_every_run_once(result: Result, places: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    uri = f"sqlite:///{places / 'runs.db'}"
    place = result.to_mlflow(uri)
    assert "small" in place
    assert uri in place
    result.to_mlflow(uri)  # once more: nothing stands twice
    runs = mlflow_runs(uri)
    client, experiment = runs.pop("")
    assert set(runs) == {run.id for run in result.runs}
    for run in result.runs:
        logged = runs[run.id]
        assert logged.info.status == "FINISHED"
        assert logged.info.run_name == f"{run.arm}, seed {run.seed}"
        assert logged.data.params["factor.rate"] == run.arm.removeprefix("rate=")
        assert logged.data.params["training.batch_size"] == "64"
        assert logged.data.params["seed"] == str(run.seed)
        assert "dropout" in logged.data.params["layers"]
        for name in COMPLETE:
            history = client.get_metric_history(logged.info.run_id, name)
            assert [(one.step, one.value) for one in history] == [(e.epoch, getattr(e, name)) for e in run.epochs]
        assert logged.data.metrics["kept_validation_accuracy"] == run.epochs[-1].validation_accuracy
    assert "Does dropout help?" in client.get_experiment(experiment.experiment_id).tags["mlflow.note.content"]


@MLFLOW
def test_mlflow_follows_live_and_a_resumed_run_goes_on(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    uri = f"sqlite:///{places / 'live.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    done = assay.run(small_study(), store=places / "store", workers=1, track="mlflow")
    runs = mlflow_runs(uri)
    client, _ = runs.pop("")
    assert {key: run.info.status for key, run in runs.items()} == {run.id: "FINISHED" for run in done.runs}
    for run in done.runs:
        history = client.get_metric_history(runs[run.id].info.run_id, "validation_loss")
        assert [(one.step, one.value) for one in history] == [(e.epoch, e.validation_loss) for e in run.epochs]
    tracked = TrackedRun(done.runs[0].id, "small", "rate=0", "rate=0, seed 0")
    tracker = open_tracker("mlflow", uri=uri)
    tracker.begin(tracked)
    for number in (1, 2, 3):  # a run that goes on tells its earlier epochs again
        tracker.epoch(tracked, EpochRecord(number, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 0.1, 1.0))
    tracker.close()
    history = client.get_metric_history(runs[tracked.id].info.run_id, "train_loss")
    assert [one.step for one in history] == [1, 2, 3]
    assert client.get_run(runs[tracked.id].info.run_id).info.status == "KILLED"  # closed before it ended


# TensorBoard


def scalars(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """By run's folder and tag, step and value, as TensorBoard's own reader has them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = {}
    for run in sorted(path for path in folder.iterdir() if path.is_dir()):
        events = EventAccumulator(str(run))
        events.Reload()
        read[run.name] = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return read


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_has_every_epoch_of_every_run_once(result: Result, places: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert result.to_tensorboard(places / "board") == f"tensorboard --logdir {places / 'board'}"
    result.to_tensorboard(places / "board")
    read = scalars(places / "board" / "small")
    assert len(read.pop("answer")) == 0
    assert len(read) == len(result.runs)
    for run in result.runs:
        values = read[f"{run.arm}, seed {run.seed} {run.id[:8]}"]
        for part in ("train", "validation", "running"):
            for metric in ("loss", "accuracy"):
                expected = [(epoch.epoch, getattr(epoch, f"{part}_{metric}")) for epoch in run.epochs]
                assert [step for step, _ in values[f"{metric}/{part}"]] == [step for step, _ in expected]
                assert [value for _, value in values[f"{metric}/{part}"]] == pytest.approx([v for _, v in expected])
        assert values["score/kept_validation_accuracy"][0][1] == pytest.approx(run.epochs[-1].validation_accuracy)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_follows_live(places: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    done = assay.run(small_study(), store=places / "store", workers=1, track=["tensorboard"])
    read = scalars(places / "store" / "tensorboard" / "small")
    for run in done.runs:
        values = read[f"{run.arm}, seed {run.seed} {run.id[:8]}"]
        assert [step for step, _ in values["loss/validation"]] == [1, 2]
        assert values["score/kept_validation_accuracy"][0][1] == pytest.approx(run.epochs[-1].validation_accuracy)


# Weights & Biases


def records_of(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format (blocks of 32 KiB, chunks with a header of 7 bytes)."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        if kind == 0:
            return
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or its last chunk
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def wandb_runs(folder: Path, count: int) -> dict[str, dict[str, Any]]:
    """So many runs by name, once W&B's own process has written them: group, settings, history by step, summary."""
    deadline = time.monotonic() + 60
    while True:
        runs = _wandb_runs(folder)
        is_whole = all(run.get("exited") for run in runs.values())
        if (len(runs) == count and is_whole) or time.monotonic() > deadline:
            return runs
        time.sleep(0.2)


def _wandb_runs(folder: Path) -> dict[str, dict[str, Any]]:
    runs: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("offline-run-*/*.wandb")):
        run: dict[str, Any] = {"history": [], "summary": {}, "config": {}}
        name = ""
        for record in records_of(path):
            if record.HasField("run"):
                name, run["group"], run["notes"] = record.run.display_name, record.run.run_group, record.run.notes
                run["project"] = record.run.project
                run["config"] |= {i.key: json.loads(i.value_json) for i in record.run.config.update if i.key}
            elif record.HasField("exit"):
                run["exited"] = True
            elif record.HasField("history"):
                items = record.history.item
                run["history"].append({".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
            elif record.HasField("summary"):
                items = record.summary.update
                run["summary"] |= {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
        runs[name] = run
    return runs


@pytest.mark.filterwarnings("ignore")
def test_wandb_records_offline_where_nobody_is_logged_in(result: Result, places: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    assert "offline" in result.to_wandb(folder=str(places))
    runs = wandb_runs(places / "wandb", len(result.runs) + 1)
    assert "Does dropout help?" in runs.pop("answer")["notes"]
    assert set(runs) == {f"{run.arm}, seed {run.seed}" for run in result.runs}
    for run in result.runs:
        logged = runs[f"{run.arm}, seed {run.seed}"]
        assert (logged["project"], logged["group"]) == ("small", run.arm)
        assert logged["config"]["training.batch_size"] == 64
        assert [step["_step"] for step in logged["history"]] == [epoch.epoch for epoch in run.epochs]
        for step, epoch in zip(logged["history"], run.epochs, strict=True):
            assert {name: step[name] for name in COMPLETE} == {name: getattr(epoch, name) for name in COMPLETE}
        assert logged["summary"]["kept_validation_accuracy"] == run.epochs[-1].validation_accuracy
        assert logged["summary"]["state"] == "finished"


@pytest.mark.filterwarnings("ignore")
def test_wandb_follows_live(places: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    done = assay.run(small_study(), store=places / "store", workers=1, track="wandb")
    runs = wandb_runs(places / "wandb", len(done.runs) + 1)
    assert set(runs) == {"answer", *(f"{run.arm}, seed {run.seed}" for run in done.runs)}
    assert all(len(run["history"]) == 2 for name, run in runs.items() if name != "answer")


# Trackers that break


class Recorder(Tracker):
    """Notes what it is asked for."""

    place = "memory"

    def __init__(
        self, calls: list[tuple[Any, ...]], *, breaks_at: str = "", waits: threading.Event | None = None
    ) -> None:
        self.calls, self.breaks_at, self.waits = calls, breaks_at, waits

    def _call(self, *call: Any) -> None:
        if self.waits is not None:
            self.waits.wait()
        self.calls.append(call)
        if call[0] == self.breaks_at:
            raise SystemExit("the server is gone")

    def begin(self, run: TrackedRun) -> None:
        self._call("begin", run)

    def epoch(self, run: TrackedRun, record: EpochRecord) -> None:
        self._call("epoch", run.id, record)

    def end(self, run: TrackedRun, state: str, scores: Mapping[str, float]) -> None:
        self._call("end", run.id, state, dict(scores))

    def answer(self, study: str, text: str) -> None:
        self._call("answer", study, text)


class Shown(assay.Callback):
    """A progress display that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, outlook: Any) -> None: ...
    def follow(self, event: Any) -> None: ...
    def tick(self) -> None: ...
    def end(self) -> None: ...
    def note(self, text: str) -> None:
        self.notes.append(text)


def tracked_by(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setattr(opening, "check_tracker", lambda name: None)
    monkeypatch.setattr("assay.api.check_tracker", lambda name: None)
    monkeypatch.setattr(live_module, "check_tracker", lambda name: None)
    monkeypatch.setattr(live_module, "open_tracker", lambda name, **options: make())


def test_a_tracker_gets_each_run_from_beginning_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    tracked_by(monkeypatch, lambda: Recorder(calls))
    shown = Shown()
    done = assay.run(small_study(), store=tmp_path, workers=1, track="mlflow", progress=shown)
    for run in done.runs:
        of_run = [
            call
            for call in calls
            if call[0] != "answer" and (call[1] == run.id or getattr(call[1], "id", "") == run.id)
        ]
        assert [call[0] for call in of_run] == ["begin", "epoch", "epoch", "end"]
        assert of_run[0][1].settings["factor.rate"] == run.arm.removeprefix("rate=")
        assert of_run[3][3]["kept_validation_accuracy"] == run.epochs[-1].validation_accuracy
    assert calls[-1][:2] == ("answer", "small")
    assert shown.notes == ["MLflow: memory"]


@pytest.mark.parametrize("place", ["begin", "epoch", "end", "answer", "make"])
def test_one_that_breaks_is_named_once_and_training_goes_on(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> Tracker:
        if place == "make":
            raise ImportError("no module")
        return Recorder([], breaks_at=place)

    tracked_by(monkeypatch, make)
    shown = Shown()
    done = assay.run(small_study(), store=tmp_path, workers=1, track=["wandb"], progress=shown)
    assert [run.state for run in done.runs] == ["finished"] * 4
    assert len(shown.notes) == 1
    reason = "ImportError: no module" if place == "make" else "SystemExit: the server is gone"
    assert shown.notes[0].startswith("Weights & Biases failed")
    assert reason in shown.notes[0]


def test_one_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    tracked_by(monkeypatch, lambda: Recorder([], waits=never))
    monkeypatch.setattr(live_module, "STALLED_SECONDS", 0.2)
    shown = Shown()
    started = time.monotonic()
    done = assay.run(small_study(), store=tmp_path, workers=1, track=["wandb"], progress=shown)
    assert [run.state for run in done.runs] == ["finished"] * 4
    assert time.monotonic() - started < 60
    assert shown.notes == [
        "Weights & Biases failed, and nothing more is logged there; training is not affected: "
        "it has not answered for 0 seconds"
    ]
    never.set()


def test_trouble_is_a_warning_where_nothing_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked_by(monkeypatch, lambda: Recorder([], breaks_at="begin"))
    with pytest.warns(UserWarning, match="TensorBoard failed"):
        assay.run(small_study(), store=tmp_path, workers=1, track="tensorboard")


def test_what_is_not_there_is_named_before_anything_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match='there is no tracker "mlfow"; did you mean "mlflow"'):
        assay.run(small_study(), store=tmp_path, track="mlfow")  # type: ignore[arg-type]
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r'wandb is not installed; run pip install "assay\[wandb\]"'):
        assay.run(small_study(), store=tmp_path, track="wandb")
    assert assay.studies(tmp_path) == [] if (tmp_path / "assay.db").exists() else not list(tmp_path.iterdir())


def test_the_thread_ends_with_the_study() -> None:
    followers = [LiveTracking("mlflow", lambda: Recorder([]), lambda text: None)]
    for follower in followers:
        follower.close()
        follower.close()
    assert not any(thread.name == "assay-mlflow" for thread in threading.enumerate())
    assert live_trackers([], lambda text: None) == []
