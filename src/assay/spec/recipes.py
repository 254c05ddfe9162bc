"""The specs of training recipes: averaged weights, distillation, ensembles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, field_validator

from ..errors import Problem
from .base import Problems, Spec
from .bounds import MAX_MEMBERS
from .schedule import accept_placeholders

SAME: Final = "same"


class Swa(Spec):
    """Stochastic weight averaging: evaluate and keep the mean of the weights after each late epoch.

    The statistics of batch normalization are computed again for the mean.

    Args:
        start: The share of all epochs before averaging begins, in [0, 1). 0.75 of 20 epochs averages epochs 16 to 20.
        learning_rate: The rate of the averaged epochs. The schedule's rate if ``None``.

    Source: Izmailov et al. (2018), "Averaging weights leads to wider optima and better generalization".

    Example:
        >>> assay.Swa(start=0.75).first_epoch(20)
        16
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    start: float = Field(default=0.75, ge=0, lt=1)
    learning_rate: float | None = Field(default=None, gt=0)

    def first_epoch(self, epochs: int) -> int:
        """Return the first epoch, counted from 1, whose weights are averaged.

        Args:
            epochs: Epochs of the run.
        """
        return int(self.start * epochs + 1e-9) + 1


class Distillation(Spec):
    """Knowledge distillation: an arm (the student) learns from the probabilities of another arm and from the labels.

    The loss of an image is (1 - weight) x cross-entropy with its label + weight x temperature^2 x cross-entropy of the
    softened probabilities of student and teacher, softmax(logits / temperature).

    Args:
        teacher: The name of an arm of the study.
        temperature: The divisor of the logits, above 0 and at most 1,000.
        weight: The teacher's share of the loss, above 0 and at most 1.
        seed: The teacher's run: ``"same"``, the one with the student's seed; or one fixed seed of the study.

    Source: Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network".

    Example:
        >>> assay.Training(distillation=assay.Distillation(teacher="large")).distillation.temperature
        4.0
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    teacher: str = Field(min_length=1, max_length=120)
    temperature: float = Field(default=4.0, gt=0, le=1000)
    weight: float = Field(default=0.9, gt=0, le=1)
    seed: int | Literal["same"] = SAME

    def seed_of(self, seed: int) -> int:
        """Return the seed of the teacher's run.

        Args:
            seed: The seed of the student's run.
        """
        return seed if self.seed == "same" else self.seed

    @field_validator("seed", mode="before")
    @classmethod
    def _is_same_or_a_seed(cls, value: Any) -> Any:
        if value == SAME or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise ValueError(f'got {value!r}; give "same", or the number of a seed')


def members_of(value: Any) -> Any:
    """``ensemble`` as a study file writes it: a number of members, or ``"none"``.

    Raises:
        Problems: It is a number below 2.
    """
    if value == "none":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value < 2:
        what = f"an ensemble of {value} is {'one network' if value == 1 else 'none'}"
        raise Problems([Problem(what, 'give 2 members or more, or "none" for one network', "")])
    if isinstance(value, int) and not isinstance(value, bool) and value > MAX_MEMBERS:
        raise Problems([Problem(f"got {value:,} members", f"give {MAX_MEMBERS} at most", "")])
    return value


def none_or(name: str, example: str) -> Callable[[Any], Any]:
    """Reads a table, or ``"none"``, which a level of a factor may be."""

    def read(value: Any) -> Any:
        if value == "none":
            return None
        if value is None or isinstance(value, dict | Spec):
            return value
        raise ValueError(f'got {value!r}; give a table such as {name} = {example}, or "none"')

    return read
