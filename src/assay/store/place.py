"""Where a store lies: noticed when it is moved or deleted under the process that writes it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..errors import Problem, StoreMoved
from .files import DATABASE


class StorePlace:
    """The folder and the database that were opened, by device and inode.

    SQLite goes on writing to the file that it has opened, wherever that is moved; weights are written by path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._identity = self._seen()
        # Follows the folder wherever it is moved, where the system can say so.
        self._handle = os.open(self._folder, os.O_RDONLY) if os.name == "posix" else None

    def check(self) -> None:
        """Raise StoreMoved where the store is no longer where it was."""
        if self._seen() == self._identity:
            return
        place = self._place_now()
        if place is None:
            what = "the store was moved or deleted while its study was training"
            fix = "if it was moved, what had finished is kept there: run the study again with --store naming it"
        elif place.endswith(" (deleted)"):
            what, fix = "the store was deleted while its study was training", "run the study again to start anew"
        else:
            what = f"the store was moved to {place} while its study was training, which has stopped"
            fix = f"what had finished is kept there; to go on, run the study again with --store {place}"
        raise StoreMoved(Problem(what, fix, file=str(self._folder)))

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _seen(self) -> tuple[int, ...]:
        identity: list[int] = []
        for path in (self._folder, self._folder / DATABASE):
            try:
                status = os.stat(path)
            except OSError:
                return ()
            identity += (status.st_dev, status.st_ino)
        return tuple(identity)

    def _place_now(self) -> str | None:
        with contextlib.suppress(OSError):
            place = os.readlink(f"/proc/self/fd/{self._handle}")
            if place != str(self._folder):
                return place
        return None
