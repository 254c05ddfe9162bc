"""An executor on a Ray cluster, as the study's process sees it. Nothing here imports Ray."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import AssayError
from ...train.task import Task
from ..artifacts import Artifacts
from ..events import Event, from_json
from ..executor import Executor
from .cluster import RayCluster


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
        note: Called with a sentence where the cluster has had no room for any worker for as long.
        artifacts: URL of the folder that checkpoints and weights go through; as messages if empty.
    """

    cluster: RayCluster
    num_workers: int
    threads: int = 1
    gpu_share: float = 0.0
    memory: Callable[[Task], int | None] = lambda task: None
    patience_seconds: float = 30.0
    note: Callable[[str], None] = lambda sentence: None
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
                self.note(message["note"])
        return [from_json(message) for message in messages if "event" in message]

    def recorded(self, task: Task, *, is_finished: bool) -> None:
        if self.artifacts:
            self.cluster.send({"do": "recorded", "task": task.to_json(), "is_finished": is_finished})

    def close(self) -> None:
        self.cluster.release()
        if self.artifacts:
            with contextlib.suppress(AssayError):
                Artifacts(self.artifacts).unmark(self._mark)
