from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.proportion import proportion_confint

from assay.stats import image_bootstrap, mcnemar, mean_interval, share_interval


def rows(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


@pytest.mark.parametrize("counts", [(9800, 60, 90, 50), (50, 0, 7, 3), (10, 5, 5, 0)])
def test_mcnemars_p_value_is_statsmodelss(counts):
    both, only_a, only_b, neither = counts
    found = mcnemar(*rows(*counts))
    theirs = their_mcnemar([[both, only_a], [only_b, neither]], exact=True)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.only_a, found.only_b, found.n) == (only_a, only_b, sum(counts))


def test_networks_that_never_disagree_cannot_be_told_apart():
    assert mcnemar(*rows(90, 0, 0, 10)).p_value == 1.0


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_has_newcombes_digits(count, total, low, high):
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, table I.
    found = share_interval(count, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(("count", "total"), [(9923, 10_000), (10, 10), (3, 4)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilsons_interval_is_statsmodelss(count, total, confidence):
    found = share_interval(count, total, confidence=confidence)
    assert (found.low, found.high) == pytest.approx(proportion_confint(count, total, 1 - confidence, "wilson"))


@pytest.mark.parametrize(("count", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_what_is_no_share_is_refused(count, total):
    with pytest.raises(ValueError, match="count from 0"):
        share_interval(count, total)


def test_the_bootstrap_over_images_keeps_pairs_together():
    a, b = rows(9700, 80, 140, 80)
    found = image_bootstrap(a, b)
    normal = mean_interval(b.astype(float) - a)  # at 10,000 images, Student's interval is the truth to a few percent
    assert found.mean == pytest.approx(0.006)
    assert (found.low, found.high) == pytest.approx((normal.low, normal.high), abs=2e-4)
    assert found == image_bootstrap(a, b)
    assert image_bootstrap(a, b, draws=99) != image_bootstrap(a, b, draws=99, seed=1)
    # Resampling images is the same whatever their order.
    order = np.random.default_rng(0).permutation(len(a))
    assert image_bootstrap(a[order], b[order]) == found


def test_rows_that_do_not_pair_are_refused():
    for compare in (mcnemar, image_bootstrap):
        with pytest.raises(ValueError, match="two equal rows"):
            compare([True, False], [True])
