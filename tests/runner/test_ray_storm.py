"""A storm over a study on three nodes: everything is killed, stopped or set to another time, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import assay
from assay import Result
from assay.errors import AssayError
from assay.spec import study_toml

from ..cluster import SETTINGS, Nodes, workers
from ..held import PATIENCE_SECONDS, SOURCE
from ..helpers import small_study
from .ray_runs import assert_same

pytestmark = [pytest.mark.ray, pytest.mark.slow]

NAMES = ("one", "two", "three")
STUDY = small_study(training={"epochs": 30, "batch_size": 8}, seeds={"count": 6})  # 12 runs, some minutes in all


@pytest.fixture(autouse=True)
def others_may_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray starts its workers at niceness 15: beside other work a storm would take hours."""
    monkeypatch.setenv("RAY_worker_niceness", "0")


class Storm:
    """A driver on a cluster of three nodes, and what can be done to their processes.

    Args:
        folder: For the store and the nodes.
        kernels: Where compiled kernels are kept.
        variables: Of each node, by name, and of the driver (``driver``).
    """

    def __init__(self, folder: Path, kernels: Path, variables: dict[str, dict[str, str]] | None = None) -> None:
        self.folder, self.kernels, self.variables = folder, kernels, variables or {}
        self.store = folder / "there"
        self.file = folder / "small.toml"
        self.file.write_text(study_toml(STUDY))
        self.log = (folder / "driver.log").open("ab")
        self.seen: dict[str, int] = {}
        self.num_clusters = 0
        self.driver: subprocess.Popen[bytes] | None = None
        self.begin_cluster()

    def begin_cluster(self) -> None:
        self.num_clusters += 1
        place = self.folder / f"cluster{self.num_clusters}"
        place.mkdir()
        self.nodes = Nodes(place, self.kernels)
        self.raylets = {name: self.nodes.add(name, **self.variables.get(name, {})) for name in NAMES}

    def begin_driver(self) -> None:
        command = [sys.executable, "-m", "assay", "run", str(self.file), "--store", str(self.store), "--no-report"]
        environment = {**os.environ, **SETTINGS, **self.variables.get("driver", {}), "RAY_ADDRESS": self.nodes.address}
        self.driver = subprocess.Popen(
            [*command, "--on", "ray", "--workers", "3"], env=environment, stdout=self.log, stderr=self.log
        )

    def epochs(self) -> dict[str, int]:
        """Recorded epochs by run. None that was recorded may ever be gone."""
        if not (self.store / "store.sqlite").exists():
            return {}
        with contextlib.suppress(AssayError):  # it is being made
            now = {run.id: len(run.epochs) for run in Result(self.store, "small").runs}
            assert all(now.get(run, 0) >= count for run, count in self.seen.items()), (self.seen, now)
            self.seen = now
        return self.seen

    def train_on(self) -> bool:
        """Keep a driver going until four more epochs are recorded; whether the study goes on after them."""
        before, deadline = sum(self.epochs().values()), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.driver is None or self.driver.poll() not in (None, 0):
                self.begin_driver()
            assert self.driver is not None
            if self.driver.poll() == 0:
                return False
            if sum(self.epochs().values()) >= before + 4 and workers():
                return True
            time.sleep(0.2)
        raise AssertionError((self.folder / "driver.log").read_text()[-3000:])

    def finish(self) -> None:
        while self.train_on():
            pass

    # What happens to them.

    def kill_worker(self) -> None:
        _kill(workers()[:1])

    def kill_slot(self) -> None:
        _kill([process.parent() for process in workers()[:1]])

    def kill_bridge(self) -> None:
        assert self.driver is not None
        bridges = [
            child for child in psutil.Process(self.driver.pid).children() if "assay.runner.ray" in child.cmdline()
        ]
        _kill(bridges)

    def kill_driver(self) -> None:
        assert self.driver is not None
        self.driver.kill()
        self.driver.wait()

    def kill_raylet(self) -> None:
        name = self._busy()
        _kill([psutil.Process(self.raylets[name])])
        self._replace(name)

    def kill_node(self) -> None:
        self._replace(self._busy())

    def kill_head(self) -> None:
        self.nodes.kill_all()
        self.nodes.close()
        self.begin_cluster()

    def partition(self, seconds: float) -> None:
        """A node's processes stand still: it hears nothing and says nothing, and then is there again."""
        name = self._busy()
        raylet = psutil.Process(self.raylets[name])
        stopped = [raylet, *raylet.children(recursive=True)]
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        with contextlib.suppress(psutil.TimeoutExpired):
            raylet.wait(3.0)  # one that was given up meanwhile ends itself
        if not raylet.is_running() or raylet.status() == psutil.STATUS_ZOMBIE:
            self._replace(name)

    def _busy(self) -> str:
        return next((name for name, pid in self.raylets.items() if psutil.pid_exists(pid) and workers(pid)), NAMES[0])

    def _replace(self, name: str) -> None:
        with contextlib.suppress(AssertionError):
            self.nodes.kill(name)
        self.raylets[name] = self.nodes.add(name, **self.variables.get(name, {}))

    def close(self) -> None:
        if self.driver is not None and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()
        self.log.close()
        self.nodes.close()


