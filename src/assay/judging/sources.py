"""What results lie in a file or folder, and who reads them."""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
from pathlib import Path

from ..errors import DataError, Problem, SpecError, nearest
from ..store import DATABASE
from .columns import Names
from .files import is_table
from .predictions import prediction_files, prediction_scores
from .scores import Scores
from .tracked import scores_of

FORMS = ("table", "mlflow", "tensorboard", "optuna", "keras-tuner", "predictions")
_FIX = (
    "give a CSV file with columns arm, seed and score, a folder of MLflow, TensorBoard or Keras Tuner, the file of an "
    "Optuna storage, or a folder of predictions (docs/guides/judge.md)"
)


def form_of(text: str, asked: str | None = None) -> str:
    """Which of ``FORMS`` lies at a path.

    Args:
        text: The path, or ``sqlite:///`` and a path.
        asked: What the user says that it is.

    Raises:
        DataError: There is nothing, or nothing that results are read from.
        SpecError: There is no such form.
    """
    path = path_of(text)
    if asked is not None and asked not in FORMS:
        raise SpecError(Problem(f'there is no form "{asked}"', nearest(asked, list(FORMS)), "form"))
    if not path.exists():
        raise DataError(Problem("there is no such file or folder", _FIX, file=str(path)))
    if asked is not None:
        return asked
    form = _form_of_folder(path) if path.is_dir() else _form_of_file(path)
    if form is None:
        raise DataError(Problem("nothing here is known as results", _FIX, file=str(path)))
    return form


def path_of(text: str) -> Path:
    return Path(text.removeprefix("sqlite:///"))


def tracked_scores(text: str, form: str, names: Names, *, experiment: str | None) -> Scores:
    """The scores in what a tracker, a tuner or a user saved.

    Args:
        text: As in ``form_of``.
        form: One of ``FORMS``, but no table.
        names: Of arm, seed and score.
        experiment: Of MLflow, or the study of an Optuna storage.

    Raises:
        DataError: It cannot be read, or holds no scores that pair.
        SpecError: The package that reads it is not installed.
    """
    path = path_of(text)
    if form == "predictions":
        return prediction_scores(path)
    if form == "keras-tuner":
        from .keras_tuner import keras_tuner_experiment

        return scores_of(keras_tuner_experiment(path), names)
    _check_installed(form)
    if form == "mlflow":
        from .mlflow import mlflow_experiment

        return scores_of(mlflow_experiment(path, experiment), names)
    if form == "tensorboard":
        from .tensorboard import tensorboard_experiment

        return scores_of(tensorboard_experiment(path), names)
    from .optuna import optuna_experiment

    return scores_of(optuna_experiment(path, experiment), names)


def _check_installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise SpecError(Problem(f"{name} is not installed", f'run pip install "assay[{name}]"', "form"))


def _form_of_file(path: Path) -> str | None:
    if is_table(path):
        return "table"
    if path.suffix.lower() in (".db", ".sqlite", ".sqlite3"):
        tables = _tables(path)
        if {"studies", "trials", "trial_params"} <= tables:
            return "optuna"
        return "mlflow" if {"experiments", "runs", "latest_metrics"} <= tables else None
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return "optuna" if b'"op_code"' in file.readline(1 << 16) else None
    return None


def _form_of_folder(path: Path) -> str | None:
    if (path / DATABASE).is_file():
        what = "this is a store of Assay's own, whose studies need no judge"
        raise DataError(Problem(what, "assay compare STUDY --store gives their verdicts", file=str(path)))
    if any((path / name).exists() for name in ("mlruns", "mlflow.db", "mlruns.db")):
        return "mlflow"
    if next(path.glob("*/meta.yaml"), None) or (path / "meta.yaml").is_file():
        return "mlflow"
    if next(path.rglob("events.out.tfevents.*"), None):
        return "tensorboard"
    if (path / "oracle.json").is_file() or next(path.rglob("trial.json"), None):
        return "keras-tuner"
    return "predictions" if prediction_files(path) else None


def _tables(path: Path) -> set[str]:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        raise DataError(Problem("this is no SQLite database", _FIX, file=str(path))) from None
