"""What the bridge knows of a run, of the slot that has it, and when another slot should have it too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...spec import Arm


@dataclass
class Job:
    task: dict[str, Any]
    memory: int | None
    is_over: bool = False

    @property
    def run(self) -> str:
        return str(self.task["id"])

    @property
    def arm(self) -> str:
        """What runs have in common that take as long."""
        arm = self.task["arm"]
        return json.dumps([arm["layers"], arm.get("base"), arm["training"]])

    @property
    def folder(self) -> Path:
        return Path(self.task["folder"])

    @property
    def epochs(self) -> int:
        return int(self.task.get("pause_after") or Arm.of(self.task["arm"]).training.planned_epochs)


@dataclass(eq=False)
class Place:
    """A slot as the bridge sees it. What a second attempt says is held back until it is the first to end."""

    actor: Any
    memory: int
    about: dict[str, Any] = field(default_factory=dict)  # empty until it has started
    job: Job | None = None
    is_second: bool = False
    held: list[dict[str, Any]] = field(default_factory=list)
    heard: float = 0.0
    left: Sequence[int] | None = None  # bytes of memory that its machine last had left, and has
    epochs: int = 0

    @property
    def is_idle(self) -> bool:
        return bool(self.about) and self.job is None


def is_late(pace: float, elsewhere: float, epochs_left: int, patience_seconds: float) -> bool:
    """Whether a run would end much sooner on another machine.

    Args:
        pace: Seconds an epoch where it is, the one that it is in included.
        elsewhere: Seconds an epoch of its arm's runs on other machines.
        epochs_left: Epochs that it still has to do.
        patience_seconds: Less than this is not worth a second attempt.
    """
    return pace > 2 * elsewhere and epochs_left * (pace - elsewhere) > patience_seconds
