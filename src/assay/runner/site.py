"""Where runs are trained: on this machine, or on a cluster's."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Problem, SpecError
from ..spec import Device, Placement, fingerprint
from ..store import StoreReader
from ..train.task import Task
from .artifacts import Artifacts, checked
from .executor import Executor
from .local import LocalExecutor
from .plan import Plan
from .worker import CHECKPOINT

if TYPE_CHECKING:
    from .ray import RayCluster


class Site(ABC):
    """Machines that runs can be placed on."""

    @abstractmethod
    def device_of(self, wanted: Placement) -> Device:
        """What trains runs there, ``auto`` being a CUDA device where there is one.

        Raises:
            SpecError: A CUDA device is asked for and there is none.
        """

    @abstractmethod
    def num_workers(self, plan: Plan) -> int:
        """Cores to use for a plan where nobody says how many; on CUDA devices, runs at a time."""

    @property
    @abstractmethod
    def machine_cores(self) -> int | None:
        """Cores of its smallest machine; ``None`` where it is one machine only."""

    @abstractmethod
    def executor(
        self, plan: Plan, reader: StoreReader, note: Callable[[str], None], num_workers: int, threads: int
    ) -> Executor:
        """An executor for a plan, to be closed by whoever asked; ``note`` takes what a user should know."""


@dataclass(frozen=True)
class ThisMachine(Site):
    """This machine.

    Args:
        logs: Folder for what workers print.
        artifacts: Where a cluster may have left checkpoints, to be gone on from here.
    """

    logs: Path
    artifacts: Artifacts | None = None

    def device_of(self, wanted: Placement) -> Device:
        from ..train.device import device_of

        return device_of(wanted)

    def num_workers(self, plan: Plan) -> int:
        from ..system import num_cores

        return 1 if plan.is_on_cuda else num_cores()

    @property
    def machine_cores(self) -> int | None:
        return None

    def executor(
        self, plan: Plan, reader: StoreReader, note: Callable[[str], None], num_workers: int, threads: int
    ) -> Executor:
        if self.artifacts is not None:
            states = reader.states(task.id for task in plan.tasks)
            for task in plan.tasks:
                here = task.folder / CHECKPOINT
                if states.get(task.id) != "finished" and not here.exists():  # one that is here is the newer one
                    self.artifacts.get(task.id, here)
                self.artifacts.remove(task.id)
        return LocalExecutor(num_workers, logs=self.logs, threads=threads)


@dataclass(frozen=True)
class OnRay(Site):
    """The machines of a Ray cluster.

    Args:
        cluster: The connection.
        artifacts: Where checkpoints and weights go; they come back as messages if ``None``.
    """

    cluster: RayCluster
    artifacts: Artifacts | None = None

    def device_of(self, wanted: Placement) -> Device:
        if wanted == "cuda" and not self.cluster.gpus:
            raise SpecError(
                Problem('"cuda" is not available: the Ray cluster has no GPU', 'give "cpu" or "auto"', "device")
            )
        return "cuda" if wanted != "cpu" and self.cluster.gpus else "cpu"

    def num_workers(self, plan: Plan) -> int:
        return self.cluster.gpus if plan.is_on_cuda else self.cluster.cores

    @property
    def machine_cores(self) -> int | None:
        return self.cluster.machine_cores

    def executor(
        self, plan: Plan, reader: StoreReader, note: Callable[[str], None], num_workers: int, threads: int
    ) -> Executor:
        from .ray import RayExecutor

        known = reader.peak_memory()

        def memory(task: Task) -> int | None:
            return known.get((fingerprint(task.arm.identity()), plan.content_of(task)))

        share = min(1.0, self.cluster.gpus / num_workers) if plan.is_on_cuda else 0.0
        url = self.artifacts.url if self.artifacts else ""
        return RayExecutor(self.cluster, num_workers, threads, gpu_share=share, memory=memory, note=note, artifacts=url)


@contextlib.contextmanager
def open_site(
    on: str, logs: Path, artifacts: str | None = None, note: Callable[[str], None] = lambda sentence: None
) -> Iterator[Site]:
    """``local``, ``ray`` or ``ray://host:port``.

    Args:
        on: Which.
        logs: Folder for what workers print.
        artifacts: URL of a folder that all machines reach, for checkpoints and weights.
        note: Takes what a user should know while a cluster is joined.

    Raises:
        ClusterError: It is none of them, Ray is not installed, no cluster answers, or the URL cannot be used.
    """
    place = checked(artifacts) if artifacts is not None else None
    if on == "local":
        yield ThisMachine(logs, place)
        return
    from .ray import RayCluster

    with RayCluster(on, logs, note) as cluster:
        yield OnRay(cluster, place)
