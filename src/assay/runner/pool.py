"""Worker processes that outlive a plan: a search of many short rounds starts them once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..train.task import Task
from .events import Event
from .executor import Executor


@dataclass
class _Lent(Executor):
    """The pool's executor for the time of one plan: giving it back stops nothing."""

    executor: Executor

    def submit(self, task: Task) -> None:
        self.executor.submit(task)

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        return self.executor.poll(timeout_seconds)

    def recorded(self, task: Task, *, is_finished: bool) -> None:
        self.executor.recorded(task, is_finished=is_finished)

    def close(self) -> None:
        pass


@dataclass
class Pool:
    """Workers that are lent to one plan after another; ``num_cores`` is workers times threads, at most."""

    num_cores: int
    _executor: Executor | None = field(default=None, init=False)
    _threads: int = field(default=0, init=False)

    def lend(self, make: Callable[[int, int], Executor], num_workers: int, threads: int) -> Executor:
        """An executor with so many threads in each worker; with others than before, the workers are started anew."""
        if self._executor is None or self._threads != threads:
            self.close()
            self._executor, self._threads = make(max(num_workers, self.num_cores // threads), threads), threads
        return _Lent(self._executor)

    def close(self) -> None:
        """Stop at once, whatever the workers do."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None
