"""Runs that MLflow, TensorBoard, Optuna and Keras Tuner keep: written by themselves, of Keras Tuner as its JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import assay
from assay.errors import DataError
from assay.tracking import TrackedRun, open_tracker
from assay.train.epochs import EpochRecord

pytestmark = pytest.mark.filterwarnings("ignore")  # of the trackers' own dependencies

SEEDS = 6
Run = tuple[dict[str, float], int, float]  # settings, seed, score


def runs() -> Iterator[Run]:
    """Two widths, of which the larger is better."""
    rng = np.random.default_rng(4)
    for seed in range(SEEDS):
        shared = rng.normal(0, 0.01)
        for width in (8, 16):
            yield {"width": width, "batch": 32}, seed, 0.85 + shared + 0.03 * (width == 16) + rng.normal(0, 0.004)


def expected() -> str:
    frame = pd.DataFrame([{"arm": f"width={s['width']}", "seed": seed, "score": score} for s, seed, score in runs()])
    headline = assay.judge(frame).headline
    assert "is better" in headline
    return headline


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# MLflow


def mlflow_store(uri: str, *, seed: str = "seed", experiment: str = "digits") -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=uri)
    place = client.create_experiment(experiment)
    for settings, number, score in runs():
        run = client.create_run(place, tags={"git": str(number * score)}).info.run_id
        params = [Param(key, str(value)) for key, value in {**settings, seed: number}.items()]
        values = [("val_accuracy", 0.1, 1), ("val_accuracy", score, 2), ("val_loss", 1 - score, 2)]
        client.log_batch(run, [Metric(name, value, step, step) for name, value, step in values], params)
        client.set_terminated(run)


@pytest.fixture(scope="module")
def mlflow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow_store(f"sqlite:///{path}")
    return path


def test_mlflow_folder_of_files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    with monkeypatch.context() as patched:
        patched.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow_store(str(here / "mlruns"))
    assert assay.judge(here).headline == expected()
    assert assay.judge(here / "mlruns").headline == expected()
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


def test_mlflow(mlflow_file: Path) -> None:
    judged = assay.judge(mlflow_file)
    assert judged.headline == expected()
    assert judged.record.source == "MLflow experiment digits"
    assert assay.judge(mlflow_file.parent).headline == judged.headline
    assert assay.judge(mlflow_file, experiment="digits", arm="width").headline == judged.headline


@pytest.mark.slow
def test_a_study_that_assay_logged_in_mlflow_has_its_arms(mlflow_file: Path, here: Path) -> None:
    path = here / "logged.db"
    path.write_bytes(mlflow_file.read_bytes())
    tracker = open_tracker("mlflow", uri=f"sqlite:///{path}")
    for settings, seed, score in runs():
        arm = f"width={settings['width']}"
        values = {"arm": arm, "seed": seed, "factor.width": settings["width"], "training.epochs": 1}
        run = TrackedRun(f"{arm}-{seed}", "widths", arm, f"{arm}, seed {seed}", values)
        tracker.begin(run)
        tracker.epoch(run, EpochRecord(1, 1.0, 0.5, 1.0, 0.5, 1.0, 0.2, 0.1, 1.0))
        tracker.end(run, "finished", {"kept_validation_accuracy": score})
    tracker.close()
    judged = assay.judge(path, experiment="widths")
    assert judged.headline == expected()
    assert [(arm.name, arm.levels) for arm in judged.record.arms] == [
        ("width=8", {"width": "8"}),
        ("width=16", {"width": "16"}),
    ]


def test_an_mlflow_store_of_another_version_is_one_sentence(mlflow_file: Path, here: Path) -> None:
    newer = here / "mlflow.db"
    newer.write_bytes(mlflow_file.read_bytes())
    with contextlib.closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    connection.close()
    with pytest.raises(DataError, match="another version of MLflow wrote this store") as caught:
        assay.judge(newer)
    assert len(caught.value.problems) == 1


def test_of_several_experiments_one_is_named(mlflow_file: Path, here: Path) -> None:
    path = here / "two.db"
    path.write_bytes(mlflow_file.read_bytes())
    mlflow_store(f"sqlite:///{path}", seed="number", experiment="other")
    with pytest.raises(DataError, match="2 experiments have runs: digits, other; name one with --experiment"):
        assay.judge(path)
    with pytest.raises(DataError, match="the seed is not known; name it with --seed; there are"):
        assay.judge(path, experiment="other")
    assert assay.judge(path, experiment="other", seed="number", score="val_accuracy").headline == expected()
    with pytest.raises(DataError, match='no experiment "othr"; did you mean "other"'):
        assay.judge(path, experiment="othr")


# TensorBoard


def test_tensorboard_by_hyperparameters_and_by_names(here: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for number, (settings, seed, score) in enumerate(runs()):
        with SummaryWriter(str(here / "hparams" / f"run{number}")) as writer:
            writer.add_scalar("val_accuracy", 0.1, 1)
            writer.add_scalar("val_accuracy", score, 2)
            writer.add_hparams({**settings, "seed": seed}, {"score/other": 1.0}, run_name=".")
        with SummaryWriter(str(here / "named" / f"width={settings['width']}, seed {seed}" / "validation")) as writer:
            writer.add_scalar("epoch_accuracy", score, 1)
    judged = [assay.judge(here / name).compare().contrasts[0] for name in ("hparams", "named")]
    words = [contrast.sentence.split(" (")[0] for contrast in judged]
    assert words == [expected().split(" (")[0]] * 2  # event files keep numbers in float32
    assert [contrast.finding.n for contrast in judged] == [SEEDS] * 2


def test_tensorboard_runs_without_seeds_and_of_newer_versions(here: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter
    from torch.utils.tensorboard import SummaryWriter

    for name in ("first", "second"):
        with SummaryWriter(str(here / "plain" / name)) as writer:
            writer.add_scalar("accuracy", 0.9, 1)
    with pytest.raises(
        DataError, match="no run says its seed: neither hyperparameters nor a folder's name such as \"f"
    ):
        assay.judge(here / "plain")
    newer = here / "newer" / "a, seed 0" / "events.out.tfevents.1.x"
    newer.parent.mkdir(parents=True)
    with open(newer, "wb") as file:
        RecordWriter(file).write(Event(wall_time=1.0, file_version="brain.Event:3").SerializeToString())
    with pytest.raises(DataError, match=r"newer version of TensorBoard wrote these events \(file version 3\)"):
        assay.judge(here / "newer")


# Optuna


def optuna_study(storage: object, *, objectives: int = 1, direction: str = "maximize"):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="widths",
        storage=storage,
        directions=[direction] * objectives,  # type: ignore[arg-type]
    )
    distributions = {
        "width": optuna.distributions.IntDistribution(1, 64),
        "seed": optuna.distributions.IntDistribution(0, 100),
    }
    for settings, seed, score in runs():
        values = [score] * objectives
        study.add_trial(
            optuna.trial.create_trial(
                params={"width": int(settings["width"]), "seed": seed}, distributions=distributions, values=values,
                user_attrs={"minutes": score * 10},
            )
        )  # fmt: skip
    return study


@pytest.fixture(scope="module")
def optuna_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An SQLite storage, to be copied."""
    path = tmp_path_factory.mktemp("optuna") / "optuna.db"
    optuna_study(f"sqlite:///{path}")
    return path.read_bytes()


