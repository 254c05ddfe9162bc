"""What has happened in a study so far, and how long the rest takes; shared by every display."""

from __future__ import annotations

import collections
import heapq
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .events import Advanced, Compiling, EpochDone, Event, Failed, Finished, Lost, Paused, Started
from .outlook import Outlook

_RECENT = 20  # epochs of an arm that its pace is taken from
_MANY = 500  # queued runs above which they are shared out by their sum
_SURE = 0.02  # share of an epoch's steps from which on its pace is an estimate
_MOST = 0.5  # share of an epoch's steps from which on it says how much of the epoch they are
_NEARLY = 0.98


@dataclass
class _Course:
    """A run that is being trained.

    Args:
        started: When it began.
        epoch_started: When its epoch began.
        epochs: How many have ended.
        share: Of the epoch, in steps; 0 where nothing has said so.
        told: When that was said.
        trained: Seconds of the epochs that have ended in this session.
    """

    started: float
    epoch_started: float
    epochs: int = 0
    share: float = 0.0
    told: float = 0.0
    trained: float = 0.0


@dataclass
class Tally:
    """Counts what has happened and estimates what is left.

    An epoch's time is the mean of an arm's last ones; before the first has ended, that of the part that has. Arms of
    which none has run are taken for as fast as the others, by their FLOPs. What runs take besides (data, weights,
    predictions) is the median of those that have finished. Waiting runs are shared out as the executor does.

    Args:
        outlook: What is about to happen.
        clock: Seconds, from anywhere.
    """

    outlook: Outlook
    clock: Callable[[], float] = time.monotonic
    finished: int = 0
    failed: int = 0
    running: dict[str, int] = field(default_factory=dict)  # run id -> epochs done
    accuracy: dict[str, float] = field(default_factory=dict)  # of the last epoch, then of the one that was kept
    compiling: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)  # run id -> since when, which
    _accuracies: dict[str, dict[int, float]] = field(default_factory=dict)
    _courses: dict[str, _Course] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _paces: dict[str, collections.deque[float]] = field(default_factory=dict)  # arm -> seconds of its last epochs
    _steps: dict[str, collections.deque[float]] = field(default_factory=dict)  # arm -> share of the steps in an epoch
    _extras: list[float] = field(default_factory=list)  # seconds of finished runs outside their epochs
    _lengths: dict[str, list[int]] = field(default_factory=dict)  # arm -> epochs of runs that have finished
    _costs: dict[str, float] = field(default_factory=dict)  # arm -> what an epoch costs beside others

    def __post_init__(self) -> None:
        self._costs = {self._arm(run): self.outlook.costs.get(run, 1.0) for run in self.outlook.epochs}

    @property
    def done(self) -> int:
        return self.outlook.num_done + self.finished + self.failed

    @property
    def queued(self) -> int:
        return self.outlook.num_runs - self.done - len(self.running)

    @property
    def is_starting(self) -> bool:
        """Whether no run has begun yet."""
        return bool(self.queued) and not (self._courses or self._ended or self._paces)

    def follow(self, event: Event) -> None:
        now = self.clock()
        if not isinstance(event, Compiling):
            self.compiling.pop(event.run, None)
        match event:
            case Compiling():
                self.compiling[event.run] = now, tuple(event.kernels)
            case Started():
                self.running[event.run] = 0
                self._courses[event.run] = _Course(now, now)
            case Advanced():
                if course := self._courses.get(event.run):
                    course.share, course.told = event.share, now
            case EpochDone():
                self._epoch_done(event, now)
            case Finished():
                self.finished += 1
                self._end(event.run, now)
                measured = self._accuracies.pop(event.run, {})
                if event.kept_epoch in measured:
                    self.accuracy[event.run] = measured[event.kept_epoch]
            case Paused():
                self.finished += 1
                self._end(event.run, now)
            case Failed():
                self.failed += 1
                self.running.pop(event.run, None)
                self._courses.pop(event.run, None)
                self._ended.add(event.run)
            case Lost():
                self.running.pop(event.run, None)
                self._courses.pop(event.run, None)

    def seconds_left(self) -> float | None:
        """How long training takes from now on; ``None`` before anything says how fast it is."""
        now = self.clock()
        paces = self._arm_paces(now)
        if not paces:
            return None
        running = [self._left(run, course, paces, now) for run, course in self._courses.items()]
        known = self.running.keys() | self._ended | self.outlook.ended
        waiting = [run for run in self.outlook.epochs if run not in known][: max(self.queued, 0)]
        queued = [self._pace(run, paces) * self._length(run) + self._extra for run in waiting]
        lanes = max(1, min(self.outlook.num_workers, len(running) + len(queued)))
        if len(queued) > _MANY:
            return (sum(running) + sum(queued)) / lanes
        loads = [*running, *[0.0] * (lanes - len(running))]
        heapq.heapify(loads)
        for seconds in queued:
            heapq.heapreplace(loads, loads[0] + seconds)
        return max(loads, default=0.0)

    def _epoch_done(self, event: EpochDone, now: float) -> None:
        record, arm = event.record, self._arm(event.run)
        course = self._courses.setdefault(event.run, _Course(now, now))
        if record.epoch > course.epochs:
            self._paces.setdefault(arm, collections.deque(maxlen=_RECENT)).append(record.seconds)
            # A resumed run says its earlier epochs again, all at once.
            course.trained += min(record.seconds, now - course.epoch_started)
            if course.share > _MOST and record.seconds > 0:
                part = (course.told - course.epoch_started) / course.share / record.seconds
                self._steps.setdefault(arm, collections.deque(maxlen=_RECENT)).append(min(max(part, 0.1), 1.0))
        course.epochs, course.epoch_started, course.share = record.epoch, now, 0.0
        self.running[event.run] = record.epoch
        self.accuracy[event.run] = record.validation_accuracy
        self._accuracies.setdefault(event.run, {})[record.epoch] = record.validation_accuracy

    def _end(self, run: str, now: float) -> None:
        epochs = self.running.pop(run, 0)
        self._ended.add(run)
        if course := self._courses.pop(run, None):
            self._extras.append(max(0.0, now - course.started - course.trained))
            self._lengths.setdefault(self._arm(run), []).append(epochs)

    def _arm(self, run: str) -> str:
        return self.outlook.arms.get(run, "")

    @property
    def _extra(self) -> float:
        return statistics.median(self._extras) if self._extras else 0.0

    def _arm_paces(self, now: float) -> dict[str, float]:
        """Seconds of an epoch of each arm that has trained."""
        paces = {arm: statistics.fmean(seconds) for arm, seconds in self._paces.items()}
        for run, course in self._courses.items():
            seconds = self._epoch_seconds(self._arm(run), course)
            if self._arm(run) not in paces and seconds is not None:
                paces[self._arm(run)] = seconds
        return paces

    def _epoch_seconds(self, arm: str, course: _Course) -> float | None:
        """How long an epoch takes that is under way, from its steps so far; ``None`` where they say too little.

        What follows the steps, evaluation above all, takes the part that it took in the arm's epochs before.
        """
        if course.share <= _SURE:
            return None
        steps = self._steps.get(arm)
        return (course.told - course.epoch_started) / course.share / (statistics.fmean(steps) if steps else 1.0)

    def _pace(self, run: str, paces: dict[str, float]) -> float:
        arm = self._arm(run)
        if arm in paces:
            return paces[arm]
        return sum(paces.values()) / sum(self._costs.get(one, 1.0) for one in paces) * self._costs.get(arm, 1.0)

    def _length(self, run: str) -> float:
        """Epochs that a run will take: as many as planned, or as those of its arm took that stopped early."""
        planned, lengths = self.outlook.epochs[run], self._lengths.get(self._arm(run))
        return min(planned, statistics.fmean(lengths)) if lengths else planned

    def _left(self, run: str, course: _Course, paces: dict[str, float], now: float) -> float:
        pace = self._pace(run, paces)
        epoch = self._epoch_seconds(self._arm(run), course) or pace
        # Between what runs say of themselves the clock goes on; an epoch that is late is nearly over.
        share = min((now - course.epoch_started) / epoch, _NEARLY) if epoch > 0 else 0.0
        epochs = max(self._length(run), course.epochs + 1 if course.epochs < self.outlook.epochs[run] else 0)
        return max(0.0, (epochs - course.epochs - 1) * pace + (1 - share) * epoch) + self._extra / 2
