"""Settings and measurements of runs as flat names and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..spec import Arm, plain
from ..store.records import RunRecord
from ..train.epochs import EpochRecord

Setting = str | int | float | bool
METRICS = tuple(field.name for field in fields(EpochRecord) if field.name not in {"epoch", "health", "measures"})


def settings_of(design: Arm | None, *, arm: str, seed: int, fold: int | None, data: str = "") -> dict[str, Setting]:
    """What a run is made of: arm, seed, levels of factors, layers, training.

    Args:
        design: Its network and training, where they are known.
        arm: Its arm's name.
        seed, fold: Of the run.
        data: The data set's title.
    """
    values: dict[str, Any] = {"arm": arm, "seed": seed, "fold": fold, "data": data or None}
    if design is not None:
        values["factor"] = dict(design.levels)
        values["layers"] = " | ".join(map(str, plain(design.layers)))
        if design.base is not None:
            values["base"] = design.base.model_dump(mode="json", exclude_none=True)
        values["training"] = design.training.model_dump(mode="json", exclude_none=True)
    return _flat(values)


def metrics_of(record: EpochRecord) -> dict[str, float]:
    """What was measured after an epoch, without what is no number."""
    values = {name: float(getattr(record, name)) for name in METRICS}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def scores_of(run: RunRecord) -> dict[str, float]:
    """A run's scores: of the epoch that it kept, and on the test split once that is revealed."""
    kept = run.kept
    values: dict[str, float | int | None] = {
        "kept_validation_accuracy": kept.validation_accuracy if kept else None,
        "kept_validation_loss": kept.validation_loss if kept else None,
        "kept_epoch": kept.epoch if kept else None,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "total_seconds": run.seconds,
    }
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Setting]:
    flat: dict[str, Setting] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        elif value is not None:
            flat[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
