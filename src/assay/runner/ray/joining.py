"""The bridge joins a Ray cluster: what is waited for, and when that is given up."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_JOINS = 3  # of a client server whose process dies as it begins
_ATTEMPT_SECONDS = 60.0  # for one that listens: it takes Ray about 40 to say that its process has died


class Patience:
    """Calls ``give_up`` where nothing has stopped it in time, whatever else this process is in the middle of.

    Args:
        give_up: Ends the process; Ray's calls cannot be interrupted.
        seconds: From now on.
    """

    def __init__(self, give_up: Callable[[], None], seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._is_over = threading.Event()
        self._give_up = give_up
        threading.Thread(target=self._watch, daemon=True).start()

    def extend(self, seconds: float) -> None:
        """Wait so long from now on."""
        self._deadline = time.monotonic() + seconds

    def end(self) -> None:
        """What was waited for is there."""
        self._is_over.set()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            if time.monotonic() > self._deadline:
                self._give_up()
                return


def join(init: Callable[[], Any], patience: Patience | None = None) -> None:
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
            if patience is not None:
                patience.extend(_ATTEMPT_SECONDS)
            time.sleep(1.0)


def listens(where: str, patience: Patience) -> None:
    """Wait until something listens at ``ray://host:port`` or ``host:port``; then a join may take longer.

    ``auto`` and other names are left to Ray, which finds out where its cluster is.
    """
    host, _, port = where.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
            break
        time.sleep(0.5)
    if where.startswith("ray://"):
        patience.extend(_ATTEMPT_SECONDS)


def where_of(address: str) -> str:
    """What Ray is asked to join, of ``--on``'s value."""
    return (os.environ.get("RAY_ADDRESS") or "auto") if address == "ray" else address
