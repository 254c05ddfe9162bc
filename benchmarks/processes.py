"""A rival's processes, started side by side, and what each of them prints."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 900


class Failed(Exception):
    """A measurement gave no result; the message says why."""


def side_by_side(words: list[str], count: int, *, is_packed: bool, environment: dict[str, str]) -> list[dict[str, Any]]:
    """The results of so many processes with one command line; packed ones begin their timed epochs together.

    Raises:
        Failed: A process ended without a result, or took over ``TIMEOUT_SECONDS``.
    """
    with contextlib.ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(count)]
        processes = [
            subprocess.Popen(
                [*words, "--place", str(place)],
                cwd=HERE,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=error,
                text=True,
            )
            for place, error in enumerate(errors)
        ]
        watchdog = threading.Timer(TIMEOUT_SECONDS, lambda: [process.kill() for process in processes])
        watchdog.start()
        stack.callback(_end, processes)
        stack.callback(watchdog.cancel)
        if is_packed:
            for process, error in zip(processes, errors, strict=True):
                _line(process, error, "ready")
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
        # Who has given a result goes on training, so that all are busy until the last one has.
        return [json.loads(_line(process, error, "{")) for process, error in zip(processes, errors, strict=True)]


def output(words: list[str], environment: dict[str, str], *, fine: tuple[int, ...] = (0,)) -> str:
    """What a command prints.

    Raises:
        Failed: Its exit code is not a fine one, or it took over ``TIMEOUT_SECONDS``.
    """
    try:
        process = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"took over {TIMEOUT_SECONDS} s") from None
    if process.returncode not in fine:
        raise Failed(_last(process.stderr) or f"ended with code {process.returncode}")
    return process.stdout


def _line(process: subprocess.Popen[str], error: Any, beginning: str) -> str:
    """The process's next line that begins so; libraries may print others."""
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    process.wait()
    error.seek(0)
    raise Failed(_last(error.read()) or f"ended with code {process.returncode} or took over {TIMEOUT_SECONDS} s")


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
