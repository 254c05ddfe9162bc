"""The seam between a study and the machines that train its runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..train.task import Task
from .events import Event


class Executor(ABC):
    """Places runs somewhere and tells what becomes of them.

    Every submitted task ends in exactly one Finished, Paused, Failed, Lost or NoSpace, and may be submitted again after
    Lost and Paused: it goes on from its checkpoint.
    """

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Queue a run; tasks start in the order in which they were submitted."""

    @abstractmethod
    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        """Events since the last call, in order for each run; waits for the first one at most ``timeout_seconds``."""

    def recorded(self, task: Task, *, is_finished: bool) -> None:  # noqa: B027
        """The store knows that a task has come to its end: nothing needs to be kept of it elsewhere."""

    @abstractmethod
    def close(self) -> None:
        """Stop at once. Runs in flight lose the epoch that they are in, nothing else."""