def _kill(processes: list[psutil.Process | None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is not None:
                process.kill()


@contextlib.contextmanager
def storm_over(folder: Path, kernels: Path, variables: dict[str, dict[str, str]] | None = None) -> Iterator[Storm]:
    storm = Storm(folder, kernels, variables)
    try:
        yield storm
    finally:
        storm.close()


def assert_nothing_was_lost(storm: Storm, here: Path) -> None:
    runs = Result(storm.store, "small").runs
    assert [run.state for run in runs] == ["finished"] * 12
    for run in runs:
        assert [epoch.epoch for epoch in run.epochs] == list(range(1, 31))
    assay.run(STUDY, store=here)
    assert_same(storm.store, here)


def test_everything_is_killed_in_turn(tmp_path: Path, kernels: Path) -> None:
    with storm_over(tmp_path, kernels) as storm:
        strikes: list[Callable[[], None]] = [
            storm.kill_worker, storm.kill_slot, storm.kill_raylet, storm.kill_bridge, storm.kill_driver,
            storm.kill_node, storm.kill_slot, storm.kill_head, storm.kill_raylet, storm.kill_driver,
        ]  # fmt: skip
        struck = 0
        for strike in strikes:
            if not storm.train_on():
                break
            strike()
            struck += 1
        assert struck >= 8  # the study was long enough for them
        storm.finish()
        text = (tmp_path / "driver.log").read_text()
        assert "more memory than its machine had left" not in text
        assert_nothing_was_lost(storm, tmp_path / "here")


def test_nodes_stand_still_and_come_back(tmp_path: Path, kernels: Path) -> None:
    with storm_over(tmp_path, kernels) as storm:
        for seconds in (3.0, 30.0):  # heard again in time, and given up
            assert storm.train_on()
            storm.partition(seconds)
        storm.finish()
        assert_nothing_was_lost(storm, tmp_path / "here")


# As Python reads them. libfaketime 0.9.10 cannot be used: where it leaves the monotonic clock alone, Python's sleep
# fails (EINVAL of clock_nanosleep); where it does not, waits with a limit never end.
JUMPING = """
import time
real = time.time
def jumping():
    with open({clock!r}) as file:
        return real() + float(file.read() or 0)
time.time = jumping
"""


def test_clocks_jump_on_a_node_and_under_the_driver(tmp_path: Path, kernels: Path) -> None:
    clock, hook = tmp_path / "clock", tmp_path / "hook"
    clock.write_text("0")
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(JUMPING.format(clock=str(clock)))
    jumping = {"PYTHONPATH": f"{hook}{os.pathsep}{SOURCE}"}
    with storm_over(tmp_path, kernels, {"two": jumping, "driver": jumping}) as storm:
        num_jumps = 0
        for jump in (3600, -86400, 31536000):  # an hour ahead, a day back, a year ahead
            if not storm.train_on():
                break
            clock.write_text(str(jump))
            num_jumps += 1
        assert num_jumps >= 2
        storm.finish()
        assert_nothing_was_lost(storm, tmp_path / "here")
