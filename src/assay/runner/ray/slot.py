"""On a cluster's machines: a worker slot, which is a Ray actor with one worker process beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ... import disk
from ...data.location import arrays_folder, bases_folder, lock_file
from ...errors import AssayError, ClusterError
from ...train.task import FILES, Task
from ..artifacts import Artifacts
from ..events import TRANSIENT, Event, Lost, NoSpace, to_json
from ..local import LocalExecutor
from ..worker import CHECKPOINT, WEIGHTS

CONTINUES = ("Started", "EpochDone")  # every other event ends a run
_LONG_POLL_SECONDS = 10.0
_LOG_BYTES = 1 << 14


class Slot:
    """A worker slot on one of the cluster's machines: a Ray actor with one worker process beside it.

    Args:
        threads: Threads in the worker process.
        artifacts: URL of the folder for its files; they are sent as messages if empty.
        mark: Name of what the study's machine has written there.
    """

    def __init__(self, threads: int, artifacts: str = "", mark: str = "") -> None:
        _sweep()
        self._artifacts, self._mark = Artifacts(artifacts) if artifacts else None, mark
        self._scratch = Path(tempfile.mkdtemp(prefix=f"{_scratch_name()}{os.getpid()}-"))
        self._executor = LocalExecutor(1, logs=self._scratch / "logs", threads=threads)
        self._sent: tuple[int, int] | None = None  # which checkpoint
        self._is_stopping = False
        self._is_polling = threading.Lock()

    def about(self) -> dict[str, Any]:
        import platform

        import ray

        node = ray.get_runtime_context().get_node_id()
        trouble = self._artifacts.why_not(self._mark) if self._artifacts else ""
        return {"node": node, "host": platform.node(), "versions": versions(), "trouble": trouble}

    def begin(self, task: str, checkpoint: bytes | None, files: dict[str, tuple[int, list[Any]]]) -> Any:
        """Take up a run.

        Args:
            task: As JSON; its places are those of the study's machine.
            checkpoint: What to go on from; with a folder for artifacts, what lies there if ``None``.
            files: For each file that the task names (its arrays, its base), by its place, the size, and its content
                where it was asked for.

        Returns:
            As ``step``, or ``None`` where this machine lacks the data and they were not sent.
        """
        run = Task.from_json(json.loads(task))
        folder = self._scratch / "run"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            places = _placed(run, files)
            if places is None:
                return None
            if checkpoint is not None:
                disk.write(folder / CHECKPOINT, checkpoint)
            elif self._artifacts:
                self._artifacts.get(run.id, folder / CHECKPOINT)
            self._sent = _stamp(folder / CHECKPOINT)
        except (AssayError, OSError) as error:
            return {"events": [to_json(NoSpace(run.id, str(error)))]}
        values = run.to_json()
        for key in FILES:
            values[key] = values[key] and str(places[values[key]])
        values["published"] = values["published"] and [str(places[path]) for path in values["published"]]
        here = replace(Task.from_json(values), folder=folder)
        self._run = here
        self._executor.submit(here)
        return self.step()

    def step(self) -> dict[str, Any]:
        """The worker's events since the last step, and its newest files; waits for one, but not for ever."""
        with self._is_polling:
            deadline = time.monotonic() + _LONG_POLL_SECONDS
            events: Sequence[Event] = ()
            while not events and not self._is_stopping and time.monotonic() < deadline:
                events = [event for event in self._executor.poll(0.25) if not isinstance(event, TRANSIENT)]
            message: dict[str, Any] = {
                "events": [to_json(event) for event in events],
                "memory": self._memory_bytes(),
                "left": _memory_left(),
            }
        ends = [event for event in events if type(event).__name__ not in CONTINUES]
        try:
            if any(type(event).__name__ == "Finished" for event in ends):
                message["weights"] = self._brought(self._run.folder / WEIGHTS)
            elif (stamp := _stamp(self._run.folder / CHECKPOINT)) != self._sent and stamp is not None:
                message["checkpoint"] = self._brought(self._run.folder / CHECKPOINT)
                self._sent = stamp
        except ClusterError as error:  # the run could not be resumed from what the message names
            return {**message, "events": [to_json(NoSpace(self._run.id, str(error)))]}
        if any(isinstance(event, Lost) or getattr(event, "state", "") == "failed" for event in ends):
            message["words"] = _last_words(self._scratch / "logs")
        return message

    def stop(self) -> None:
        """End the worker and leave nothing behind."""
        self._is_stopping = True
        with self._is_polling:
            self._executor.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _brought(self, file: Path) -> bytes | None:
        """A file's content, to be sent; ``None`` where it lies in the folder for artifacts now."""
        if self._artifacts is None:
            return file.read_bytes()
        self._artifacts.put(self._run.id, file)
        return None

    def _memory_bytes(self) -> int:
        """The most that the worker process has taken so far."""
        import psutil

        peak = 0
        for pid in self._executor.pids:
            with contextlib.suppress(psutil.Error, OSError):
                peak = max(peak, psutil.Process(pid).memory_info().rss)
                status = Path(f"/proc/{pid}/status").read_text()  # Linux keeps the peak
                peak = max(peak, *(1024 * int(kibibytes) for kibibytes in re.findall(r"VmHWM:\s*(\d+)", status)))
        return peak


def _placed(task: Task, files: dict[str, tuple[int, list[Any]]]) -> dict[str, Path] | None:
    """A task's files among this machine's prepared data, put there if need be; ``None`` for lack of them.

    All of them are named by what they hold, and are whole or absent.
    """
    import ray

    folders = {str(task.base): bases_folder()}
    content = task.images.parent.name
    places = {path: folders.get(path, arrays_folder(content)) / Path(path).name for path in files}

    def lacking() -> list[str]:
        return [path for path, here in places.items() if not here.exists() or here.stat().st_size != files[path][0]]

    if not lacking():
        return places
    if not all(box for _, box in files.values()):
        return None
    with disk.disk_errors(arrays_folder(content), "written"), disk.locked(lock_file("prepare", content)):
        for path in lacking():  # another slot of this machine may have been first
            places[path].parent.mkdir(parents=True, exist_ok=True)
            with disk.replacing(places[path]) as file:
                file.write(ray.get(files[path][1][0]).data)
    return places


def _memory_left() -> list[int]:
    """Bytes of memory that this machine has left, and has."""
    import psutil

    memory = psutil.virtual_memory()
    return [int(memory.available), int(memory.total)]


def _scratch_name() -> str:
    return f"assay-slot-{os.getuid() if hasattr(os, 'getuid') else 0}-"


def _sweep() -> None:
    """Remove what killed slots have left on this machine."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{_scratch_name()}*-*"):
        pid = folder.name.removeprefix(_scratch_name()).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is replaced."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _last_words(logs: Path) -> str:
    return "".join(path.read_bytes()[-_LOG_BYTES:].decode(errors="replace") for path in sorted(logs.glob("*.log")))


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("assay", "torch", "numpy", "ray")}
