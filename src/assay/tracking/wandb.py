"""Runs in Weights & Biases: a project for each study, a group for each arm."""

from __future__ import annotations

import contextlib
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..train.epochs import EpochRecord
from .tracker import TrackedRun, Tracker
from .values import metrics_of


class WandbTracker(Tracker):
    """Logs runs, offline where nobody is logged in: ``wandb sync`` uploads them later.

    Args:
        project: Its name; the study's, or ``WANDB_PROJECT``, if ``None``.
        mode: ``online``, ``offline`` or ``disabled``; W&B's own setting (``WANDB_MODE``) if ``None``, and offline
            without an API key.
        folder: Where W&B keeps its files; its own setting (``WANDB_DIR``, or the current folder) if ``None``.
    """

    def __init__(self, project: str | None = None, mode: str | None = None, folder: str | None = None) -> None:
        import wandb

        self._wandb: Any = wandb
        self._project = project or os.environ.get("WANDB_PROJECT")
        # Without a key W&B asks for one at the terminal, which the study runs in.
        self._mode = mode or os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
        # W&B remembers the folder of its first run in a process; a notebook's may be another by now.
        self._folder = folder or os.environ.get("WANDB_DIR") or os.getcwd()
        self._runs: dict[str, Any] = {}

    @property
    def place(self) -> str:
        offline = "; `wandb sync --sync-all` there uploads it" if self._mode == "offline" else ""
        return f"{self._mode}, files in {os.path.join(self._folder, 'wandb')}{offline}"

    def begin(self, run: TrackedRun) -> None:
        self._runs[run.id] = self._init(
            run.study, name=run.name, group=run.arm, id=run.id[:32], config=dict(run.settings), resume="allow"
        )

    def epoch(self, run: TrackedRun, record: EpochRecord) -> None:
        self._runs[run.id].log(metrics_of(record), step=record.epoch)

    def end(self, run: TrackedRun, state: str, scores: Mapping[str, float]) -> None:
        logged = self._runs.pop(run.id)
        logged.summary.update({**scores, "state": state})
        logged.finish(exit_code=0 if state in ("finished", "paused") else 1)

    def answer(self, study: str, text: str) -> None:
        noted = self._init(study, name="answer", job_type="answer", notes=text)
        noted.summary.update({"answer": text})
        noted.finish()

    def close(self) -> None:
        for logged in self._runs.values():
            logged.finish(exit_code=1)
        self._runs.clear()

    def _init(self, study: str, **options: Any) -> Any:
        settings = self._wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
        return self._wandb.init(
            project=self._project or study, mode=self._mode, dir=self._folder, reinit="create_new", settings=settings,
            **options,
        )  # fmt: skip


def _has_key() -> bool:
    """Whether somebody is logged in: by the environment, or in the netrc file that ``wandb login`` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if netrc.netrc(str(path)).authenticators(host):
                return True
    return False
