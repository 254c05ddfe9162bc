"""The learning curve of one network: its sizes, what is fitted to them, what more images would bring."""

from __future__ import annotations

from dataclasses import dataclass

from ..measures import Unit
from ..numerals import NOTHING
from ..stats.intervals import Interval
from ..stats.learning_curve import LearningCurve


@dataclass(frozen=True)
class Size:
    """One size of a learning curve.

    Args:
        arm: The arm of this size.
        images: Images of each class; their mean if all images are used.
        scores: One score for each seed.
        seeds: The seeds.
        mean: The mean score.
        is_all: Whether all images are used.
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
    """The learning curve of one network: of arms that differ only in their number of training images.

    Args:
        label: What distinguishes it from the study's other curves; empty for a single one.
        sizes: Its sizes, in increasing order.
        curve: The fitted curve; ``None`` if it cannot be fitted.
        refusal: Why it cannot.
        parameters: The network's parameters; ``None`` if they are not known.
        gain: The gain of the additional images, with its interval.
    """

    label: str
    sizes: tuple[Size, ...]
    curve: LearningCurve | None
    refusal: str = ""
    parameters: int | None = None
    gain: Interval | None = None

    def fitted(self, images: float, unit: Unit) -> str:
        """Return the curve's value at a size with its band, such as ``92.3 [90.4, 94.1]``.

        Args:
            images: Images of each class.
            unit: The unit to write it in.
        """
        if self.curve is None:
            return NOTHING
        at = self.curve.at(images)
        return f"{unit.within(at.low, at.high).number(at.mean)} {unit.interval(at.low, at.high)}"

    @property
    def largest(self) -> float:
        """The largest number of images of a class that the curve is fitted to."""
        return max((size.images for size in self.sizes if not size.is_left_out), default=0.0)
