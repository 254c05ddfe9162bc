"""Searches played with scores from a formula: everything of a search but the training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.data import prepare
from assay.runner import Executor, drive
from assay.runner.events import EpochDone, Event, Failed, Finished, Paused, Started
from assay.runner.progress import Silent
from assay.search import search_plans
from assay.spec import Study
from assay.store import StudyRecord, open_reader, open_writer
from assay.train import EpochRecord, Task

SPACE: dict[str, Any] = {
    "filters": {"low": 2, "high": 8},
    "rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "units": {"low": 16, "high": 64, "step": 16},
    "activation": ["relu", "sigmoid"],
    "drop": {"none": [], "some": ["dropout {share}"]},
    "share": {"low": 0.0, "high": 0.5, "step": 0.1, "when": {"drop": "some"}},
}
LAYERS = [
    "conv {filters} 3x3 relu",
    "maxpool 2",
    "flatten",
    "dense {units} {activation}",
    "{drop}",
    "dense classes softmax",
]


def search_study(training: dict[str, Any] | None = None, seeds: int = 2, **search: Any) -> Study:
    """A search over small networks for scikit-learn's digits."""
    return Study.of(
        {
            "name": "small",
            "question": "Which network is best?",
            "data": {"name": "digits", "validation": 0.2},
            "network": {"layers": search.pop("layers", LAYERS)},
            "training": {"epochs": 9, "optimizer": {"name": "adam", "learning_rate": "{rate}"}, **(training or {})},
            "seeds": {"count": seeds},
            "search": {"space": SPACE, "trials": 12, "halving": "hyperband", **search},
        }
    )


class Killed(BaseException):
    """Stands for a process that is gone."""


@dataclass
class Formula(Executor):
    """Tells of training that never took place: a run's accuracy after an epoch is a function of both."""

    order: int = 1  # -1 ends the runs of a plan in the other order
    trained: list[tuple[str, int]] = field(default_factory=list)  # epochs that were paid for
    _queue: list[Task] = field(default_factory=list)

    def submit(self, task: Task) -> None:
        self._queue.append(task)

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        task = self._queue.pop(0 if self.order == 1 else -1)
        events: list[Event] = [Started(task.id, {"threads": 1})]
        planned = task.arm.training.planned_epochs
        last = min(task.pause_after or planned, planned)
        for epoch in range(1, last + 1):
            events.append(EpochDone(task.id, epoch_of(task.id, epoch)))
            self.trained.append((task.id, epoch))
        if int(task.id[:4], 16) % 11 == 0 and last > 1:
            return [*events[:2], Failed(task.id, "diverged", "it grew", "shrink it")]
        if last < planned:
            return [*events, Paused(task.id, float(last))]
        return [*events, Finished(task.id, float(last), 1, "weights.safetensors", "hash", 1, None)]

    def close(self) -> None:
        self._queue.clear()


def epoch_of(run: str, epoch: int) -> EpochRecord:
    accuracy = int(hashlib.sha256(run.encode()).hexdigest()[:6], 16) / 16**6 * 0.5 + 0.4 * epoch / (epoch + 2)
    return EpochRecord(epoch, 0.1, accuracy, 1 - accuracy, accuracy, 0.1, accuracy, 0.001, 1.0)


def play(
    study: Study, folder: Path, *, executor: Formula | None = None, watch: Callable[[str], None] = lambda what: None
) -> StudyRecord:
    """Run a search to its end. ``watch`` is called before each write to the store, and may raise."""
    executor = executor or Formula()
    dataset = prepare(study.data)
    with open_writer(folder) as writer, open_reader(folder) as reader:
        for name in [name for name in dir(writer) if name.startswith(("put_", "begin_"))]:
            setattr(writer, name, _watched(getattr(writer, name), name, watch))
        for plan in search_plans(study, dataset, folder, reader, writer):
            drive(plan, writer, reader, lambda count, threads: executor, Silent(), num_workers=1)
        return reader.study(study.name)


def _watched(write: Callable[..., None], name: str, watch: Callable[[str], None]) -> Callable[..., None]:
    def watched(*args: Any, **values: Any) -> None:
        watch(name)
        write(*args, **values)

    return watched


def choices(record: StudyRecord) -> Any:
    """Everything that a search decided, without times."""
    from assay.search import step_of

    assert record.search is not None
    runs = {(run.arm, run.seed, run.id, run.state, len(run.epochs)) for run in record.search.runs}
    return record.search.candidates, step_of(record), runs, record.arms, [run.id for run in record.runs]
