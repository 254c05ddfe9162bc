"""Limits of a process that runs a file's code: no network, no other programs, no writing outside its own folder.

What Python does is refused with a sentence; what C code does (HDF5, torch.save), by the kernel where it can
(``landlock``). They keep a notebook from doing by accident what running it would do; they are no wall against an
attacker.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto",
            "socket.sendmsg", "socket.gethostbyaddr",
            "urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect")  # fmt: skip
_PROGRAMS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)
_CHANGES = {"os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.mkdir": 1, "os.link": 2, "os.symlink": 2,
            "os.truncate": 1, "os.chmod": 1, "os.chown": 1, "os.utime": 1, "shutil.rmtree": 1, "shutil.move": 2,
            "sqlite3.connect": 1}  # fmt: skip


class NotAllowed(PermissionError):
    """Something that the file's code may not do here."""


class Guard:
    """Refuses what the file's code may not do, from ``start`` on.

    Args:
        folder: Where it may write.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = tuple(str(one.resolve()) + os.sep for one in (folder, Path(tempfile.gettempdir())))
        self._is_on = False

    def start(self) -> None:
        """From here on, until the process ends."""
        sys.addaudithook(self._audit)
        self._is_on = True

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Without limits, for Assay's own work."""
        before, self._is_on = self._is_on, False
        try:
            yield
        finally:
            self._is_on = before

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, mode, flags = args
            writes = isinstance(flags, int) and flags & (
                os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            )
            if writes and not (mode is not None and mode == "r"):
                self._refuse_outside(path)
        elif event in _CHANGES:
            for path in args[: _CHANGES[event]]:
                self._refuse_outside(path)
        elif event in _NETWORK:
            raise NotAllowed("no network here")
        elif event in _PROGRAMS:
            raise NotAllowed("no other programs here")

    def _refuse_outside(self, path: Any) -> None:
        if isinstance(path, int) or path is None or path == ":memory:":
            return
        text = os.path.realpath(os.fsdecode(path))
        if not (text + os.sep).startswith(self._folders) and text != os.devnull:
            raise NotAllowed(f"no writing outside a folder of its own: {os.path.basename(text)}")
