"""Starts the process that runs a file's code, and reads what it gave."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ...errors import Problem, SpecError
from ...system import kill_group, own_group

SECONDS = 300.0
MEMORY = 8 << 30
_GRACE = 90.0  # to import Keras before the code, and to hash and write its images after it


def run_apart(path: Path, folder: Path, *, seconds: float = SECONDS, memory: int = MEMORY) -> dict[str, Any]:
    """Runs a script or notebook in a process of its own.

    Args:
        path: The file. Its code runs with its own folder as the working directory, which it may read and not change.
        folder: An empty folder, for what it gives and for its temporary files.
        seconds: How long its code may take.
        memory: Bytes that it may use beside what Keras takes.

    Returns:
        ``drafts``, ``notes`` and ``missing``, as in ``child.Outcome``; arrays are files in ``folder``.

    Raises:
        SpecError: The process was killed, or ended without a result; or this system has no limits for it.
    """
    if importlib.util.find_spec("resource") is None:
        what = "running a file's code needs limits of memory and time that this system does not have"
        fix = "add assay.capture() to it and run it as always, or convert it without --run"
        raise SpecError(Problem(what, fix, file=str(path)))
    request = folder / "request.json"
    request.write_text(json.dumps({"path": str(path.absolute()), "seconds": seconds, "memory": memory}))
    scratch = folder / "tmp"
    scratch.mkdir()
    log = folder / "log.txt"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            # -P: a file of the user's that is named like a module of Python's stays out of the child's own imports.
            [sys.executable, "-P", "-W", "ignore", "-m", "assay.capturing.isolated.child", str(request)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=path.absolute().parent,
            env=_environment(scratch), **own_group(),
        )  # fmt: skip
        try:
            code = process.wait(timeout=seconds + _GRACE)
        except BaseException as error:
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            what = f"its code did not end within {seconds:g} seconds"
            raise SpecError(Problem(what, "give more with --seconds", file=str(path))) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                kill_group(process)  # and whatever it started
            process.wait()
    result = folder / "result.json"
    if code != 0 or not result.exists():
        raise SpecError(Problem(_ending(code, log), "run it by itself to see where", file=str(path)))
    values: dict[str, Any] = json.loads(result.read_text())
    if values.get("problems"):
        raise SpecError([Problem(**problem) for problem in values["problems"]])
    return values


def _environment(scratch: Path) -> dict[str, str]:
    """This process's own, on one backend, without a display, with a folder of its own for temporary files."""
    package = str(Path(__file__).parents[3])
    search = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    own = dict.fromkeys(("TMPDIR", "MPLCONFIGDIR", "KERAS_HOME"), str(scratch))
    environment = {**os.environ, **own, "PYTHONPATH": search, "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    if importlib.util.find_spec("tensorflow") is None:
        environment["KERAS_BACKEND"] = "torch"
    return environment


def _ending(code: int, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    last = lines[-1][:160] if lines else ""
    if code < 0 or code == 137:
        return f"the process that ran its code was killed (signal {abs(code)}): too much memory or processor time"
    return f"the process that ran its code ended without a result{f' ({last})' if last else ''}"
