"""Seeds and images for a wanted difference, against the power that simulated looks have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.stats import ImageSpread, Look
from assay.stats.seed_spread import SeedSpread
from assay.stats.seeds_to_plan import Claimed, images_for, seeds_for, smallest_seen
from assay.stats.sequential import AT_PLAN

LEVEL = 0.05 * AT_PLAN
SPREAD = SeedSpread(noise=0.05, image=0.01, images=5000, overlap=1.0, measured=8e-5, seeds=10_000)


def level(seeds: int) -> float:
    return LEVEL


@pytest.mark.parametrize("wanted", [0.01, 0.007])
def test_the_seeds_that_are_planned_see_the_difference_four_times_in_five(wanted: float) -> None:
    seeds = seeds_for(wanted, SPREAD, level, fewest=6)
    assert seeds is not None
    rng = np.random.default_rng(1)
    added = ImageSpread(SPREAD.extra(), SPREAD.images - 1, images=SPREAD.images)
    called = 0
    for _ in range(500):
        images = rng.normal(scale=math.sqrt(SPREAD.extra()))
        values = wanted + images + rng.normal(scale=math.sqrt(SPREAD.variance()), size=seeds)
        called += Look(values, seeds, added).p_value <= LEVEL
    assert called / 500 == pytest.approx(0.8, abs=0.07)
    assert smallest_seen(SPREAD, level, seeds) == pytest.approx(wanted, rel=0.05)


def test_images_are_the_limit_where_no_number_of_seeds_helps() -> None:
    floor = 2.8 * math.sqrt(SPREAD.extra())
    wanted = 0.7 * floor
    assert seeds_for(wanted, SPREAD, level, fewest=6) is None
    assert seeds_for(wanted, SPREAD, level, Claimed(new_images=False), fewest=6) is not None
    images = images_for(wanted, SPREAD, level, 200)
    assert images is not None
    assert images > SPREAD.images
    assert seeds_for(wanted, SPREAD, level, fewest=6, images=images) <= 200
    assert seeds_for(wanted, SPREAD, level, fewest=6, images=0.8 * images) > 200


def test_new_training_sets_take_more() -> None:
    images = seeds_for(0.01, SPREAD, level, fewest=6)
    sets = seeds_for(0.01, SPREAD, level, Claimed(new_images=False, left_out=1 / 9), fewest=6)
    assert sets is None or sets > images


def test_a_wanted_difference_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        seeds_for(0.0, SPREAD, level, fewest=6)
