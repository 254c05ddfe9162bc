"""What the bridge does: it queues runs and places them on slots."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import queue
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from ... import disk
from ...errors import AssayError, ClusterError, Problem
from ...numerals import counted
from ...train.task import FILES, RUN_LEVELS
from ..artifacts import Artifacts
from ..events import Failed, Lost, NoSpace, to_json
from ..worker import CHECKPOINT, WEIGHTS
from .cluster import STOP_SECONDS
from .jobs import Job, Place, is_late
from .losses import why_lost
from .slot import CONTINUES, Slot, versions

_MARGIN = 1.25  # declared memory over that of the worker process: the actor beside it takes some too
_IDLE_SECONDS = 60.0  # after which a slot is given back to the cluster


class Bridge:
    def __init__(
        self, pipe: IO[str], logs: Path | None, inbox: queue.SimpleQueue[tuple[Any, ...]] | None = None
    ) -> None:
        import ray

        self._ray = ray
        self._pipe, self._logs = pipe, logs
        self._pipe_lock = threading.Lock()
        self.inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue() if inbox is None else inbox
        self._disks = ThreadPoolExecutor(16)
        self._actor = ray.remote(Slot)
        self._places: list[Place] = []
        self._queue: collections.deque[Job] = collections.deque()
        self._paces: dict[str, list[tuple[str, float]]] = {}  # by arm: machine and seconds an epoch
        self._files: dict[Path, list[Any]] = {}
        self._full: set[str] = set()
        self._measured = 0
        self._num_failed_starts = 0
        self._since = time.monotonic()  # when a slot was last there; 0 once a note has said that none is
        self._wanted: dict[str, Any] = {}
        self._artifacts: Artifacts | None = None
        self._twice: set[str] = set()  # runs that two slots may have written artifacts of
        self._finished: set[str] = set()

    def send(self, *messages: dict[str, Any], unless_over: Job | None = None) -> None:
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
            "message": self._message, "started": self._started, "answered": self._answered, "kept": self._kept,
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
                self._queue.append(Job(message["task"], message["memory"]))
                self._measured = max(self._measured, message["memory"] or 0)
            case "recorded":
                self._recorded(Job(message["task"], None), message["is_finished"])
            case "release":
                self._release()

    def _recorded(self, job: Job, is_finished: bool) -> None:
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
            place = Place(self._actor.options(**options).remote(*arguments), memory)
            self._places.append(place)
            self._later("started", place, place.actor.about.remote())

    def _largest_memory(self) -> int:
        return int(max((node["Resources"].get("memory", 0) for node in self._ray.nodes() if node["Alive"]), default=0))

    def _started(self, place: Place, about: Any) -> None:
        if place not in self._places:
            return
        if isinstance(about, BaseException):
            print(about, file=sys.stderr, flush=True)
            # A machine may go while it starts one; what the slot itself raises would be raised everywhere.
            is_lost = isinstance(about, self._ray.exceptions.RayActorError) and "creation task" not in str(about)
            self._num_failed_starts += not is_lost
            self._dismiss(place)
            if self._num_failed_starts >= 3:
                what = f"no worker can start on the cluster ({short(about)})"
                self.refuse(what, "install the same Assay, with the same packages, on all its machines")
            return
        self._num_failed_starts = 0
        here = versions()
        if other := {name: theirs for name, theirs in about["versions"].items() if theirs != here[name]}:
            differences = ", ".join(f"{name} {theirs} (here {here[name]})" for name, theirs in other.items())
            self.refuse(
                f"machine {about['host']} of the cluster has {differences}", "install the same versions on all of them"
            )
        if about["trouble"]:
            what = f"machine {about['host']} of the cluster cannot use {self._wanted['artifacts']} ({about['trouble']})"
            self.refuse(what, "give an address that all machines reach, or leave --artifacts out")
        place.about, place.heard = about, time.monotonic()

    def refuse(self, what: str, fix: str) -> None:
        """Say why nothing can be trained here, and end."""
        self.send({"refusal": [what, fix]})
        os._exit(0)

    def _dismiss(self, place: Place) -> None:
        self._places.remove(place)
        place.job = None
        self._disks.submit(self._stop, [place])

    def _stop(self, places: list[Place]) -> None:
        stopped = [place.actor.stop.remote() for place in places if place.about]
        with contextlib.suppress(Exception):
            self._ray.wait(stopped, num_returns=len(stopped), timeout=STOP_SECONDS)
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
        self.send({"released": True})

    # Runs.

    def _begin(self, place: Place, job: Job, *, is_second: bool = False, with_files: bool = False) -> None:
        try:
            files = {path: self._file(Path(path), with_files) for path in _files(job.task)}
        except OSError as error:
            what = f"the data cannot be read ({error})"
            self.send(to_json(Failed(job.run, "failed", what, "run the study again, which prepares them anew")))
            return
        checkpoint = None
        with contextlib.suppress(OSError):
            checkpoint = (job.folder / CHECKPOINT).read_bytes()
        place.job, place.is_second, place.held = job, is_second, []
        if is_second:
            self._twice.add(job.run)
        place.heard, place.epochs = time.monotonic(), 0
        self._later("answered", place, place.actor.begin.remote(json.dumps(job.task), checkpoint, files), job)

    def _file(self, path: Path, with_content: bool) -> tuple[int, list[Any]]:
        import numpy as np

        if with_content and path not in self._files:
            self._files[path] = [self._ray.put(np.fromfile(path, np.uint8))]
        return path.stat().st_size, self._files[path] if with_content else []

    def _later(self, kind: str, place: Place, reference: Any, *more: Any) -> None:
        """Puts what a slot answers, or the error instead of it, into the inbox."""

        def put(ended: Any) -> None:
            error = ended.exception()
            self.inbox.put((kind, place, ended.result() if error is None else error, *more))

        reference.future().add_done_callback(put)

    def _answered(self, place: Place, message: Any, job: Job) -> None:
        if place.job is not job or place not in self._places:
            return  # it was dismissed, or has been given something else
        if message is None:
            self._begin(place, job, is_second=place.is_second, with_files=True)
        elif isinstance(message, BaseException):
            self._reap(place, message)
        else:
            self._hear(place, job, message)

    def _hear(self, place: Place, job: Job, message: dict[str, Any]) -> None:
        place.heard = time.monotonic()
        place.left = message.get("left")
        events = message["events"]
        ending = next((event for event in events if event["event"] not in CONTINUES), None)
        for event in events:
            if event["event"] == "Started":
                about = {"version": place.about["versions"]["ray"], "host": place.about["host"]}
                event["environment"]["ray"] = {**about, "declared_memory_bytes": place.memory}
            elif event["event"] == "EpochDone":
                self._measured = max(self._measured, message.get("memory", 0))
                place.epochs = event["record"]["epoch"]
                self._paces.setdefault(job.arm, []).append((place.about["node"], event["record"]["seconds"]))
                del self._paces[job.arm][:-50]
        if ending is None:
            if place.is_second:
                place.held += events
                self._kept(place, job)
            else:
                self._keep(place, job, message, events)
            return
        if ending["event"] in ("Lost", "NoSpace") and self._give_back(place, job, ending, message):
            return
        for other in [other for other in self._places if other.job is job and other is not place]:
            self._dismiss(other)
        place.job = None
        job.is_over = True
        self._keep(None, job, message, [*place.held, *events])

    def _give_back(self, place: Place, job: Job, ending: dict[str, Any], message: dict[str, Any]) -> bool:
        """An attempt has ended for a reason that lies in its machine. Whether there is nothing more to say of it."""
        if ending["event"] == "NoSpace":
            self._full.add(place.about["node"])
            self._dismiss(place)
            if not self._are_all_full():
                why = ending["reason"].split(". ")[0].rstrip(".")
                reason = f"machine {place.about['host']} cannot write ({why})"
                message["events"][-1] = to_json(Lost(job.run, reason, is_memory=False, is_machine=True))
        other = next((other for other in self._places if other.job is job and other is not place), None)
        if other is None:
            return False
        place.job = None
        self._promote(other, job)
        return True

    def _promote(self, second: Place, job: Job) -> None:
        if second.is_second:
            second.is_second = False
            self.send(*second.held)
            second.held = []

    def _are_all_full(self) -> bool:
        machines = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        return all(node["NodeID"] in self._full for node in machines)

    def _reap(self, place: Place, error: BaseException) -> None:
        """A slot is gone, with its machine or because Ray took its memory back."""
        job = place.job
        assert job is not None
        print(error, file=sys.stderr, flush=True)
        self._dismiss(place)
        other = next((other for other in self._places if other.job is job), None)
        if other is not None:
            self._promote(other, job)
            return
        is_memory, why = why_lost(self._ray, self._ray.nodes(), place, error)
        self.send(to_json(Lost(job.run, f"{why} ({place.about['host']})", is_memory, is_machine=not is_memory)))

    def _keep(self, place: Place | None, job: Job, message: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Write what came with the events, then send them; other threads do it, since disks take their time."""

        def keep() -> None:
            if place is not None and job.is_over:  # another attempt was the first to end
                return
            try:
                if self._artifacts is not None:
                    self._fetch(job, message)
                else:
                    for key, name in (("checkpoint", CHECKPOINT), ("weights", WEIGHTS)):
                        if key in message:
                            disk.write(job.folder / name, message[key], levels=RUN_LEVELS)
                if message.get("words") and self._logs is not None:
                    with (self._logs / "ray.log").open("a") as log:
                        log.write(f"last words of the worker of run {job.run}:\n{message['words']}\n")
            except (AssayError, OSError) as error:
                self.send(to_json(NoSpace(job.run, str(error))))
                return
            self.send(*events, unless_over=job if place is not None else None)
            if place is not None:
                self.inbox.put(("kept", place, job))

        if message.keys() & {"checkpoint", "weights", "words"}:
            self._disks.submit(keep)
        else:
            keep()

    def _fetch(self, job: Job, message: dict[str, Any]) -> None:
        """Bring weights from the folder for artifacts; a checkpoint stays there, and no older one counts any more."""
        assert self._artifacts is not None
        if "checkpoint" in message:
            (job.folder / CHECKPOINT).unlink(missing_ok=True)
        if "weights" in message:
            file = job.folder / WEIGHTS
            wanted = message["events"][-1]["weights_sha256"]
            if not self._artifacts.get(job.run, file) or _sha256(file) != wanted:
                fix = "see that nobody else writes there"
                raise ClusterError(Problem(f"weights of run {job.run} at {self._artifacts.url} are not whole", fix))

    def _kept(self, place: Place, job: Job) -> None:
        if place.job is job and place in self._places:
            self._later("answered", place, place.actor.step.remote(), job)

    # Slow machines.

    def _tell_of_waiting(self) -> None:
        """Say so once where nothing has been placed for some time."""
        if any(place.about for place in self._places) or not self._places:
            self._since = time.monotonic()
        elif self._since and time.monotonic() - self._since > self._wanted["patience_seconds"]:
            self._since = 0.0
            cores, memory = self._wanted["threads"], self._places[0].memory >> 20
            room = counted(cores, "core") + (f" and {memory} MiB of memory" if memory else "")
            self.send({"note": f"waiting for the cluster to have room for a worker with {room}"})

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

    def _is_late(self, place: Place) -> bool:
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
    return [path for path in (*(task[key] for key in FILES), *(task["published"] or ())) if path]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
