"""How many seeds, and how many validation images, a verdict needs to see a wanted difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .crossed import MAX_IMAGES
from .look_power import detectable_effect, look_power
from .power import POWER, fewest_pairs
from .seed_spread import SeedSpread

MOST_SEEDS = 1000  # more, nobody trains

Level = Callable[[int], float]  # of a look at so many seeds


@dataclass(frozen=True)
class Claimed:
    """Of what the verdict will speak.

    Args:
        new_images: Whether of new images, so that those that seeds share count.
        left_out: For new training sets, images that a split leaves out over those it trains on.
    """

    new_images: bool = True
    left_out: float = 0.0


NEW_IMAGES = Claimed()


def deviation_of(
    spread: SeedSpread, seeds: int, claimed: Claimed = NEW_IMAGES, *, images: float | None = None
) -> float:
    """What a look at so many seeds takes one pair's deviation to be: with what images and training sets add.

    Args:
        spread: Of the difference between seeds.
        seeds: How many.
        claimed: Of what the verdict speaks.
        images: Validation images; those of the spread if ``None``.
    """
    variance = spread.variance(images) * (1 + seeds * claimed.left_out)
    if claimed.new_images:
        variance += seeds * spread.extra(images)
    return math.sqrt(variance)


def sees(
    wanted: float,
    spread: SeedSpread,
    seeds: int,
    level: float,
    claimed: Claimed = NEW_IMAGES,
    *,
    images: float | None = None,
) -> bool:
    """Whether a look at so many seeds calls a true difference of ``wanted`` (a fraction) with a chance of 0.8.

    Args:
        wanted: The difference.
        spread: As for ``deviation_of``.
        seeds: How many.
        level: The look's nominal level.
        claimed: Of what the verdict speaks.
        images: As for ``deviation_of``.
    """
    deviation = deviation_of(spread, seeds, claimed, images=images)
    return look_power(min(wanted / deviation, 1e3) if deviation > 0 else 1e3, seeds, level=level) >= POWER


def seeds_for(
    wanted: float,
    spread: SeedSpread,
    level: Level,
    claimed: Claimed = NEW_IMAGES,
    *,
    fewest: int,
    images: float | None = None,
) -> int | None:
    """The fewest seeds whose look sees ``wanted``; ``None`` where ``MOST_SEEDS`` do not.

    Args:
        wanted: As for ``sees``.
        spread: As for ``deviation_of``.
        level: The nominal level of a look at so many seeds.
        claimed: Of what the verdict speaks.
        fewest: Below this no verdict is given.
        images: As for ``deviation_of``.

    Raises:
        ValueError: ``wanted`` is not above 0.
    """
    _check(wanted)

    def enough(seeds: int) -> bool:
        return sees(wanted, spread, seeds, level(seeds), claimed, images=images)

    return fewest_pairs(enough, min(fewest, MOST_SEEDS), limit=MOST_SEEDS) if enough(MOST_SEEDS) else None


def images_for(wanted: float, spread: SeedSpread, level: Level, seeds: int) -> int | None:
    """The fewest validation images on which so many seeds see ``wanted`` for new images; ``None`` where none do.

    With a split of each seed's own, more images than there are to draw from mean that there are so many of these.

    Raises:
        ValueError: ``wanted`` is not above 0.
    """
    _check(wanted)

    def enough(images: int) -> bool:
        return sees(wanted, spread, seeds, level(seeds), images=float(images))

    return fewest_pairs(enough, max(int(spread.images), 2), limit=MAX_IMAGES) if enough(MAX_IMAGES) else None


def smallest_seen(
    spread: SeedSpread, level: Level, seeds: int, claimed: Claimed = NEW_IMAGES, *, images: float | None = None
) -> float | None:
    """The smallest true difference (a fraction) that a look at so many seeds calls with a chance of 0.8.

    ``None`` where no difference is large enough for so few seeds.
    """
    effect = detectable_effect(seeds, level(seeds))
    return None if effect is None else effect * deviation_of(spread, seeds, claimed, images=images)


def _check(wanted: float) -> None:
    if not (math.isfinite(wanted) and wanted > 0):
        raise ValueError(f"the wanted difference is {wanted!r}; give a number above 0")
