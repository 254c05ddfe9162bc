"""The study's process' end of a connection to a Ray cluster. Nothing here imports Ray."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ...errors import AssayError, ClusterError, ClusterGone, Problem
from ...system import Lines, own_group

_ADDRESS = re.compile(r"ray|ray://[^\s/:]+:\d+")
STOP_SECONDS = 15.0  # for a slot to clear its machine; one whose machine is gone answers at once
JOIN_SECONDS = 30.0  # for an address that does not answer
_START_SECONDS = 240.0  # for the bridge to say anything: it gives up by itself, unless it is stopped
_GO_ON = "finished epochs are kept: give the same command again once it is back, or finish here with --on local"


class RayCluster:
    """A connection to a Ray cluster that is there already. Use it as a context; it serves one executor at a time.

    Args:
        address: ``ray``, for the cluster that this machine belongs to or that ``RAY_ADDRESS`` names, or
            ``ray://host:port``, for the client server on a cluster's head.
        logs: Folder for what Ray prints and for the last words of workers; ``None`` discards them.
        note: Takes what a user should know while it joins.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers there.
    """

    def __init__(
        self, address: str = "ray", logs: Path | None = None, note: Callable[[str], None] = lambda sentence: None
    ) -> None:
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
                **own_group(),  # Ctrl-C is for the study's process, which then closes this one
            )
        finally:
            if not isinstance(log, int):
                log.close()
        assert self._process.stdout is not None
        self._lines: Lines[None] = Lines()
        self._lines.add(None, self._process.stdout)
        note(f"waiting for the Ray cluster at {place_of(address)}, {JOIN_SECONDS:.0f} seconds for its first answer")
        self._has_joined = False
        self._has_ended = False
        try:
            self._about = self._next("cluster", seconds=_START_SECONDS)["cluster"]
            self._has_joined = True
        except ClusterGone as gone:
            self.close()
            if self._process.returncode:
                raise ClusterError(Problem(str(gone), "give the same command again")) from None
            raise ClusterError(no_cluster(address)) from None
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
        """Its messages since the last call; waits for something at most so long.

        Raises:
            ClusterGone: Nothing more will come.
            ClusterError: It cannot train here, for a reason that stays.
        """
        lines = [line for _, line in self._lines.wait(0.0 if self._has_ended else timeout_seconds)]
        self._has_ended = self._has_ended or None in lines
        messages = [json.loads(line) for line in lines if line is not None]
        if refusals := [message["refusal"] for message in messages if "refusal" in message]:
            raise ClusterError(Problem(*refusals[0]))
        if self._has_ended:
            raise ClusterGone(self._ending())
        return messages

    def _ending(self) -> str:
        """Why nothing more comes from the bridge. Ray ends it with 1 where its cluster is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)
        code = self._process.returncode
        if code is not None and code < 0:
            what = f"the process that connects to the Ray cluster was killed ({signal.Signals(-code).name})"
            return f"{what}; {_GO_ON}." if self._has_joined else f"{what} before it had joined"
        if self._has_joined:
            return f"the Ray cluster does not answer any more; {_GO_ON}."
        return f"the process that connects to the Ray cluster ended with {code} before it had joined (logs/ray.log)"

    def release(self) -> None:
        """Stop everything that was begun and give the cluster's machines back."""
        self.send({"do": "release"})
        with contextlib.suppress(AssayError):
            self._next("released", seconds=STOP_SECONDS + 10.0)

    def close(self) -> None:
        """End the connection; the cluster goes on."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

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


def check_address(address: str) -> None:
    """Refuse what is no address, and every address where Ray is not installed."""
    if not _ADDRESS.fullmatch(address):
        raise ClusterError(Problem(f'"{address}" is no place to train', 'give "local", "ray" or "ray://host:port"'))
    if importlib.util.find_spec("ray") is None:
        raise ClusterError(Problem("Ray is not installed", "pip install 'assay[ray]', here and on the cluster"))


def place_of(address: str) -> str:
    """Where a cluster is looked for, for a sentence."""
    return address if address != "ray" else os.environ.get("RAY_ADDRESS") or "this machine"


def no_cluster(address: str, why: str = "") -> Problem:
    fix = "start one (ray start --head), name its client server (--on ray://head:10001), or train with --on local"
    return Problem(f"no Ray cluster answers at {place_of(address)}{why}", fix)
