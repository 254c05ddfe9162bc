"""A Ray cluster of several nodes on this machine, in a process of its own: Ray never gets into the tests' process."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from .held import PATIENCE_SECONDS, Hold

# A dead node is noticed within some seconds, not half a minute; a slow one is not taken for dead; and nothing is told
# to anybody. Ray would start a Python process for every core before any is asked for.
SETTINGS = {
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3",
}
STORE_BYTES = 100 << 20


class Nodes:
    """The cluster. Every node has a cache and a place for temporary files of its own, as machines do.

    Args:
        folder: Where the nodes keep theirs.
        kernels: Where compiled kernels are kept, for all of them: compiling takes long.
        has_client: Whether it has a client server, at ``client_port``.

    Its workers wait where ``hold`` says.
    """

    def __init__(self, folder: Path, kernels: Path, *, has_client: bool = False) -> None:
        if importlib.util.find_spec("ray") is None:
            pytest.skip("Ray is not installed")
        self.folder = folder
        self.hold = Hold(folder / "hold.json")
        self.client_port = _free_port() if has_client else None
        with (folder / "nodes.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster", str(self.client_port or "")],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **SETTINGS, **self.hold.variables, "ASSAY_KERNELS": str(kernels)},
            )
        self.address = self._answer()["address"]
        self._names: set[str] = set()

    def has(self, *names: str) -> bool:
        """Whether these are its nodes, beside the head."""
        return self._names == set(names)

    def add(self, name: str, *, cores: int = 1, gpus: int = 0, **variables: str) -> int:
        """Start a node; return the process id of its raylet."""
        places = {"XDG_CACHE_HOME": self.folder / name / "cache", "TMPDIR": self.folder / name / "tmp"}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        of_its_own = {key: str(place) for key, place in places.items()}
        message = {"add": name, "cores": cores, "gpus": gpus, "variables": {**of_its_own, **variables}}
        pid = int(self._ask(message)["pid"])
        self._names.add(name)
        return pid

    def kill(self, name: str) -> None:
        """Kill a node's processes, as a power cut would."""
        self._ask({"kill": name})
        self._names.remove(name)

    def clear(self) -> None:
        """Remove every node but the head, with what they keep, and wait until the head knows."""
        self.hold.open()
        self._ask({"clear": True})
        self._names.clear()
        for folder in self.folder.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)

    def kill_all(self) -> None:
        """The head, too."""
        for process in psutil.Process(self._process.pid).children(recursive=True):
            process.kill()

    def close(self) -> None:
        started = psutil.Process(self._process.pid).children(recursive=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        for process in started:
            if process.is_running():
                process.kill()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"'):
                return dict(json.loads(line))
        raise AssertionError((self.folder / "nodes.log").read_text()[-2000:])


def workers(below: int | None = None) -> list[psutil.Process]:
    """Processes that train runs, of this test session or below another process."""
    found = []
    for process in psutil.Process(below).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "assay.runner.worker" in process.cmdline():
                found.append(process)
    return found


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def serve(client_port: str) -> None:
    from ray.cluster_utils import Cluster

    def say(**values: object) -> None:
        print(json.dumps(values), flush=True)

    common = {"object_store_memory": STORE_BYTES, "include_dashboard": False, "include_log_monitor": False}
    head: dict[str, object] = {"num_cpus": 0, "no_monitor": True, **common}
    if client_port:
        head["ray_client_server_port"] = int(client_port)
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = {}
    say(address=cluster.address)
    for line in sys.stdin:
        message = json.loads(line)
        if "add" in message:
            node = cluster.add_node(
                num_cpus=message["cores"], num_gpus=message["gpus"], env_vars=message["variables"], **common
            )
            nodes[message["add"]] = node
            say(pid=node.all_processes["raylet"][0].process.pid)
        elif "kill" in message:
            cluster.remove_node(nodes.pop(message["kill"]), allow_graceful=False)
            say(killed=message["kill"])
        else:
            while nodes:
                cluster.remove_node(nodes.popitem()[1])  # one that says so is gone at once, unlike one that is killed
            cluster.wait_for_nodes(timeout=PATIENCE_SECONDS)
            say(cleared=True)
    cluster.shutdown()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.argv[1])
