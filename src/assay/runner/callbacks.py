"""Callbacks: your own Python code, called while runs train, in the process that runs the study."""

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
    """The run that a callback is called for.

    Args:
        id: The run's id.
        study: The name of its study.
        label: Its arm, seed and fold, such as ``"dropout=0.5, seed 3"``.
        epochs: The number of planned epochs.
        arm: Its arm's name. If several arms share the run, the first one.
        seed: Its seed.
        fold: Its fold, from 1; ``None`` without folds.
        design: Its network and training.

    Example:
        >>> run = assay.RunInfo(id="7b6b51", study="digits", label="wide, seed 0", epochs=10, arm="wide")
        >>> f"{run.label}: {run.epochs} epochs"
        'wide, seed 0: 10 epochs'
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
    """Follow a study's runs with your own code: subclass it, and pass objects to ``run(callbacks=[...])``.

    Runs train in processes of their own. Callbacks are called in the process that started the study, in the order in
    which messages arrive. They cannot change the training. An exception in a callback stops the study; finished epochs
    are kept.

    Example:
        >>> class Print(assay.Callback):
        ...     def on_end(self, run, state):
        ...         print(run.label, state)
        >>> study = assay.Study(
        ...     name="one-epoch",
        ...     data={"name": "digits"},
        ...     network={"layers": ["flatten", "dense classes softmax"]},
        ...     training={"epochs": 1},
        ...     seeds={"count": 2},
        ... )
        >>> result = assay.run(study, callbacks=[Print()])
        one-epoch, seed 0 finished
        one-epoch, seed 1 finished
    """

    def on_epoch(self, run: RunInfo, epoch: EpochRecord) -> None:
        """Called once after each epoch of a run. For a resumed run, it is called for the earlier epochs too.

        Args:
            run: The run.
            epoch: What was measured after the epoch: losses, accuracies, learning rate, seconds.
        """

    def on_end(self, run: RunInfo, state: str) -> None:
        """Called when a run has ended.

        Args:
            run: The run.
            state: ``"finished"``, ``"paused"`` (a search stopped it), ``"diverged"``, ``"out of memory"`` or
                ``"failed"``.
        """


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
