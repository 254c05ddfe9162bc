"""Runs side by side on this machine: one worker process a core, one thread each."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..system import Lines, ending
from ..train.task import Task
from .events import Event, Lost, from_json
from .executor import Executor

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    task: Task | None = None


@dataclass
class LocalExecutor(Executor):
    """Worker processes on this machine.

    Args:
        num_workers: Processes, and so runs, at a time.
        logs: Folder for what workers print; ``None`` discards it.
        threads: Threads in each worker.
    """

    num_workers: int
    logs: Path | None = None
    threads: int = 1
    _queue: collections.deque[Task] = field(default_factory=collections.deque, init=False)
    _workers: list[_Worker] = field(default_factory=list, init=False)
    _lines: Lines[_Worker] = field(default_factory=Lines, init=False)

    @property
    def pids(self) -> list[int]:
        """Its worker processes."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, task: Task) -> None:
        self._queue.append(task)
        self._hand_out()

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        events: list[Event] = []
        for worker, line in self._lines.wait(timeout_seconds):
            if worker in self._workers:
                events += self._reap(worker) if line is None else [self._heard(worker, from_json(json.loads(line)))]
        self._hand_out()
        return events

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            self._dismiss(worker)
        self._workers.clear()
        self._queue.clear()

    def _hand_out(self) -> None:
        while self._queue:
            worker = next((worker for worker in self._workers if worker.task is None), None)
            if worker is None:
                if len(self._workers) >= self.num_workers:
                    return
                worker = self._start()
            worker.task = self._queue.popleft()
            message = json.dumps(worker.task.to_json()) + "\n"
            assert worker.process.stdin is not None
            try:
                worker.process.stdin.write(message.encode())
                worker.process.stdin.flush()
            except OSError:  # a broken pipe, for which Windows has another error
                pass  # it has died: its output ends too, and poll tells

    def _start(self) -> _Worker:
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(self.threads))}
        log: int | object = subprocess.DEVNULL
        if self.logs is not None:
            # Without its parents: a store that was moved is not made again.
            with contextlib.suppress(FileNotFoundError):
                self.logs.mkdir(exist_ok=True)
                log = (self.logs / f"worker-{len(self._workers) + 1}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "assay.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,  # type: ignore[arg-type]
            env=environment,
        )
        if not isinstance(log, int):
            log.close()  # type: ignore[attr-defined]
        worker = _Worker(process)
        self._workers.append(worker)
        assert process.stdout is not None
        self._lines.add(worker, process.stdout)
        return worker

    @staticmethod
    def _heard(worker: _Worker, event: Event) -> Event:
        if type(event).__name__ in ("Finished", "Paused", "Failed", "NoSpace"):
            worker.task = None
        return event

    def _reap(self, worker: _Worker) -> list[Event]:
        """A worker has ended: what it was training is lost, another worker may take its place."""
        self._workers.remove(worker)
        self._dismiss(worker)
        if worker.task is None:
            return []
        reason, is_memory = ending(worker.process.returncode)
        return [Lost(worker.task.id, reason, is_memory)]

    def _dismiss(self, worker: _Worker) -> None:
        assert worker.process.stdin is not None
        with contextlib.suppress(OSError):
            worker.process.stdin.close()
        worker.process.wait()
