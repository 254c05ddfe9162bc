"""Training in the tests' own process, for tests that are not about worker processes."""

from __future__ import annotations

import collections
import io
import json
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from assay.runner import Executor
from assay.runner.events import Event, from_json
from assay.runner.worker import work
from assay.train import Task


class InProcessExecutor(Executor):
    """Trains runs one after another, with a worker's own function, in the process that asks.

    A worker process takes seconds to import PyTorch and to load compiled kernels, a small run takes a fraction of one.
    ``tests/contracts/test_executor.py`` proves that results are those of ``LocalExecutor``, to the bit.

    Args:
        num_workers: Ignored: runs are trained one at a time.
        logs: Ignored: what a worker would log is printed.
        threads: Threads of each run.
    """

    def __init__(self, num_workers: int, logs: Path | None = None, threads: int = 1) -> None:
        self._threads = threads
        self._queue: collections.deque[Task] = collections.deque()

    def submit(self, task: Task) -> None:
        self._queue.append(task)

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        if not self._queue:
            return []
        import torch

        messages = io.StringIO()
        threads_before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with threadpool_limits(self._threads):
                work(self._queue.popleft(), messages, threads=self._threads)
        finally:
            torch.set_num_threads(threads_before)
        return [from_json(json.loads(line)) for line in messages.getvalue().splitlines()]

    def close(self) -> None:
        self._queue.clear()
