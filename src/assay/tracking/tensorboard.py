"""Runs as TensorBoard's event files: a folder for each run, named by arm and seed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..train.epochs import EpochRecord
from .tracker import TrackedRun, Tracker
from .values import metrics_of

_EVENTS = "events.out.tfevents.*"


class TensorBoardTracker(Tracker):
    """Writes event files. A run that is logged again is written anew, so that nothing stands twice.

    Args:
        folder: Where; ``tensorboard --logdir`` takes it. Runs lie in ``STUDY/ARM, seed N`` below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    @property
    def place(self) -> str:
        return f"tensorboard --logdir {self._folder}"

    def begin(self, run: TrackedRun) -> None:
        folder = self._folder / _safe(run.study) / f"{_safe(run.name)} {run.id[:8]}"
        self._writers[run.id] = _writer(folder)

    def epoch(self, run: TrackedRun, record: EpochRecord) -> None:
        for name, value in metrics_of(record).items():
            part, _, metric = name.rpartition("_")
            tag = f"{metric}/{part}" if metric in ("loss", "accuracy") else name
            self._writers[run.id].add_scalar(tag, value, record.epoch)

    def end(self, run: TrackedRun, state: str, scores: Mapping[str, float]) -> None:
        writer = self._writers.pop(run.id)
        writer.add_text("state", state)
        metrics = {f"score/{name}": value for name, value in scores.items()}
        settings = {key: value for key, value in run.settings.items() if value != ""}
        writer.add_hparams(settings, metrics, run_name=".")
        writer.close()

    def answer(self, study: str, text: str) -> None:
        writer = _writer(self._folder / _safe(study) / "answer")
        writer.add_text("answer", text)
        writer.close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    for path in folder.glob(_EVENTS):
        path.unlink()
    return SummaryWriter(str(folder))


def _safe(name: str) -> str:
    """A name as one folder's."""
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]+', "-", name).strip(". ")[:120] or "-"
