"""Starts and stops the training of a study in the store, where the user has allowed it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path

from ..disk import write
from ..runner.own_code import KNOWN, POLICY
from ..spec import study_toml
from ..store import StudyRecord, writing_process
from ..system import interrupt, own_group
from .limits import Refused

log = logging.getLogger("assay.web")
_STOP_SECONDS = 5.0
# A server that a script starts in the background ignores interrupts, and so would its children: none could be stopped.
_COMMAND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from assay.cli import main; main()"


class Launcher:
    """At most one child process that runs ``assay run`` on a study of the store."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._study = ""

    def is_running(self, study: str) -> bool:
        """Whether the child process trains this study now."""
        return self._study == study and self._process is not None and self._process.poll() is None

    def trouble(self, study: str) -> str:
        """The child's last error line if it could not train this study; empty if it could or was interrupted."""
        if self._study != study or self._process is None or self._process.poll() in (None, 0, 1, 130):
            return ""
        with contextlib.suppress(OSError):
            lines = self._log(study).read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if line.strip()), "")[:500]
        return ""

    def _log(self, study: str) -> Path:
        return self._store / "served" / f"{study}.log"

    def start(self, record: StudyRecord) -> None:
        """Resumes a study as the store has it.

        Raises:
            Refused: 409; a process writes this store already.
        """
        writer = writing_process(self._store)
        if writer is not None or (self._process is not None and self._process.poll() is None):
            raise Refused(409, f"process {writer or 'of this server'} is training in this store already")
        file = self._log(record.name).with_suffix(".toml")
        write(file, study_toml(record.design).encode())
        with open(self._log(record.name), "wb") as error_log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "run", str(file), "--store", str(self._store.absolute()), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=error_log,
                **own_group(),
                env={**os.environ, POLICY: KNOWN},  # a record may not name code: only the user's study files may
            )
        self._study = record.name
        log.info("started training %s, process %d", record.name, self._process.pid)

    def stop(self, study: str) -> None:
        """Interrupts the child process, as Ctrl-C does: finished epochs are kept.

        Raises:
            Refused: 409; no process of ours trains this study.
        """
        if not self.is_running(study) or self._process is None:
            raise Refused(409, "this page did not start the training, so it cannot stop it")
        interrupt(self._process)
        log.info("stopped training %s", study)

    def close(self) -> None:
        """Stops the child process if it still runs."""
        if self._process is None or self._process.poll() is not None:
            return
        interrupt(self._process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
