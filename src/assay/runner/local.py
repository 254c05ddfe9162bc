"""Runs side by side on this machine: one worker process a core, one thread each."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..train.task import Task
from .events import Event, Lost, from_json
from .executor import Executor

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    task: Task | None = None
    unread: bytes = b""


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
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector, init=False)

    @property
    def pids(self) -> list[int]:
        """Its worker processes."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, task: Task) -> None:
        self._queue.append(task)
        self._hand_out()

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        events: list[Event] = []
        for key, _ in self._selector.select(timeout_seconds):
            events += self._read(key.data)
        self._hand_out()
        return events

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            self._dismiss(worker)
        self._workers.clear()
        self._queue.clear()
        self._selector.close()

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
            except BrokenPipeError:
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
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _read(self, worker: _Worker) -> list[Event]:
        assert worker.process.stdout is not None
        chunk = os.read(worker.process.stdout.fileno(), 1 << 16)
        if not chunk:
            return self._reap(worker)
        *lines, worker.unread = (worker.unread + chunk).split(b"\n")
        events = [from_json(json.loads(line)) for line in lines]
        for event in events:
            if type(event).__name__ in ("Finished", "Paused", "Failed", "NoSpace"):
                worker.task = None
        return events

    def _reap(self, worker: _Worker) -> list[Event]:
        """A worker has ended: what it was training is lost, another worker may take its place."""
        self._workers.remove(worker)
        self._dismiss(worker)
        if worker.task is None:
            return []
        code = worker.process.returncode
        if code == -signal.SIGKILL:
            reason, is_memory = "its process was killed, which systems do when memory runs out", True
        elif code < 0:
            reason, is_memory = f"its process ended by signal {signal.Signals(-code).name}", False
        else:
            reason, is_memory = f"its process ended with code {code}", False
        return [Lost(worker.task.id, reason, is_memory)]

    def _dismiss(self, worker: _Worker) -> None:
        for stream in (worker.process.stdout, worker.process.stdin):
            if stream is not None:
                if stream is worker.process.stdout:
                    self._selector.unregister(stream)
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        worker.process.wait()
