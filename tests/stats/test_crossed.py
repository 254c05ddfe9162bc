"""Intervals of seeds crossed with images: against Student, against sums over pairs, against constructed truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from assay.errors import TooFewSeeds
from assay.stats import (
    ImageSpread,
    corrected_resampled_difference,
    crossed_interval,
    crossed_p,
    image_share,
    image_spread,
    images_needed,
    mean_interval,
    seeds_needed,
)

from . import crossed_simulation
from .crossed_simulation import Design
from .test_error_rates import most

DIFFERENCES = [0.4, -0.1, 0.9, 0.3, 0.8, -0.2, 0.5]


def some_rows(rng: np.random.Generator, sizes: list[int], pool: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    leaning = rng.normal(size=pool)
    images = [rng.choice(pool, size, replace=False) for size in sizes]
    return [np.sign(np.round(leaning[ids] + rng.normal(size=len(ids)))) for ids in images], images


def covariance_by_pairs(rows: list[np.ndarray], images: list[np.ndarray]) -> float:
    """The covariance of two seeds' means from the images that both have, one pair and image at a time."""
    total, overlaps = 0.0, []
    for s, t in itertools.permutations(range(len(rows)), 2):
        both = set(images[s]) & set(images[t])
        first = dict(zip(images[s], rows[s] - rows[s].mean(), strict=True))
        second = dict(zip(images[t], rows[t] - rows[t].mean(), strict=True))
        total += sum(first[i] * second[i] for i in both) / len(rows[s]) / len(rows[t])
        overlaps.append(len(both) / len(rows[s]) / len(rows[t]))
    pairs, mean_size = len(overlaps), float(np.mean([len(row) for row in rows]))
    overlap = float(np.mean(overlaps)) * mean_size
    added = 0.25 * float(np.mean(overlaps)) / mean_size
    return max(total / pairs / (1 - (2 - overlap) / mean_size), 0.0) + added


@pytest.mark.parametrize("sizes", [[40] * 5, [40, 41, 40, 39]])
def test_the_images_part_is_the_mean_covariance_of_two_seeds(sizes):
    rows, images = some_rows(np.random.default_rng(1), sizes, 60)
    assert image_spread(rows, images).extra == pytest.approx(covariance_by_pairs(rows, images), rel=1e-9)


def test_images_that_all_seeds_share_may_be_given_once_and_in_any_order():
    rng = np.random.default_rng(2)
    rows, _ = some_rows(rng, [30] * 6, 30)
    shared = rng.permutation(500)[:30]
    spread = image_spread(rows, [shared] * 6)
    assert image_spread(np.array(rows), shared) == spread
    order = rng.permutation(30)
    again = image_spread([rows[0][order], *rows[1:]], [shared[order], *[shared] * 5])
    assert again.extra == pytest.approx(spread.extra, rel=1e-12)


def test_the_variance_of_images_is_estimated_without_the_noise_of_seeds():
    rng = np.random.default_rng(3)
    n, m, pool = 8, 400, 2_000
    estimates = []
    for _ in range(300):
        of_image, images = rng.normal(size=pool), [rng.choice(pool, m, replace=False) for _ in range(n)]
        rows = [of_image[ids] + rng.normal() + 2 * rng.normal(size=m) for ids in images]
        spread = image_spread(rows, images)
        # The added quarter of an image has the mean square of a value: 1 of images, 1 of seeds, 4 of noise.
        estimates.append(spread.extra - 0.25 * 6 * (m / pool) / m**2)
    assert np.mean(estimates) == pytest.approx((m / pool) / m, rel=0.05)


def test_units_change_nothing():
    rows, images = some_rows(np.random.default_rng(4), [50] * 6, 100)
    points = image_spread([100 * row for row in rows], images)
    assert points.extra == pytest.approx(1e4 * image_spread(rows, images).extra, rel=1e-9)


def test_a_claim_on_these_images_is_students_interval():
    rows, images = some_rows(np.random.default_rng(5), [50] * 7, 100)
    spread = image_spread(rows, images, claim="these images")
    plain = mean_interval(DIFFERENCES)
    assert crossed_interval(DIFFERENCES, spread) == pytest.approx((plain.low, plain.high), rel=1e-12)
    statistic = plain.mean / (np.std(DIFFERENCES, ddof=1) / 7**0.5)
    from scipy.stats import t

    assert crossed_p(DIFFERENCES, spread) == pytest.approx(2 * t.sf(statistic, 6), rel=1e-9)


