"""The recorded curves of one run as arrays: the input of the diagnoses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import check_count, numbers
from .protocol import Protocol

Row = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The recorded curves and facts of one run. Rows are [epochs]; accuracies are fractions, losses nats.

    Args:
        train_loss, train_accuracy: In evaluation mode, on a fixed subset of the training split.
        validation_loss, validation_accuracy: The same on the validation split.
        running_loss: Averaged over an epoch's steps, while the weights change.
        num_classes: Classes in the data set.
        num_validation: Validation images, and as many training images; 0 where it is not known.
        state: How the run ended: "finished", "diverged" ...
        reason: Why it failed.
        advice: What its failure's row advises.
        scaling: "unit", "standard" or "none" (bytes 0 to 255).
        is_best_kept: Whether the run keeps its best epoch's weights instead of the last one's.
        health: What ``train.health`` measured, by epoch (from 1).
        shared_images: Validation images that are byte for byte among the training images; ``None`` if not counted.
        running_accuracy: Averaged over an epoch's steps, as ``running_loss``.
        protocol: What the run was trained with.
        class_names: By label, for evidence that names a class; without them it gives the class's number.

    Raises:
        ValueError: Rows differ in length or are no rows of numbers, or there is no class. Curves of a run that
            diverged may hold values that are not finite.
    """

    train_loss: npt.ArrayLike
    train_accuracy: npt.ArrayLike
    validation_loss: npt.ArrayLike
    validation_accuracy: npt.ArrayLike
    num_classes: int
    running_loss: npt.ArrayLike = ()
    num_validation: int = 0
    state: str = "finished"
    reason: str = ""
    advice: str = ""
    scaling: str = "unit"
    is_best_kept: bool = False
    health: dict[int, dict[str, Any]] = field(default_factory=dict)
    shared_images: int | None = None
    running_accuracy: npt.ArrayLike = ()
    protocol: Protocol = field(default_factory=Protocol)
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_count(self.num_classes, "num_classes", least=1)
        for name in (*_ROWS, "running_loss", "running_accuracy"):
            if len(shape := self.row(name).shape) != 1:
                raise ValueError(f"{name} has shape {shape}; give one value per epoch")
        lengths = {len(self.row(name)) for name in _ROWS}
        if len(lengths) > 1:
            raise ValueError(f"the rows have {sorted(lengths)} epochs; give one value per epoch in each")

    def row(self, name: str) -> Row:
        """A row as float64 [epochs]."""
        return numbers(getattr(self, name))

    @property
    def num_epochs(self) -> int:
        return len(self.row("train_loss"))

    @property
    def is_measured(self) -> bool:
        """Whether there is a finite curve of training and validation to look at."""
        return self.num_epochs > 0 and all(bool(np.all(np.isfinite(self.row(name)))) for name in _ROWS)

    @property
    def guessing_loss(self) -> float:
        """The loss of guessing every class alike: ln(classes)."""
        return math.log(self.num_classes)

    @property
    def prior_loss(self) -> float:
        """The loss of guessing each class as often as it is there; of guessing them alike, where that is not known."""
        if self.last_health is None:
            return self.guessing_loss
        shares = np.array(self.last_health["actual"], np.float64) / max(sum(self.last_health["actual"]), 1)
        return min(self.guessing_loss, float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()))

    @property
    def common_share(self) -> float:
        """The share of the most common class: the accuracy of a guess that looks at no image."""
        if self.last_health is None:
            return 1 / self.num_classes
        return float(max(self.last_health["actual"]) / max(sum(self.last_health["actual"]), 1))

    @property
    def has_learned(self) -> bool:
        """Whether little of the loss of guessing is left on training images (a seventh, as healthy runs have)."""
        return self.is_measured and bool(self.row("train_loss")[-1] < 0.15 * self.guessing_loss)

    @property
    def is_stuck(self) -> bool:
        """Whether the training loss ends where guessing has it, so that nothing of the images was learned."""
        return self.is_measured and bool(smooth(self.row("train_loss"))[-1] > 0.93 * self.prior_loss)

    def name_of(self, label: int) -> str:
        """A class, for a sentence."""
        return f"class {self.class_names[label]}" if self.class_names else f"class {label}"

    @property
    def last_health(self) -> dict[str, Any] | None:
        return self.health[max(self.health)] if self.health else None


_ROWS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def smooth(values: Row) -> Row:
    """Running medians of three epochs (of the first and last three at the ends), so that one outlier has no effect."""
    if len(values) < 3:
        return values
    middle = np.median(np.lib.stride_tricks.sliding_window_view(values, 3), axis=1)
    return np.concatenate([middle[:1], middle, middle[-1:]])