def test_optuna_in_sqlite_and_in_a_journal(here: Path, optuna_file: bytes) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    (here / "optuna.db").write_bytes(optuna_file)
    optuna_study(optuna.storages.JournalStorage(JournalFileBackend(str(here / "journal.log"))))
    want = expected()
    for path in (here / "optuna.db", f"sqlite:///{here / 'optuna.db'}", here / "journal.log"):
        judged = assay.judge(path, metric="accuracy")
        assert judged.headline == want
        assert judged.record.source == "Optuna study widths"


def test_optuna_trials_that_failed_were_pruned_or_tried_again(here: Path, optuna_file: bytes) -> None:
    import optuna

    (here / "optuna.db").write_bytes(optuna_file)
    study = optuna.load_study(study_name="widths", storage=f"sqlite:///{here / 'optuna.db'}")
    trials = study.get_trials()
    for state in (optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED):
        params = trials[0].params if state.name == "FAIL" else {"width": 8, "seed": 50}
        study.add_trial(
            optuna.trial.create_trial(
                state=state, params=params, distributions=trials[0].distributions, user_attrs=trials[0].user_attrs
            )
        )
    judged = assay.judge(here / "optuna.db", metric="accuracy")
    assert judged.headline == expected()
    assert judged.notes == (
        "1 pruned trial has no final value and no part in this.", "1 failed trial was tried again, and count as that.",
    )  # fmt: skip


