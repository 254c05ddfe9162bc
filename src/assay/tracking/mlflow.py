"""Runs in MLflow: an experiment for each study, a run for each run."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from ..train.epochs import EpochRecord
from .tracker import TrackedRun, Tracker
from .values import metrics_of

_RUN, _STEP = "assay.run", "train_loss"
_LONGEST = 500  # characters of a parameter that every version of MLflow takes
_STATUS = {"finished": "FINISHED", "paused": "FINISHED"}


class MlflowTracker(Tracker):
    """Logs with a client of its own, so that the notebook's active run is left alone.

    Args:
        uri: The tracking server or store; MLflow's own setting (``MLFLOW_TRACKING_URI``) if ``None``.
        experiment: Its name; the study's if ``None``.
    """

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        for name in ("alembic", "mlflow.store.db.utils"):  # how a new store's tables are made
            logging.getLogger(name).setLevel(logging.WARNING)
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri)
        self._experiment = experiment
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}  # by Assay's id
        self._steps: dict[str, int] = {}  # the last epoch that is logged

    @property
    def place(self) -> str:
        experiments = ", ".join(self._experiments) or self._experiment or "no experiment yet"
        return f"experiment {experiments} at {self._client.tracking_uri}"

    def begin(self, run: TrackedRun) -> None:
        experiment = self._experiment_of(run.study)
        known = self._client.search_runs([experiment], filter_string=f"tags.`{_RUN}` = '{run.id}'", max_results=1)
        if known:
            self._runs[run.id] = known[0].info.run_id
            history = self._client.get_metric_history(self._runs[run.id], _STEP)
            self._steps[run.id] = max((metric.step for metric in history), default=0)
            if known[0].info.status != "RUNNING":
                self._client.update_run(self._runs[run.id], status="RUNNING")
            return
        from mlflow.entities import Param

        tags = {_RUN: run.id, "assay.arm": run.arm, "assay.study": run.study}
        created = self._client.create_run(experiment, run_name=run.name, tags=tags)
        self._runs[run.id], self._steps[run.id] = created.info.run_id, 0
        params = [Param(_name(key), _short(value)) for key, value in run.settings.items()]
        for start in range(0, len(params), 100):
            self._client.log_batch(self._runs[run.id], params=params[start : start + 100])

    def epoch(self, run: TrackedRun, record: EpochRecord) -> None:
        if record.epoch > self._steps[run.id]:
            self._steps[run.id] = record.epoch
            self._log(run, metrics_of(record), record.epoch)

    def end(self, run: TrackedRun, state: str, scores: Mapping[str, float]) -> None:
        self._log(run, scores, self._steps[run.id])
        self._client.set_tag(self._runs[run.id], "assay.state", state)
        self._client.set_terminated(self._runs.pop(run.id), status=_STATUS.get(state, "FAILED"))

    def close(self) -> None:
        for run in self._runs.values():  # the study was stopped while they trained
            self._client.set_terminated(run, status="KILLED")
        self._runs.clear()

    def answer(self, study: str, text: str) -> None:
        self._client.set_experiment_tag(self._experiment_of(study), "mlflow.note.content", text)

    def _log(self, run: TrackedRun, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entities = [Metric(_name(key), value, now, step) for key, value in metrics.items()]
        if entities:
            self._client.log_batch(self._runs[run.id], metrics=entities)

    def _experiment_of(self, study: str) -> str:
        name = self._experiment or study
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            if known is not None and known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            self._experiments[name] = known.experiment_id if known else self._client.create_experiment(name)
        return self._experiments[name]


def _name(text: str) -> str:
    """A name as MLflow takes it: letters, digits, and a few marks."""
    return re.sub(r"[^\w ./-]", "_", text)[:250]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