def test_new_training_sets_with_fresh_splits_are_the_corrected_resampled_test():
    rng = np.random.default_rng(6)
    images = [rng.choice(1_000, 100, replace=False) for _ in DIFFERENCES]
    rows = [rng.choice([-1, 0, 1], 100) for _ in DIFFERENCES]
    spread = image_spread(rows, images, claim="new training sets", num_training=900)
    corrected = corrected_resampled_difference(np.array(DIFFERENCES)[:, None], test_to_train=1 / 9)
    low, high = crossed_interval(DIFFERENCES, ImageSpread(inflation=spread.inflation))
    assert (low, high) == pytest.approx((corrected.low, corrected.high), rel=1e-12)
    # Pairs of seeds share about a tenth of their images, as the correction supposes: nothing is left to add.
    assert spread.extra < 0.1 * image_spread(rows, images).extra


def test_new_training_sets_leave_a_shared_test_split_to_be_added():
    rows, _ = some_rows(np.random.default_rng(7), [80] * 6, 80)
    spread = image_spread(rows, np.arange(80), claim="new training sets", num_training=900, num_left_out=100)
    assert spread.extra == image_spread(rows, np.arange(80)).extra
    assert spread.inflation == pytest.approx((1 + 6 / 9) ** 0.5)


def test_folds_of_one_seed_share_no_image_and_add_nothing():
    rows, images = [np.array([1.0, 0, 0, -1])] * 3, [np.arange(4) + 4 * fold for fold in range(3)]
    assert image_spread(rows, images).extra == 0


@pytest.mark.parametrize("extra", [0.0, 1e-4, 0.02, 5.0])
@pytest.mark.parametrize("inflation", [1.0, 1.4])
def test_p_is_the_level_at_which_the_interval_ends_at_zero(extra, inflation):
    spread = ImageSpread(extra, 99.0, inflation)
    p = crossed_p(DIFFERENCES, spread)
    assert crossed_interval(DIFFERENCES, spread, confidence=1 - p)[0] == pytest.approx(0, abs=1e-9)
    assert crossed_p(-np.array(DIFFERENCES), spread) == pytest.approx(p, rel=1e-9)


def test_a_mean_of_rounding_errors_has_no_level_that_excludes_zero():
    assert crossed_p([0.3, -0.1, -0.2, 0.0], ImageSpread(0.02, 99.0, 1.0)) == pytest.approx(1)


def test_intervals_only_grow_with_what_is_added():
    widths = [np.diff(crossed_interval(DIFFERENCES, ImageSpread(extra, 50.0)))[0] for extra in np.linspace(0, 0.1, 40)]
    assert np.all(np.diff(widths) > 0)


def test_equal_differences_have_a_p():
    assert crossed_p([0.0] * 6, ImageSpread(0.1, 9.0)) == 1
    assert crossed_p([0.5] * 6, ImageSpread()) == 0
    # Where seeds do not vary the interval is that of images alone.
    from scipy.stats import t

    assert crossed_p([0.5] * 6, ImageSpread(0.04, 9.0)) == pytest.approx(2 * t.sf(2.5, 9), rel=1e-6)


def test_more_seeds_or_more_images_as_the_variance_has_it():
    rng = np.random.default_rng(8)
    differences = rng.normal(0.5, 1.0, 10)
    few = ImageSpread(0.0001, 999.0, noise=0.2, images=1_000)
    assert images_needed(0.5, differences, few) is None
    assert seeds_needed(0.5, differences, few) is not None
    assert image_share(differences, few) < 0.01
    limited = ImageSpread(0.25, 999.0, noise=0.0, images=1_000)
    assert seeds_needed(0.5, differences, limited) is None
    assert image_share(differences, limited) > 0.5
    needed = images_needed(0.5, differences, limited)
    assert needed is not None
    assert needed.seeds in (20, 40, 80, 160)
    # The difference is 1.96 + 0.84 standard errors of both parts of the variance, or a little more where seeds are few.
    error = math.sqrt(differences.var(ddof=1) / needed.seeds + 0.25 * 1_000 / needed.images)
    assert 2.80 <= 0.5 / error < 3.0


