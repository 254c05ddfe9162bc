"""Worker processes that outlive a plan: a study of many short rounds starts them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..train.task import Task
from .events import Event
from .executor import Executor
from .local import LocalExecutor


@dataclass
class _Lent(Executor):
    """The pool's executor for the time of one plan: giving it back stops nothing."""

    executor: Executor

    def submit(self, task: Task) -> None:
        self.executor.submit(task)

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        return self.executor.poll(timeout_seconds)

    def close(self) -> None:
        pass


@dataclass
class Pool:
    """Workers on this machine that are lent to one plan after another.

    Args:
        num_cores: Workers times threads, at most.
        logs: As for ``LocalExecutor``.
    """

    num_cores: int
    logs: Path | None = None
    _executor: LocalExecutor | None = field(default=None, init=False)

    def lend(self, num_workers: int, threads: int) -> Executor:
        """An executor with so many threads in each worker; with others than before, the workers are started anew."""
        if self._executor is None or self._executor.threads != threads:
            self.close()
            self._executor = LocalExecutor(max(num_workers, self.num_cores // threads), self.logs, threads)
        return _Lent(self._executor)

    def close(self) -> None:
        """Stop at once, whatever the workers do."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None
