"""Learning-rate schedules."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from ..errors import Problem
from .base import Problems, Spec
from .bounds import MAX_COUNT
from .metric import TrainingMetric

ScheduleName = Literal["constant", "cosine", "one-cycle", "exponential", "step", "plateau"]

# A setting without a default (None) must be given.
DEFAULTS: dict[str, dict[str, float | str | None]] = {
    "constant": {},
    "cosine": {"warmup_epochs": 0.0, "final": 0.0},
    "one-cycle": {"start": 0.04, "peak_at": 0.3, "final": 0.0, "shape": "cosine"},
    "exponential": {"factor": None},
    "step": {"every": None, "factor": None},
    "plateau": {
        "factor": 0.1, "patience": 10, "metric": "validation_loss", "min": 0.0, "min_learning_rate": 0.0,
        "min_delta": 1e-4, "cooldown": 0,
    },
}  # fmt: skip
# Settings added later: at their default they stay out of a run's identity, so that older runs keep theirs.
_LATER = ("min_learning_rate", "min_delta", "cooldown")


def accept_placeholders(schema: dict[str, Any]) -> None:
    """Let every property of a table's JSON Schema be a ``"{factor}"`` too, as study files may write it."""
    for value in schema["properties"].values():
        metadata = {key: value.pop(key) for key in ("title", "description", "default") if key in value}
        original = dict(value)
        value.clear()
        value.update(anyOf=[original, {"type": "string", "pattern": r"\{\w+(\.\w+)?\}"}], **metadata)


def _name_or_table(schema: dict[str, Any]) -> None:
    accept_placeholders(schema)
    table = dict(schema)
    schema.clear()
    schema.update(anyOf=[{"enum": list(get_args(ScheduleName)), "type": "string"}, table])


class Schedule(Spec):
    """How the learning rate changes during a run.

    A name is a short form: ``schedule="cosine"``. All fields are filled in at construction. A field that the schedule
    does not have stays ``None``; giving it is an error.

    Args:
        name: ``"constant"``. ``"cosine"``: a linear warm-up from 0, then half a cosine down to ``final``.
            ``"one-cycle"``: from ``start`` up to the optimizer's learning rate, then down to ``final``.
            ``"exponential"``: multiplied by ``factor`` over each epoch, smoothly. ``"step"``: multiplied by ``factor``
            after every ``every`` epochs. ``"plateau"``: multiplied by ``factor`` when a metric stops improving.
        warmup_epochs: ``cosine``: the length of the warm-up in epochs, fractions included. 0 by default.
        start: ``one-cycle``: the first learning rate as a fraction of the optimizer's. 0.04 by default.
        peak_at: ``one-cycle``: the position of the peak as a share of all steps. 0.3 by default.
        final: ``cosine``, ``one-cycle``: the last learning rate as a fraction of the optimizer's. 0 by default.
        shape: ``one-cycle``: ``"cosine"`` (the default) or ``"linear"``.
        factor: ``exponential``, ``step`` (required), ``plateau`` (0.1 by default): in (0, 1].
        every: ``step``: epochs between two changes. Required.
        patience: ``plateau``: epochs without improvement before the rate is lowered. 10 by default.
        metric: ``plateau``: the metric that must improve. ``validation_loss`` by default, or the study's metric if the
            study names one.
        min: ``plateau``: the lowest rate as a fraction of the optimizer's learning rate. 0 by default.
        min_learning_rate: ``plateau``: the lowest rate itself. The higher of the two bounds counts. 0 by default.
        min_delta: ``plateau``: a change of the metric up to this size is no improvement. 1e-4 by default.
        cooldown: ``plateau``: epochs after a change that do not count as waiting. 0 by default.

    Source: Keras 3's ``CosineDecay``, ``ExponentialDecay`` and ``ReduceLROnPlateau``; PyTorch's ``OneCycleLR``.

    Example:
        >>> assay.Schedule(name="cosine", warmup_epochs=2).settings()
        {'name': 'cosine', 'warmup_epochs': 2.0}
        >>> assay.Schedule(name="step", every=30, factor=0.1).settings()
        {'name': 'step', 'factor': 0.1, 'every': 30}
    """

    model_config = ConfigDict(json_schema_extra=_name_or_table)

    name: ScheduleName = "constant"
    warmup_epochs: float | None = Field(default=None, ge=0)
    start: float | None = Field(default=None, ge=0, le=1)
    peak_at: float | None = Field(default=None, ge=0, le=1)
    final: float | None = Field(default=None, ge=0, le=1)
    shape: Literal["linear", "cosine"] | None = None
    factor: float | None = Field(default=None, gt=0, le=1)
    every: int | None = Field(default=None, ge=1, le=MAX_COUNT, strict=True)
    patience: int | None = Field(default=None, ge=1, le=MAX_COUNT, strict=True)
    metric: TrainingMetric | None = None
    min: float | None = Field(default=None, ge=0, le=1)
    min_learning_rate: float | None = Field(default=None, ge=0)
    min_delta: float | None = Field(default=None, ge=0)
    cooldown: int | None = Field(default=None, ge=0, le=MAX_COUNT, strict=True)

    def identity(self) -> dict[str, Any]:
        """Return what a run depends on, as JSON values."""
        values = self.model_dump(mode="json", exclude_none=True)
        defaults = DEFAULTS[self.name]
        return {key: value for key, value in values.items() if key not in _LATER or value != defaults[key]}

    def settings(self) -> dict[str, Any]:
        """Return what a study file writes: the name, and the settings that differ from their defaults."""
        values = self.model_dump(mode="json", exclude_none=True)
        defaults = DEFAULTS[self.name]
        return {key: value for key, value in values.items() if key == "name" or value != defaults[key]}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            return given
        name = given.get("name", "constant")
        defaults = DEFAULTS.get(name) if isinstance(name, str) else None
        if defaults is None:  # the name itself is wrong, and its own rule says so
            return given
        values = {key: setting for key, setting in given.items() if setting is not None}
        has = f"it has {', '.join(defaults)}" if defaults else "it has no settings"
        problems = [
            Problem(f"{name} has no {key}", has, key)
            for key in values
            if key in cls.model_fields and key not in defaults and key != "name"
        ]
        problems += [
            Problem(f"{name} needs {key}", "give it", key)
            for key, default in defaults.items()
            if default is None and key not in values
        ]
        if problems:
            raise Problems(problems)
        return {**defaults, **values}
