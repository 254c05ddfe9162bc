from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from assay.errors import TooFewSeeds
from assay.stats import equivalence, mean_interval


@pytest.mark.parametrize("n", [2, 6, 25])
@pytest.mark.parametrize(("mean", "margin"), [(0.0, 0.002), (0.001, 0.001), (-0.003, 0.002)])
def test_the_p_value_is_statsmodelss(n, mean, margin):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.9, 0.001, n), rng.normal(0.9 + mean, 0.001, n)
    theirs, *_ = ttost_paired(b, a, -margin, margin)
    assert equivalence(b - a, margin).p_value == pytest.approx(theirs, rel=1e-9)


def test_the_interval_within_the_margin_says_what_p_says():
    rng = np.random.default_rng(1987)
    for differences in rng.normal(0.0, 1.0, (200, 8)):
        found = equivalence(differences, 0.7)
        ninety = mean_interval(differences, confidence=0.9)
        assert (found.low, found.high) == pytest.approx((ninety.low, ninety.high))
        assert (found.p_value < 0.05) == (found.low > -0.7 and found.high < 0.7)


@pytest.mark.parametrize(("mean", "p_value"), [(0.0, 0.0), (0.001, 0.0), (0.002, 1.0), (0.003, 1.0)])
def test_differences_that_are_all_equal_lie_within_the_margin_or_not(mean, p_value):
    assert equivalence([mean] * 6, 0.002).p_value == p_value


@pytest.mark.parametrize("margin", [0, -0.001, float("nan"), float("inf")])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(ValueError, match="above 0"):
        equivalence([0.1, 0.2], margin)


def test_one_pair_is_too_few():
    with pytest.raises(TooFewSeeds, match="1 pair"):
        equivalence([0.1], 0.2)
