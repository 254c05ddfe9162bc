"""How a network is trained."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..errors import Problem
from .augmentation import Augmentation
from .base import Problems, Spec
from .schedule import Schedule

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop", "adadelta"]

# Keras's defaults, which are what the readers of a bare optimizer name mean.
DEFAULTS: dict[str, dict[str, float | bool]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.004},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
}


class Optimizer(Spec):
    """An optimizer with Keras's formula and, where a value is not given, Keras's default.

    Every field is filled in at construction, so that two ways to write the same optimizer are equal.
    A field that the named optimizer does not have stays ``None``.
    """

    name: OptimizerName = "adam"
    learning_rate: float | None = Field(default=None, gt=0)
    momentum: float | None = Field(default=None, ge=0, lt=1)
    nesterov: bool | None = None
    beta_1: float | None = Field(default=None, ge=0, lt=1)
    beta_2: float | None = Field(default=None, ge=0, lt=1)
    rho: float | None = Field(default=None, ge=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)
    centered: bool | None = None
    weight_decay: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            return given
        defaults = DEFAULTS.get(given.get("name", "adam"))
        if defaults is None:  # the name itself is wrong, and its own rule says so
            return given
        foreign = [key for key, v in given.items() if key in cls.model_fields and key not in defaults and v is not None]
        foreign = [key for key in foreign if key != "name"]
        if foreign:
            raise ValueError(
                f"{given.get('name', 'adam')} has no {' and no '.join(foreign)}, it has {', '.join(defaults)}"
            )
        return {**defaults, **{k: v for k, v in given.items() if v is not None}}


Precision = Literal["float32", "bfloat16"]


class Training(Spec):
    """The training protocol of an arm. The loss is categorical cross-entropy.

    Args:
        epochs: Passes over the training split.
        batch_size: Examples per step; the last, short batch of an epoch is kept.
        optimizer: A name, or a table with a name and its settings.
        schedule: What becomes of the optimizer's learning rate: a name, or a table with a name and its settings.
        precision: What activations and products are rounded to (weights, sums and statistics are float32): ``auto`` is
            bfloat16 where the processor multiplies it and the network takes the fused path, else float32.
        augmentation: How training images are varied; ``None``, as is one whose every kind is off, leaves them alone.
    """

    epochs: int = Field(default=10, ge=1, strict=True)
    batch_size: int = Field(default=128, ge=1, strict=True)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation | None = None
    precision: Precision | Literal["auto"] = "auto"

    @field_validator("augmentation")
    @classmethod
    def _off_is_none(cls, value: Augmentation | None) -> Augmentation | None:
        return value if value is not None and value.changes_anything else None

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        warmup = self.schedule.warmup_epochs or 0
        if warmup >= self.epochs:
            what = f"the warm-up takes {warmup:g} epochs of {self.epochs}"
            raise Problems([Problem(what, "give fewer, or more epochs", "schedule.warmup_epochs")])
        return self
