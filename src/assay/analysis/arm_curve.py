"""The learning curve of one network: its sizes, what is fitted to them, what more images would bring."""

from __future__ import annotations

from dataclasses import dataclass

from ..measures import Unit
from ..numerals import NOTHING
from ..stats.intervals import Interval
from ..stats.learning_curve import LearningCurve


@dataclass(frozen=True)
class Size:
    """One size of a curve.

    Args:
        arm: The arm that learns from so many.
        images: Of each class; of all images their mean.
        scores: One for each seed.
        seeds: Theirs.
        mean: Of them.
        is_all: Whether these are all images.
        is_left_out: Whether the curve is fitted without it.
    """

    arm: str
    images: float
    scores: tuple[float, ...]
    seeds: tuple[int, ...]
    mean: float
    is_all: bool = False
    is_left_out: bool = False


@dataclass(frozen=True, eq=False)
class ArmCurve:
    """The curve of one network: of arms that differ in nothing but how many images they learn from.

    Args:
        label: What tells it from the study's other curves; "" for a single one.
        sizes: Its sizes, rising.
        curve: What is fitted to them; ``None`` where that cannot be.
        refusal: Why it cannot.
        parameters: Of the network; ``None`` where that is not known.
        gain: What the images that are asked for would bring.
    """

    label: str
    sizes: tuple[Size, ...]
    curve: LearningCurve | None
    refusal: str = ""
    parameters: int | None = None
    gain: Interval | None = None

    def fitted(self, images: float, unit: Unit) -> str:
        """What the curve says at a size, with its band: ``92.3 [90.4, 94.1]``."""
        if self.curve is None:
            return NOTHING
        at = self.curve.at(images)
        return f"{unit.within(at.low, at.high).number(at.mean)} {unit.interval(at.low, at.high)}"

    @property
    def largest(self) -> float:
        """The most images of a class that the curve is fitted to."""
        return max((size.images for size in self.sizes if not size.is_left_out), default=0.0)
