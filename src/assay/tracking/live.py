"""Logs runs while they train, on a thread of its own: training neither waits for a tracker nor fails with it."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..runner import Callback, RunInfo
from ..train.epochs import EpochRecord
from .opening import TITLES, check_tracker, open_tracker
from .tracker import TrackedRun, Tracker
from .values import settings_of

STALLED_SECONDS = 30.0  # how long the end of a study waits for a tracker that does not move
STOPPED_SECONDS = 5.0  # the same where the study was stopped
_Note = Callable[[str], None]


class LiveTracking(Callback):
    """Hands what happens to a tracker.

    Args:
        name: The tracker's, for messages.
        make: Makes it. Called on the tracker's thread, since importing its package may take seconds.
        note: Shows a sentence to the user; called on the thread that runs the study.
        data: The data set's title.
    """

    def __init__(self, name: str, make: Callable[[], Tracker], note: _Note, data: str = "") -> None:
        self._title, self._make, self._note, self._data = TITLES.get(name, name), make, note, data
        self._calls: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._runs: dict[str, TrackedRun] = {}
        self._epochs: dict[str, list[EpochRecord]] = {}
        self._trouble = self._place = ""
        self._is_named = self._is_closed = False
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=f"assay-{name}", daemon=True)
        self._thread.start()

    def on_epoch(self, run: RunInfo, epoch: EpochRecord) -> None:
        self._name_trouble()
        tracked = self._tracked(run)
        self._epochs.setdefault(run.id, []).append(epoch)
        self._calls.put(lambda tracker: tracker.epoch(tracked, epoch))

    def on_end(self, run: RunInfo, state: str) -> None:
        self._name_trouble()
        tracked = self._tracked(run)
        scores = _scores(run, self._epochs.pop(run.id, []))
        self._calls.put(lambda tracker: tracker.end(tracked, state, scores))
        self._runs.pop(run.id, None)

    def close(self, study: str = "", answer: str = "") -> None:
        """Log the study's answer, and wait for what is still to be logged as long as the tracker moves; once."""
        if self._is_closed:
            return
        self._is_closed = True
        if answer:
            self._calls.put(lambda tracker: tracker.answer(study, answer))
        self._calls.put(None)
        self._moved, patience = time.monotonic(), STALLED_SECONDS if answer else STOPPED_SECONDS
        while self._thread.is_alive() and time.monotonic() - self._moved < patience:
            self._thread.join(0.1)
        if self._thread.is_alive() and not self._trouble:
            self._trouble = f"it has not answered for {patience:.0f} seconds"
        if self._place and not self._trouble:
            self._note(f"{self._title}: {self._place}")
        self._name_trouble()

    def _tracked(self, run: RunInfo) -> TrackedRun:
        known = self._runs.get(run.id)
        if known is not None:
            return known
        settings = settings_of(run.design, arm=run.arm, seed=run.seed, fold=run.fold, data=self._data)
        tracked = self._runs[run.id] = TrackedRun(run.id, run.study, run.arm, run.label, settings)
        self._calls.put(lambda tracker: tracker.begin(tracked))
        return tracked

    def _name_trouble(self) -> None:
        if self._trouble and not self._is_named:
            self._is_named = True
            self._note(
                f"{self._title} failed, and nothing more is logged there; training is not affected: {self._trouble}"
            )

    def _work(self) -> None:
        try:
            tracker = self._make()
            while (call := self._calls.get()) is not None:
                call(tracker)
                self._moved = time.monotonic()
            tracker.close()
            self._place = tracker.place
        except BaseException as error:  # whatever a tracker raises, even SystemExit, ends the tracker alone
            text = " ".join(str(error).split())[:300].rstrip(".")
            self._trouble = f"{type(error).__name__}: {text}" if text else type(error).__name__


def _scores(run: RunInfo, epochs: Sequence[EpochRecord]) -> dict[str, float]:
    """The scores of the epoch that a run keeps."""
    from ..train.stopping import kept_epoch

    if not epochs or run.design is None:
        return {}
    kept = epochs[kept_epoch(run.design.training, epochs) - 1]
    values = {
        "kept_validation_accuracy": kept.validation_accuracy,
        "kept_validation_loss": kept.validation_loss,
        "kept_epoch": float(kept.epoch),
        "total_seconds": sum(epoch.seconds for epoch in epochs),
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def live_trackers(names: Sequence[str], note: _Note, *, data: str = "", **options: Any) -> list[LiveTracking]:
    """A live tracker for each name.

    Args:
        names: Of ``TRACKERS``, each once.
        note: Shows a sentence to the user.
        data: The data set's title.
        options: By tracker, what it is made with.

    Raises:
        SpecError: There is no such tracker, or its package is not installed.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        check_tracker(name)
    return [LiveTracking(name, partial(open_tracker, name, **options.get(name, {})), note, data) for name in names]
