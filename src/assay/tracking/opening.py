"""Trackers by name, and whether their packages are there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import Problem, SpecError, nearest
from .tracker import Tracker

TrackerName = Literal["mlflow", "tensorboard", "wandb"]
TRACKERS: tuple[str, ...] = get_args(TrackerName)
TITLES = {"mlflow": "MLflow", "tensorboard": "TensorBoard", "wandb": "Weights & Biases"}


def open_tracker(name: str, **options: Any) -> Tracker:
    """A tracker by name.

    Args:
        name: One of ``TRACKERS``.
        options: Of its class: where it logs.

    Raises:
        SpecError: There is no such tracker, or its package is not installed.
    """
    check_tracker(name)
    return _makers()[name](**options)


def check_tracker(name: str) -> None:
    """Raise where a tracker cannot be used. Nothing is imported.

    Raises:
        SpecError: There is no such tracker, or its package is not installed.
    """
    if name not in TRACKERS:
        raise SpecError(Problem(f'there is no tracker "{name}"', nearest(name, TRACKERS), "track"))
    if importlib.util.find_spec(name) is None:
        raise SpecError(Problem(f"{name} is not installed", f'run pip install "assay[{name}]"', "track"))


def _makers() -> dict[str, Callable[..., Tracker]]:
    def mlflow(**options: Any) -> Tracker:
        from .mlflow import MlflowTracker

        return MlflowTracker(**options)

    def tensorboard(folder: str | Path) -> Tracker:
        from .tensorboard import TensorBoardTracker

        return TensorBoardTracker(Path(folder))

    def wandb(**options: Any) -> Tracker:
        from .wandb import WandbTracker

        return WandbTracker(**options)

    return {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb}