def test_optuna_refusals(here: Path, optuna_file: bytes) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna_study(optuna.storages.JournalStorage(JournalFileBackend(str(here / "two.log"))), objectives=2)
    with pytest.raises(DataError, match="has 2 objectives, and a verdict is on one"):
        assay.judge(here / "two.log")
    (here / "newer.db").write_bytes(optuna_file)
    with contextlib.closing(sqlite3.connect(here / "newer.db")) as connection, connection:
        connection.execute("UPDATE version_info SET schema_version = 99, library_version = '99.0'")
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.a'")
    connection.close()
    with pytest.raises(DataError, match="another version of Optuna wrote this storage") as caught:
        assay.judge(here / "newer.db")
    assert len(caught.value.problems) == 1
    (here / "text.db").write_text("no database")
    with pytest.raises(DataError, match="no SQLite database"):
        assay.judge(here / "text.db")


def test_a_search_whose_trials_are_all_unlike_is_told_so(here: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(here / "search.log")))
    study = optuna.create_study(study_name="search", storage=storage, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1) * 0.1 + trial.suggest_int("seed", 0, 3) * 0.1, 6)
    with pytest.raises(DataError, match="each of 6 runs is an arm of its own, by lr; name the settings that make"):
        assay.judge(here / "search.log", metric="accuracy")


# Keras Tuner


def trial_json(number: int, settings: dict[str, float], score: float) -> dict[str, object]:
    """A trial as Keras Tuner 1.4 writes it."""
    metrics = {
        "accuracy": {"direction": "max", "observations": [{"value": [0.99], "step": 2}]},
        "val_accuracy": {
            "direction": "max",
            "observations": [{"value": [0.1], "step": 1}, {"value": [score], "step": 2}],
        },
    }
    return {
        "trial_id": f"{number:04d}",
        "hyperparameters": {
            "space": [{"class_name": "Int", "config": {"name": "width", "min_value": 8, "max_value": 16}}],
            "values": settings,
        },
        "metrics": {"metrics": metrics},
        "score": score,
        "best_step": 2,
        "status": "COMPLETED",
        "message": None,
    }


def test_keras_tuner(here: Path) -> None:
    project = here / "project"
    for number, (settings, seed, score) in enumerate(runs()):
        folder = project / f"trial_{number:04d}"
        folder.mkdir(parents=True)
        (folder / "trial.json").write_text(json.dumps(trial_json(number, {**settings, "seed": seed}, score)))
    (project / "oracle.json").write_text("{}")
    judged = assay.judge(project)
    assert judged.headline == expected()
    assert judged.record.source == "Keras Tuner project project"
    (project / "trial_0003" / "trial.json").write_text(json.dumps({"format": 2, "trial_id": "0003"}))
    with pytest.raises(
        DataError, match=r"no trial as Keras Tuner 1 writes it.*a newer version may have written"
    ) as caught:
        assay.judge(project)
    assert "trial_0003" in str(caught.value)
    assert len(caught.value.problems) == 1
