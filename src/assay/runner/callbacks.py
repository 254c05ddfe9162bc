"""Callbacks: the user's Python, called as runs go on, in the process that runs the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..spec import Arm
from ..train.epochs import EpochRecord
from .drive import Progress
from .events import EpochDone, Event, Failed, Finished, Paused
from .outlook import Outlook


@dataclass(frozen=True)
class RunInfo:
    """Which run a callback is called for.

    Args:
        id: The run's id.
        study: Its study's name.
        label: Its arm, seed and fold: ``"dropout=0.5, seed 3"``.
        epochs: Planned epochs.
        arm: Its arm's name; of runs that several arms share, the first's.
        seed: Its seed.
        fold: Its fold, from 1, where there are folds.
        design: Its network and training.
    """

    id: str
    study: str
    label: str
    epochs: int
    arm: str = ""
    seed: int = 0
    fold: int | None = None
    design: Arm | None = None


class Callback:
    """Sees a study's runs while they train: extend it, and give objects of it to ``assay.run(callbacks=[...])``.

    Runs are trained in processes of their own; a callback is called where the study was started, in the order in which
    news arrive. It changes nothing that is trained. An exception stops the study; finished epochs are kept.
    """

    def on_epoch(self, run: RunInfo, epoch: EpochRecord) -> None:
        """Called once after each epoch of a run; of a resumed run, for its earlier epochs too."""

    def on_end(self, run: RunInfo, state: str) -> None:
        """Called when a run has ended: ``"finished"``, ``"paused"``, or as it failed (``"diverged"`` ...)."""


class Followed(Progress):
    """A progress display, and callbacks beside it."""

    def __init__(self, shown: Progress, callbacks: Sequence[Callback]) -> None:
        self._shown, self._callbacks = shown, tuple(callbacks)
        self._runs: dict[str, RunInfo] = {}
        self._epochs: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)  # ``note``, where the display has it

    def begin(self, outlook: Outlook) -> None:
        for run, label in outlook.labels.items():
            task = outlook.tasks.get(run)
            self._runs[run] = RunInfo(
                run, outlook.study, label, outlook.epochs[run], outlook.arms.get(run, ""), task.seed if task else 0,
                task.fold if task else None, task.arm if task else None,
            )  # fmt: skip
        self._shown.begin(outlook)

    def follow(self, event: Event) -> None:
        self._shown.follow(event)
        match event:
            case EpochDone():
                if event.record.epoch > self._epochs.get(event.run, 0):  # a run that was lost tells them again
                    self._epochs[event.run] = event.record.epoch
                    for callback in self._callbacks:
                        callback.on_epoch(self._runs[event.run], event.record)
            case Finished() | Paused() | Failed():
                state = event.state if isinstance(event, Failed) else type(event).__name__.lower()
                for callback in self._callbacks:
                    callback.on_end(self._runs[event.run], state)

    def tick(self) -> None:
        self._shown.tick()

    def end(self) -> None:
        self._shown.end()