@pytest.mark.parametrize(
    ("sigma_seeds", "wanted", "seeds"),
    [
        (0.01, 0.06, 20),  # images alone are the limit
        (0.4, 0.35, 20),  # more seeds would do little
        (0.4, 0.262, 40),  # 20 seeds alone barely find it on any number of images
        (0.4, 0.1, 320),  # 20 seeds cannot
    ],
)
def test_the_seeds_and_images_that_are_asked_for_find_the_difference(sigma_seeds, wanted, seeds):
    rng = np.random.default_rng(9)
    n, sigma_images, sigma_noise, m = 20, 6.0, 1.5, 500
    spread = ImageSpread(sigma_images**2 / m, m - 1.0, noise=sigma_noise**2 / m, images=m)
    scatter = rng.normal(size=n)
    scatter = (scatter - scatter.mean()) / scatter.std(ddof=1) * math.hypot(sigma_seeds, sigma_noise / m**0.5)
    needed = images_needed(wanted, wanted + scatter, spread)
    assert needed is not None
    assert needed.seeds == seeds
    found = []
    for _ in range(2_000):
        row = wanted + math.hypot(sigma_seeds, sigma_noise / needed.images**0.5) * rng.normal(size=seeds)
        row += sigma_images / needed.images**0.5 * rng.normal()
        low, high = crossed_interval(row, ImageSpread(sigma_images**2 / needed.images, needed.images - 1.0))
        found.append(low > 0 or high < 0)
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_bad_input_is_named():
    rows, images = [np.zeros(4), np.ones(4)], np.arange(4)
    with pytest.raises(TooFewSeeds):
        image_spread(rows[:1], images)
    with pytest.raises(ValueError, match="claim is 'all'"):
        image_spread(rows, images, claim="all")
    with pytest.raises(ValueError, match="num_training is None"):
        image_spread(rows, images, claim="new training sets")
    with pytest.raises(ValueError, match="2 rows of differences and 3 of images"):
        image_spread(rows, [images] * 3)
    with pytest.raises(ValueError, match="give one of each an image"):
        image_spread(rows, np.arange(5))
    with pytest.raises(ValueError, match="not finite"):
        image_spread([rows[0], np.array([1, 0, np.nan, 0])], images)
    with pytest.raises(ValueError, match="integers from 0"):
        image_spread(rows, [images, images - 1])
    with pytest.raises(ValueError, match="confidence"):
        crossed_interval(DIFFERENCES, ImageSpread(), confidence=1.0)
    with pytest.raises(TooFewSeeds):
        crossed_p([1.0], ImageSpread())
    with pytest.raises(ValueError, match="not finite"):
        crossed_p([1.0, math.nan], ImageSpread())
    with pytest.raises(ValueError, match="wanted"):
        seeds_needed(math.nan, DIFFERENCES, ImageSpread())


SIZES = [pytest.param(200, id="200 studies"), pytest.param(2000, marks=pytest.mark.slow, id="2,000 studies")]


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("n", [6, 10, 30])
@pytest.mark.parametrize(("m", "accuracy"), [(180, 0.99), (1_000, 0.8)])
def test_intervals_hold_the_difference_on_new_images(studies, n, m, accuracy):
    (equal,) = crossed_simulation.rates(studies, Design(n, m, accuracy), "new images")
    (unequal,) = crossed_simulation.rates(studies, Design(n, m, accuracy, shift=1.0), "new images")
    assert equal.calls <= most(studies)
    assert min(equal.coverage, unequal.coverage) >= 0.94 - 4 * (0.06 * 0.94 / studies) ** 0.5
    assert equal.seeds_coverage < equal.coverage


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("claim", ["new images", "new training sets"])
def test_fresh_splits_share_images_and_are_not_independent(studies, claim):
    (found,) = crossed_simulation.rates(studies, Design(30, 180, 0.8, "redrawn", arm_spread=6.0, seeds=0.0), claim)
    assert found.calls <= most(studies)
    assert found.seeds_calls > 0.15
    assert found.coverage >= 0.94 - 4 * (0.06 * 0.94 / studies) ** 0.5


def test_training_images_that_seeds_share_are_not_averaged_out_by_seeds():
    rng = np.random.default_rng(3)
    scatter = rng.normal(size=10)
    scatter = (scatter - scatter.mean()) / scatter.std(ddof=1)
    spread = ImageSpread(0.05, 999.0, noise=0.0, images=1_000, inflation=2.0)
    # Of the seeds' variance, 4 x 0.1, three quarters stay however many there are: an error of 0.55 at least.
    within, beyond = 2.802 * 0.3**0.5 * 0.98, 2.802 * 0.3**0.5 * 1.05
    assert images_needed(within, within + scatter, spread) is None
    needed = images_needed(beyond, beyond + scatter, spread)
    assert needed is not None
    assert needed.seeds > 10
