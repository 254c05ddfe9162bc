"""What a tracker is asked to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..train.epochs import EpochRecord


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers show it.

    Args:
        id: The run's id: the same run is not logged twice.
        study: Its study's name.
        arm: Its arm's name.
        name: Arm, seed and fold.
        settings: Network, training, data and seed by name, as texts and numbers.
    """

    id: str
    study: str
    arm: str
    name: str
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class Tracker(ABC):
    """Shows runs. ``begin`` comes first for each run; several runs may be open at a time."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it logs, for people."""

    @abstractmethod
    def begin(self, run: TrackedRun) -> None:
        """Open a run, or one that is there already."""

    @abstractmethod
    def epoch(self, run: TrackedRun, record: EpochRecord) -> None:
        """Log what was measured after an epoch; epochs that are there already are left."""

    @abstractmethod
    def end(self, run: TrackedRun, state: str, scores: Mapping[str, float]) -> None:
        """Log a run's scores and close it."""

    @abstractmethod
    def answer(self, study: str, text: str) -> None:
        """Note what the study's runs answer, in words."""

    def close(self) -> None:  # noqa: B027
        """End: nothing is logged any more."""
