"""Joining a Ray cluster that does not answer, and a bridge that is left or killed while it joins."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

import assay
from assay.errors import ClusterError
from assay.runner.ray import RayCluster, losses
from assay.runner.ray.jobs import Place
from assay.runner.ray.joining import Patience, join

from ..held import PATIENCE_SECONDS, wait_until
from ..helpers import small_study


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something that accepts connections and says nothing, as a stopped process does."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        found.listen(50)
        yield int(found.getsockname()[1])


def bridges() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "assay.runner.ray" in child.cmdline()]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["closed", "silent"])
@pytest.mark.parametrize("form", ["{}", "ray://{}"])
def test_a_dead_cluster_is_given_up_after_half_a_minute(
    form: str, kind: str, closed_port: int, silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{closed_port if kind == 'closed' else silent_port}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    on = "ray" if form == "{}" else form.format(address)
    notes: list[tuple[float, str]] = []
    begun = time.monotonic()
    with pytest.raises(ClusterError, match=f"no Ray cluster answers at .*{address}"):
        RayCluster(on, tmp_path, lambda text: notes.append((time.monotonic() - begun, text)))
    # Half a minute, and some seconds for Python and Ray to be imported on a busy machine; a client server that
    # listens is given a minute, since one whose process dies as it begins needs that to say so.
    limit = 60 if kind == "silent" and form != "{}" else 30
    assert time.monotonic() - begun < limit + 25
    ((after, text),) = notes
    assert after < 1.0
    assert f"waiting for the Ray cluster at {form.format(address)}" in text
    assert not bridges()


@pytest.mark.ray
def test_a_bridge_that_is_killed_while_it_joins_is_named(
    closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")

    def kill() -> None:
        wait_until(lambda: bool(bridges()))
        bridges()[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ClusterError) as caught:
        RayCluster("ray", tmp_path)
    killer.join()
    assert "the process that connects to the Ray cluster was killed (SIGKILL) before it had joined" in str(caught.value)
    assert "answers" not in str(caught.value)


@pytest.mark.ray
def test_a_bridge_ends_with_the_driver_that_it_joins_for(closed_port: int, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from assay.runner.ray import RayCluster; RayCluster('ray', Path('logs'))"
    )
    environment = {**os.environ, "RAY_ADDRESS": f"127.0.0.1:{closed_port}"}
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    started = psutil.Process(driver.pid)
    wait_until(lambda: bool(started.children()))
    bridge = started.children()[0]
    wait_until(lambda: bridge.cpu_times().user > 0.5)  # it is on its way into Ray
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert psutil.wait_procs([bridge], timeout=PATIENCE_SECONDS)[1] == []


def test_patience_ends_what_cannot_be_interrupted() -> None:
    given_up = threading.Event()
    patience = Patience(given_up.set, 0.2)
    patience.extend(0.6)
    assert not given_up.wait(0.4)
    assert given_up.wait(5.0)
    over = threading.Event()
    Patience(over.set, 0.1).end()
    assert not over.wait(0.5)


def test_an_attempt_that_failed_gives_the_next_one_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    patience = Mock()
    join(Mock(side_effect=[ConnectionAbortedError("died"), "joined"]), patience)
    assert patience.extend.call_count == 1


GENERAL = (
    "The actor died unexpectedly before finishing this task. There are some potential root causes. (1) The process is "
    "killed by SIGKILL by OOM killer due to high memory usage. (2) ray stop --force is called."
)


class OutOfMemoryError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "left", "is_alive", "is_memory", "why"),
    [
        (Exception(GENERAL), [8 << 30, 16 << 30], True, False, "its slot was killed, and not for lack of memory"),
        (Exception(GENERAL), [8 << 30, 16 << 30], False, False, "its machine does not answer"),
        (Exception(GENERAL), None, False, False, "its machine does not answer"),
        (Exception(GENERAL), [100 << 20, 16 << 30], True, True, "killed where 100 of 16,384 MiB of memory were left"),
        (OutOfMemoryError("killed"), [8 << 30, 16 << 30], True, True, "more memory than its machine had left"),
    ],
)
def test_a_slot_is_lost_to_memory_by_type_and_figures_alone(
    error: Exception, left: list[int] | None, is_alive: bool, is_memory: bool, why: str
) -> None:
    ray = SimpleNamespace(exceptions=SimpleNamespace(OutOfMemoryError=OutOfMemoryError))
    place = Place(Mock(), 0, about={"node": "n", "host": "h"}, left=left)
    told, sentence = losses.why_lost(ray, [{"NodeID": "n", "Alive": is_alive}], place, error)
    assert told == is_memory
    assert why in sentence


def test_what_is_waited_for_is_a_line_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def fail(address: str, logs: Path, note: Callable[[str], None]) -> None:
        note("waiting")
        raise ClusterError("none")

    monkeypatch.setattr("assay.runner.ray.RayCluster", fail)
    progress = Mock(note=lines.append)
    with pytest.raises(ClusterError):
        assay.run(small_study(), store=tmp_path, on="ray", progress=progress)
    assert lines == ["waiting"]
