"""One process writes a store at a time."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import filelock

from ..errors import Problem, StoreBusy
from .files import translated


@contextlib.contextmanager
def writer_lock(store: Path) -> Iterator[None]:
    """Hold the store for writing. The operating system lets go when the process ends, however it ends.

    Raises:
        StoreBusy: Another process holds it; the message says which.
    """
    holder = store / "writer.json"
    with translated(store / "writer.lock"):
        store.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(store / "writer.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StoreBusy(
                Problem(
                    f"{_describe(holder)} is writing to this store",
                    "wait for it, stop it, or name another --store",
                    file=str(store),
                )
            ) from None
    try:
        about = {"pid": os.getpid(), "host": platform.node(), "since": time.time(), "command": " ".join(sys.argv[:3])}
        with contextlib.suppress(OSError):
            holder.write_text(json.dumps(about))
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def writing_process(store: Path) -> int | None:
    """The id of the process on this machine that writes the store now; ``None`` where none does.

    The lock itself is left alone: trying it could turn away a writer that starts at that moment.
    """
    import psutil

    try:
        about = json.loads((store / "writer.json").read_text())
        pid, since = int(about["pid"]), float(about["since"])
        process = psutil.Process(pid)
        is_same = process.create_time() <= since + 1 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return pid if is_same and about.get("host") == platform.node() else None


def _describe(holder: Path) -> str:
    try:
        about = json.loads(holder.read_text())
        since = datetime.fromtimestamp(about["since"]).strftime("%H:%M:%S on %d %B")
        return f"process {about['pid']} on {about['host']} ({about['command']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
