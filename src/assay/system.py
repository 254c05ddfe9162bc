"""What differs between operating systems, where processes are started, stopped, heard and measured.

Linux is where everything is tested. What other systems lack is taken away in ``tests/test_other_systems.py``.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from typing import IO, Any, Generic, TypeVar

_KILLED = 9  # SIGKILL, a name that Windows does not have
_T = TypeVar("_T")


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """The most memory that this process has had."""
    try:
        import resource
    except ImportError:
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009 - Windows alone has it
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def own_group() -> dict[str, Any]:
    """Options of ``subprocess.Popen`` for a process that Ctrl-C in this terminal does not reach."""
    flag = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", None)  # Windows's
    return {"start_new_session": True} if flag is None else {"creationflags": flag}


def interrupt(process: subprocess.Popen[Any]) -> None:
    """What Ctrl-C does, to a process that was started with ``own_group``."""
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))  # the first one is Windows's


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process that was started with ``own_group``, and those that it has started, where the system can."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, _KILLED)
    else:
        process.kill()


def ending(code: int) -> tuple[str, bool]:
    """How a process ended, for a sentence, and whether that may be for want of memory."""
    if code == -_KILLED:
        return "its process was killed, which systems do when memory runs out", True
    if code < 0:
        return f"its process ended by signal {signal.Signals(-code).name}", False
    return f"its process ended with code {code}", False


class Lines(Generic[_T]):
    """Lines that processes print, from any number of pipes, in the order in which they come.

    A thread reads each pipe: Windows cannot wait for several of them.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[_T, bytes | None]] = queue.SimpleQueue()

    def add(self, owner: _T, pipe: IO[bytes]) -> None:
        """Read a pipe from now on, to its end."""
        threading.Thread(target=self._read, args=(owner, pipe), daemon=True).start()

    def _read(self, owner: _T, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                if line.endswith(b"\n"):  # the last words of a process that was killed may be half a line
                    self._queue.put((owner, line))
        self._queue.put((owner, None))

    def wait(self, timeout_seconds: float) -> list[tuple[_T, bytes | None]]:
        """Whose line it is, and the line; ``None`` at a pipe's end. Waits for a first one at most so long."""
        lines = []
        try:
            lines.append(self._queue.get(timeout=max(0.0, timeout_seconds)))
            while True:
                lines.append(self._queue.get_nowait())
        except queue.Empty:
            return lines
