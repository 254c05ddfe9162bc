"""Runs on a Ray cluster.

The study's process talks, in lines of JSON, to a bridge: a process of its own and the only one with Ray in it, since
Ray ends the process that has lost its cluster. The bridge keeps a queue, and an actor for each slot on the cluster's
machines. The slot hands runs to a worker process beside it, the same as on one machine (``local.LocalExecutor``), and
sends back what it says with the bytes of the files that it writes, or puts these into a folder that all machines reach
(``artifacts.Artifacts``). Only the bridge's machine sees the store.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import queue
import re
import secrets
import selectors
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from .. import disk
from ..data.location import arrays_folder, bases_folder, lock_file
from ..errors import AssayError, ClusterError, ClusterGone, Problem
from ..spec import Arm
from ..train.task import Task
from .artifacts import Artifacts
from .events import Event, Failed, Lost, NoSpace, from_json, to_json
from .executor import Executor
from .local import LocalExecutor
from .worker import CHECKPOINT, WEIGHTS

_ADDRESS = re.compile(r"ray|ray://[^\s/:]+:\d+")
_GOES_ON = ("Started", "EpochDone")  # every other event ends a run
_LONG_POLL_SECONDS = 10.0
_MARGIN = 1.25  # declared memory over that of the worker process: the actor beside it takes some too
_IDLE_SECONDS = 60.0  # after which a slot is given back to the cluster
_STOP_SECONDS = 15.0  # for a slot to clear its machine; one whose machine is gone answers at once
_LOG_BYTES = 1 << 14
_JOINS = 3  # each that fails takes Ray about 40 seconds
_JOIN_SECONDS = 240.0
_GO_ON = "finished epochs are kept: give the same command again once it is back, or finish here with --on local"


# In the study's process. Nothing here imports Ray.


class RayCluster:
    """A connection to a Ray cluster that is there already. Use it as a context; it serves one executor at a time.

    Args:
        address: ``ray``, for the cluster that this machine belongs to or that ``RAY_ADDRESS`` names, or
            ``ray://host:port``, for the client server on a cluster's head.
        logs: Folder for what Ray prints and for the last words of workers; ``None`` discards them.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers there.
    """

    def __init__(self, address: str = "ray", logs: Path | None = None) -> None:
        check_address(address)
        log: int | IO[bytes] = subprocess.DEVNULL
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
            log = (logs / "ray.log").open("ab")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "assay.runner.ray", address, str(logs.absolute() if logs else "")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the study's process, which then closes this one
            )
        finally:
            if not isinstance(log, int):
                log.close()
        assert self._process.stdout is not None
        self._unread = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        try:
            self._about = self._next("cluster", seconds=_JOIN_SECONDS)["cluster"]
        except ClusterGone:
            self.close()
            raise ClusterError(_no_cluster(address)) from None
        except BaseException:
            self.close()
            raise

    @property
    def cores(self) -> int:
        """Cores of all its machines."""
        return int(sum(self._about["cores"]))

    @property
    def machine_cores(self) -> int:
        """Cores of its smallest machine that has any."""
        return int(min(self._about["cores"]))

    @property
    def gpus(self) -> int:
        return int(self._about["gpus"])

    def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: its output ends too, and receive tells
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, timeout_seconds: float) -> list[dict[str, Any]]:
        """What it has said since the last call; waits for something at most so long.

        Raises:
            ClusterGone: Nothing more will come.
            ClusterError: It cannot train here, for a reason that stays.
        """
        assert self._process.stdout is not None
        if not self._selector.select(timeout_seconds):
            return []
        chunk = os.read(self._process.stdout.fileno(), 1 << 20)
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        messages = [json.loads(line) for line in lines]
        if refusals := [message["refusal"] for message in messages if "refusal" in message]:
            raise ClusterError(Problem(*refusals[0]))
        if not chunk:
            raise ClusterGone(f"the Ray cluster does not answer any more; {_GO_ON}.")
        return messages

    def release(self) -> None:
        """Stop everything that was begun and give the cluster's machines back."""
        self.send({"do": "release"})
        with contextlib.suppress(AssayError):
            self._next("released", seconds=_STOP_SECONDS + 10.0)

    def close(self) -> None:
        """End the connection; the cluster goes on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._process.stdout.close()

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _next(self, key: str, *, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self.receive(max(0.0, deadline - time.monotonic())):
                if key in message:
                    return message
        raise ClusterGone("the Ray cluster does not answer")


@dataclass
class RayExecutor(Executor):
    """Worker processes on the machines of a Ray cluster.

    Args:
        cluster: The connection; it is not closed with the executor.
        num_workers: Slots, and so runs, at a time; fewer where the cluster has no room for them.
        threads: Threads in each worker, and cores that a slot declares.
        gpu_share: Share of a GPU that a slot declares.
        memory: Bytes that a run of the task's arm took at its peak, where that is known from an earlier run. Where
            nothing is known, a single slot is started, and the others once its run's first epoch has measured it.
        patience_seconds: What a run must be late, compared with runs of its arm on other machines, before an idle
            slot elsewhere takes it up too, from its last checkpoint. Whichever is first counts: they are the same bits.
        tell: Called with a sentence where the cluster has had no room for any worker for as long.
        artifacts: URL of the folder that checkpoints and weights go through; as messages if empty.
    """

    cluster: RayCluster
    num_workers: int
    threads: int = 1
    gpu_share: float = 0.0
    memory: Callable[[Task], int | None] = lambda task: None
    patience_seconds: float = 30.0
    tell: Callable[[str], None] = lambda sentence: None
    artifacts: str = ""

    def __post_init__(self) -> None:
        self._mark = f".assay-{secrets.token_hex(8)}"
        if self.artifacts:
            Artifacts(self.artifacts).mark(self._mark)
        wanted = ("num_workers", "threads", "gpu_share", "patience_seconds", "artifacts")
        self.cluster.send({"do": "open", **{name: getattr(self, name) for name in wanted}, "mark": self._mark})

    def submit(self, task: Task) -> None:
        self.cluster.send({"do": "submit", "task": task.to_json(), "memory": self.memory(task)})

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        messages = self.cluster.receive(timeout_seconds)
        for message in messages:
            if "note" in message:
                self.tell(message["note"])
        return [from_json(message) for message in messages if "event" in message]

    def recorded(self, task: Task, *, is_finished: bool) -> None:
        if self.artifacts:
            self.cluster.send({"do": "recorded", "task": task.to_json(), "is_finished": is_finished})

    def close(self) -> None:
        self.cluster.release()
        if self.artifacts:
            with contextlib.suppress(AssayError):
                Artifacts(self.artifacts).unmark(self._mark)


def check_address(address: str) -> None:
    """Refuse what is no address, and every address where Ray is not installed."""
    if not _ADDRESS.fullmatch(address):
        raise ClusterError(Problem(f'"{address}" is no place to train', 'give "local", "ray" or "ray://host:port"'))
    if importlib.util.find_spec("ray") is None:
        raise ClusterError(Problem("Ray is not installed", "pip install 'assay[ray]', here and on the cluster"))


def _no_cluster(address: str, why: str = "") -> Problem:
    place = address if address != "ray" else os.environ.get("RAY_ADDRESS") or "this machine"
    fix = "start one (ray start --head), name its client server (--on ray://head:10001), or train with --on local"
    return Problem(f"no Ray cluster answers at {place}{why}", fix)


def is_late(pace: float, elsewhere: float, epochs_left: int, patience_seconds: float) -> bool:
    """Whether a run would end much sooner on another machine.

    Args:
        pace: Seconds an epoch where it is, the one that it is in included.
        elsewhere: Seconds an epoch of its arm's runs on other machines.
        epochs_left: Epochs that it still has to do.
        patience_seconds: Less than this is not worth a second attempt.
    """
    return pace > 2 * elsewhere and epochs_left * (pace - elsewhere) > patience_seconds


# On the cluster's machines.


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
        return {"node": node, "host": platform.node(), "versions": _versions(), "trouble": trouble}

    def begin(self, task: str, checkpoint: bytes | None, files: dict[str, tuple[int, list[Any]]]) -> Any:
        """Take up a run.

        Args:
            task: As JSON; its places are those of the study's machine.
            checkpoint: What to go on from; with a folder for artifacts, what lies there if ``None``.
            files: For each file that the task names (its arrays, its base), by its place, the size, and its content
                where it was asked for.

        Returns:
            As ``go_on``, or ``None`` where this machine lacks the data and they were not sent.
        """
        told = Task.from_json(json.loads(task))
        folder = self._scratch / "run"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            places = _placed(told, files)
            if places is None:
                return None
            if checkpoint is not None:
                disk.write(folder / CHECKPOINT, checkpoint)
            elif self._artifacts:
                self._artifacts.get(told.id, folder / CHECKPOINT)
            self._sent = _stamp(folder / CHECKPOINT)
        except (AssayError, OSError) as error:
            return {"events": [to_json(NoSpace(told.id, str(error)))]}
        values = told.to_json()
        for key in ("images", "labels", "groups", "base"):
            values[key] = values[key] and str(places[values[key]])
        values["published"] = values["published"] and [str(places[path]) for path in values["published"]]
        here = replace(Task.from_json(values), folder=folder)
        self._run = here
        self._executor.submit(here)
        return self.go_on()

    def go_on(self) -> dict[str, Any]:
        """What the worker has said, and the newest of its files: waits for something, but not for ever."""
        with self._is_polling:
            deadline = time.monotonic() + _LONG_POLL_SECONDS
            events: Sequence[Event] = ()
            while not events and not self._is_stopping and time.monotonic() < deadline:
                events = self._executor.poll(0.25)
            told: dict[str, Any] = {"events": [to_json(event) for event in events], "memory": self._memory_bytes()}
        ends = [event for event in events if type(event).__name__ not in _GOES_ON]
        try:
            if any(type(event).__name__ == "Finished" for event in ends):
                told["weights"] = self._brought(self._run.folder / WEIGHTS)
            elif (stamp := _stamp(self._run.folder / CHECKPOINT)) != self._sent and stamp is not None:
                told["checkpoint"] = self._brought(self._run.folder / CHECKPOINT)
                self._sent = stamp
        except ClusterError as error:  # what it would be told of could not be gone on from
            return {**told, "events": [to_json(NoSpace(self._run.id, str(error)))]}
        if any(isinstance(event, Lost) or getattr(event, "state", "") == "failed" for event in ends):
            told["words"] = _last_words(self._scratch / "logs")
        return told

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
    with disk.telling(arrays_folder(content), "written"), disk.locked(lock_file("prepare", content)):
        for path in lacking():  # another slot of this machine may have been first
            places[path].parent.mkdir(parents=True, exist_ok=True)
            with disk.replacing(places[path]) as file:
                file.write(ray.get(files[path][1][0]).data)
    return places


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
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _last_words(logs: Path) -> str:
    return "".join(path.read_bytes()[-_LOG_BYTES:].decode(errors="replace") for path in sorted(logs.glob("*.log")))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("assay", "torch", "numpy", "ray")}


# In the bridge.


@dataclass
class _Job:
    task: dict[str, Any]
    memory: int | None
    is_over: bool = False

    @property
    def run(self) -> str:
        return str(self.task["id"])

    @property
    def arm(self) -> str:
        """What runs have in common that take as long."""
        arm = self.task["arm"]
        return json.dumps([arm["layers"], arm.get("base"), arm["training"]])

    @property
    def folder(self) -> Path:
        return Path(self.task["folder"])

    @property
    def epochs(self) -> int:
        return int(self.task.get("pause_after") or Arm.of(self.task["arm"]).training.planned_epochs)


@dataclass(eq=False)
class _Place:
    """A slot as the bridge sees it. What a second attempt says is held back until it is the first to end."""

    actor: Any
    memory: int
    about: dict[str, Any] = field(default_factory=dict)  # empty until it has started
    job: _Job | None = None
    is_second: bool = False
    held: list[dict[str, Any]] = field(default_factory=list)
    heard: float = 0.0
    epochs: int = 0

    @property
    def is_idle(self) -> bool:
        return bool(self.about) and self.job is None


class _Bridge:
    def __init__(self, pipe: IO[str], logs: Path | None) -> None:
        import ray

        self._ray = ray
        self._pipe, self._logs = pipe, logs
        self._pipe_lock = threading.Lock()
        self.inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._disks = ThreadPoolExecutor(16)
        self._actor = ray.remote(Slot)
        self._places: list[_Place] = []
        self._queue: collections.deque[_Job] = collections.deque()
        self._paces: dict[str, list[tuple[str, float]]] = {}  # by arm: machine and seconds an epoch
        self._files: dict[Path, list[Any]] = {}
        self._full: set[str] = set()
        self._measured = 0
        self._num_failed_starts = 0
        self._since = time.monotonic()  # when a slot was last there; 0 once it has been said that none is
        self._wanted: dict[str, Any] = {}
        self._artifacts: Artifacts | None = None
        self._twice: set[str] = set()  # runs that two slots may have written artifacts of
        self._finished: set[str] = set()

    def tell(self, *messages: dict[str, Any], unless_over: _Job | None = None) -> None:
        with self._pipe_lock:
            if unless_over is not None and unless_over.is_over:
                return
            self._pipe.write("".join(json.dumps(message) + "\n" for message in messages))
            self._pipe.flush()

    def cluster(self) -> dict[str, Any]:
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cores = [int(machine["CPU"]) for machine in machines if machine.get("CPU", 0) >= 1]
        return {"cores": cores, "gpus": int(sum(machine.get("GPU", 0) for machine in machines))}

    def work(self) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "message": self._message, "started": self._started, "told": self._told, "kept": self._kept,
        }  # fmt: skip
        looked = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                kind, *values = self.inbox.get(timeout=1.0)
                handlers[kind](*values)
                self._fill()
            if time.monotonic() - looked > 1.0:
                self._help()
                looked = time.monotonic()

    def _message(self, message: dict[str, Any]) -> None:
        match message.pop("do"):
            case "open":
                self._wanted = message
                self._artifacts = Artifacts(message["artifacts"]) if message["artifacts"] else None
            case "submit":
                self._queue.append(_Job(message["task"], message["memory"]))
                self._measured = max(self._measured, message["memory"] or 0)
            case "recorded":
                self._recorded(_Job(message["task"], None), message["is_finished"])
            case "release":
                self._release()

    def _recorded(self, job: _Job, is_finished: bool) -> None:
        """The store knows of a run's end. What it may go on from one day comes into the store's folder."""
        if self._artifacts is None:
            return
        if is_finished:
            self._finished.add(job.run)
            self._disks.submit(self._clear, [job.run])
            return
        with contextlib.suppress(AssayError):  # then it stays where it is
            self._artifacts.get(job.run, job.folder / CHECKPOINT)
            self._artifacts.remove(job.run)

    def _clear(self, runs: Iterable[str]) -> None:
        assert self._artifacts is not None
        for run in runs:
            try:
                self._artifacts.remove(run)
            except AssayError as error:
                print(error, file=sys.stderr, flush=True)

    def leave(self) -> None:
        """Take away what the study's process has left for the slots, should it have been killed."""
        if self._artifacts is not None:
            with contextlib.suppress(AssayError):
                self._artifacts.unmark(self._wanted["mark"])

    # Slots.

    def _fill(self) -> None:
        """Hand out what is queued, and start slots for the rest of it."""
        while self._queue and (place := next((place for place in self._places if place.is_idle), None)):
            if place.memory < self._measured:  # declared before it was known what runs take
                self._dismiss(place)
            else:
                self._begin(place, self._queue.popleft())
        starting = sum(not place.about for place in self._places)
        wanted = self._wanted.get("num_workers", 0) if self._measured else 1
        if (lacking := min(wanted - len(self._places), len(self._queue) - starting)) <= 0:
            return
        memory = int(_MARGIN * self._measured)
        options: dict[str, Any] = {"num_cpus": self._wanted["threads"], "max_concurrency": 2}
        if memory:
            options["memory"] = min(memory, self._largest_memory())
        if self._wanted["gpu_share"]:
            options["num_gpus"] = self._wanted["gpu_share"]
        if self._full:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(self._full))})"}
        for _ in range(lacking):
            arguments = (self._wanted["threads"], self._wanted["artifacts"], self._wanted["mark"])
            place = _Place(self._actor.options(**options).remote(*arguments), memory)
            self._places.append(place)
            self._later("started", place, place.actor.about.remote())

    def _largest_memory(self) -> int:
        return int(max((node["Resources"].get("memory", 0) for node in self._ray.nodes() if node["Alive"]), default=0))

    def _started(self, place: _Place, about: Any) -> None:
        if place not in self._places:
            return
        if isinstance(about, BaseException):
            print(about, file=sys.stderr, flush=True)
            # A machine may go while it starts one; what the slot itself raises would be raised everywhere.
            is_lost = isinstance(about, self._ray.exceptions.RayActorError) and "creation task" not in str(about)
            self._num_failed_starts += not is_lost
            self._dismiss(place)
            if self._num_failed_starts >= 3:
                what = f"no worker can start on the cluster ({_short(about)})"
                self.refuse(what, "install the same Assay, with the same packages, on all its machines")
            return
        self._num_failed_starts = 0
        mine = _versions()
        if other := {name: theirs for name, theirs in about["versions"].items() if theirs != mine[name]}:
            told = ", ".join(f"{name} {theirs} (here {mine[name]})" for name, theirs in other.items())
            self.refuse(
                f"machine {about['host']} of the cluster has {told}", "install the same versions on all of them"
            )
        if about["trouble"]:
            what = f"machine {about['host']} of the cluster cannot use {self._wanted['artifacts']} ({about['trouble']})"
            self.refuse(what, "give an address that all machines reach, or leave --artifacts out")
        place.about, place.heard = about, time.monotonic()

    def refuse(self, what: str, fix: str) -> None:
        """Say why nothing can be trained here, and end."""
        self.tell({"refusal": [what, fix]})
        os._exit(0)

    def _dismiss(self, place: _Place) -> None:
        self._places.remove(place)
        place.job = None
        self._disks.submit(self._stop, [place])

    def _stop(self, places: list[_Place]) -> None:
        stopped = [place.actor.stop.remote() for place in places if place.about]
        with contextlib.suppress(Exception):
            self._ray.wait(stopped, num_returns=len(stopped), timeout=_STOP_SECONDS)
        for place in places:
            with contextlib.suppress(Exception):
                self._ray.kill(place.actor)

    def _release(self) -> None:
        self._queue.clear()
        self._files.clear()
        self._measured = 0
        places, self._places = self._places, []
        self._stop(places)
        self._disks.shutdown(wait=True)
        self._disks = ThreadPoolExecutor(16)
        if self._artifacts is not None:
            self._clear(self._twice & self._finished)  # the slot that was second may have been writing still
        self._twice.clear()
        self._finished.clear()
        self.tell({"released": True})

    # Runs.

    def _begin(self, place: _Place, job: _Job, *, is_second: bool = False, with_files: bool = False) -> None:
        try:
            files = {path: self._file(Path(path), with_files) for path in _files(job.task)}
        except OSError as error:
            what = f"the data cannot be read ({error})"
            self.tell(to_json(Failed(job.run, "failed", what, "run the study again, which prepares them anew")))
            return
        checkpoint = None
        with contextlib.suppress(OSError):
            checkpoint = (job.folder / CHECKPOINT).read_bytes()
        place.job, place.is_second, place.held = job, is_second, []
        if is_second:
            self._twice.add(job.run)
        place.heard, place.epochs = time.monotonic(), 0
        self._later("told", place, place.actor.begin.remote(json.dumps(job.task), checkpoint, files), job)

    def _file(self, path: Path, with_content: bool) -> tuple[int, list[Any]]:
        import numpy as np

        if with_content and path not in self._files:
            self._files[path] = [self._ray.put(np.fromfile(path, np.uint8))]
        return path.stat().st_size, self._files[path] if with_content else []

    def _later(self, kind: str, place: _Place, reference: Any, *more: Any) -> None:
        """Puts what a slot answers, or the error instead of it, into the inbox."""

        def put(ended: Any) -> None:
            error = ended.exception()
            self.inbox.put((kind, place, ended.result() if error is None else error, *more))

        reference.future().add_done_callback(put)

    def _told(self, place: _Place, told: Any, job: _Job) -> None:
        if place.job is not job or place not in self._places:
            return  # it was dismissed, or has been given something else
        if told is None:
            self._begin(place, job, is_second=place.is_second, with_files=True)
        elif isinstance(told, BaseException):
            self._bury(place, told)
        else:
            self._hear(place, job, told)

    def _hear(self, place: _Place, job: _Job, told: dict[str, Any]) -> None:
        place.heard = time.monotonic()
        events = told["events"]
        ending = next((event for event in events if event["event"] not in _GOES_ON), None)
        for event in events:
            if event["event"] == "Started":
                about = {"version": place.about["versions"]["ray"], "host": place.about["host"]}
                event["environment"]["ray"] = {**about, "declared_memory_bytes": place.memory}
            elif event["event"] == "EpochDone":
                self._measured = max(self._measured, told.get("memory", 0))
                place.epochs = event["record"]["epoch"]
                self._paces.setdefault(job.arm, []).append((place.about["node"], event["record"]["seconds"]))
                del self._paces[job.arm][:-50]
        if ending is None:
            if place.is_second:
                place.held += events
                self._kept(place, job)
            else:
                self._keep(place, job, told, events)
            return
        if ending["event"] in ("Lost", "NoSpace") and self._give_back(place, job, ending, told):
            return
        for other in [other for other in self._places if other.job is job and other is not place]:
            self._dismiss(other)
        place.job = None
        job.is_over = True
        self._keep(None, job, told, [*place.held, *events])

    def _give_back(self, place: _Place, job: _Job, ending: dict[str, Any], told: dict[str, Any]) -> bool:
        """An attempt has ended for a reason that lies in its machine. Whether there is nothing more to say of it."""
        if ending["event"] == "NoSpace":
            self._full.add(place.about["node"])
            self._dismiss(place)
            if not self._are_all_full():
                reason = f"the disk of machine {place.about['host']} is full"
                told["events"][-1] = to_json(Lost(job.run, reason, is_memory=False, is_machine=True))
        other = next((other for other in self._places if other.job is job and other is not place), None)
        if other is None:
            return False
        place.job = None
        self._promote(other, job)
        return True

    def _promote(self, second: _Place, job: _Job) -> None:
        if second.is_second:
            second.is_second = False
            self.tell(*second.held)
            second.held = []

    def _are_all_full(self) -> bool:
        machines = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        return all(node["NodeID"] in self._full for node in machines)

    def _bury(self, place: _Place, error: BaseException) -> None:
        """A slot is gone, with its machine or because Ray took its memory back."""
        job = place.job
        assert job is not None
        print(error, file=sys.stderr, flush=True)
        self._dismiss(place)
        other = next((other for other in self._places if other.job is job), None)
        if other is not None:
            self._promote(other, job)
            return
        is_memory = "memory" in str(error)
        why = "it took more memory than its machine had left" if is_memory else "its machine does not answer"
        self.tell(to_json(Lost(job.run, f"{why} ({place.about['host']})", is_memory, is_machine=not is_memory)))

    def _keep(self, place: _Place | None, job: _Job, told: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Write what came with the events, then tell them; other threads do it, since disks take their time."""

        def keep() -> None:
            if place is not None and job.is_over:  # another attempt was the first to end
                return
            try:
                if self._artifacts is not None:
                    self._fetch(job, told)
                else:
                    for key, name in (("checkpoint", CHECKPOINT), ("weights", WEIGHTS)):
                        if key in told:
                            disk.write(job.folder / name, told[key])
                if told.get("words") and self._logs is not None:
                    with (self._logs / "ray.log").open("a") as log:
                        log.write(f"last words of the worker of run {job.run}:\n{told['words']}\n")
            except (AssayError, OSError) as error:
                self.tell(to_json(NoSpace(job.run, str(error))))
                return
            self.tell(*events, unless_over=job if place is not None else None)
            if place is not None:
                self.inbox.put(("kept", place, job))

        if told.keys() & {"checkpoint", "weights", "words"}:
            self._disks.submit(keep)
        else:
            keep()

    def _fetch(self, job: _Job, told: dict[str, Any]) -> None:
        """Bring weights from the folder for artifacts; a checkpoint stays there, and no older one counts any more."""
        assert self._artifacts is not None
        if "checkpoint" in told:
            (job.folder / CHECKPOINT).unlink(missing_ok=True)
        if "weights" in told:
            file = job.folder / WEIGHTS
            wanted = told["events"][-1]["weights_sha256"]
            if not self._artifacts.get(job.run, file) or _sha256(file) != wanted:
                fix = "see that nobody else writes there"
                raise ClusterError(Problem(f"weights of run {job.run} at {self._artifacts.url} are not whole", fix))

    def _kept(self, place: _Place, job: _Job) -> None:
        if place.job is job and place in self._places:
            self._later("told", place, place.actor.go_on.remote(), job)

    # Slow machines.

    def _tell_of_waiting(self) -> None:
        """Say so once where nothing has been placed for some time."""
        if any(place.about for place in self._places) or not self._places:
            self._since = time.monotonic()
        elif self._since and time.monotonic() - self._since > self._wanted["patience_seconds"]:
            self._since = 0.0
            cores, memory = self._wanted["threads"], self._places[0].memory >> 20
            room = f"{cores} {'core' if cores == 1 else 'cores'}" + (f" and {memory} MiB of memory" if memory else "")
            self.tell({"note": f"waiting for the cluster to have room for a worker with {room}"})

    def _help(self) -> None:
        """Where nothing is queued, let idle slots take up runs that are late on other machines too."""
        self._tell_of_waiting()
        idle = [place for place in self._places if place.is_idle]
        running = collections.Counter(place.job.run for place in self._places if place.job)
        if self._queue or not idle:
            return
        for late in [place for place in self._places if place.job and running[place.job.run] == 1]:
            helper = next((place for place in idle if place.about["node"] != late.about["node"]), None)
            if helper is not None and self._is_late(late):
                idle.remove(helper)
                assert late.job is not None
                self._begin(helper, late.job, is_second=True)
        for place in idle:
            if time.monotonic() - place.heard > _IDLE_SECONDS:
                self._dismiss(place)

    def _is_late(self, place: _Place) -> bool:
        job = place.job
        assert job is not None
        paces = self._paces.get(job.arm, [])
        here = [seconds for node, seconds in paces if node == place.about["node"]]
        elsewhere = [seconds for node, seconds in paces if node != place.about["node"]]
        if not elsewhere:
            return False
        pace = max(time.monotonic() - place.heard, here[-1] if here else 0.0)
        left = max(1, job.epochs - place.epochs)
        return is_late(pace, statistics.median(elsewhere), left, self._wanted["patience_seconds"])


def _files(task: dict[str, Any]) -> list[str]:
    """What a task needs of the study's machine, and what therefore travels."""
    return [
        path
        for path in (*(task[key] for key in ("images", "labels", "groups", "base")), *(task["published"] or ()))
        if path
    ]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _join(init: Callable[[], Any]) -> None:
    """Connect, again where a client server's process has died as it began.

    The client server forks it while threads of its own are in gRPC, which the new process does not always survive
    (https://github.com/ray-project/ray/issues/63202).
    """
    for left in reversed(range(_JOINS)):
        try:
            init()
            return
        except ConnectionAbortedError:
            if not left:
                raise
            time.sleep(1.0)


def bridge(address: str, logs: str) -> None:
    """Serve one study: see the module's first lines."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints: only messages may reach the pipe
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "30")
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "30")

    import ray

    where = (os.environ.get("RAY_ADDRESS") or "auto") if address == "ray" else address
    try:
        _join(lambda: ray.init(where, log_to_driver=False, namespace="assay", logging_level=logging.WARNING))
    except Exception as error:
        problem = _no_cluster(address, f" ({_short(error)})")
        pipe.write(json.dumps({"refusal": [problem.what, problem.fix]}) + "\n")
        pipe.flush()
        return
    served = _Bridge(pipe, Path(logs) if logs else None)
    about = served.cluster()
    if not about["cores"]:
        served.refuse("the Ray cluster has no machine with a core", "add one: ray start --address=HEAD:6379")
    served.tell({"cluster": about})

    def listen() -> None:
        for line in sys.stdin:
            served.inbox.put(("message", json.loads(line)))
        served.leave()
        os._exit(0)  # the study's process is gone; Ray ends what this one had begun

    def watch() -> None:
        while True:
            time.sleep(5.0)
            try:
                ray.nodes()  # where the cluster is gone, Ray ends this process by itself
            except Exception:
                os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    served.work()


if __name__ == "__main__":
    from assay.runner import ray as module  # the slots' machines import it by this name

    module.bridge(*sys.argv[1:3])
