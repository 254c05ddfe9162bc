from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
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


@pytest.mark.parametrize(("mean", "p_value"), [(0.0, 2**-6), (0.001, 2**-6), (0.002, 1.0), (0.003, 1.0)])
def test_differences_that_are_all_equal_get_the_sign_tests_p(mean, p_value):
    found = equivalence([mean] * 6, 0.002)
    theirs = binomtest(int(6 * (mean < 0.002)), 6, alternative="greater").pvalue
    assert found.p_value == p_value == theirs
    assert (found.low, found.high) == pytest.approx((mean, mean))
    assert "sign test" in found.source


def test_equal_differences_of_too_few_pairs_show_nothing():
    found = equivalence([0.0] * 4, 0.002)
    assert (found.p_value, found.low, found.high) == (2**-4, -math.inf, math.inf)


def test_differences_that_differ_by_rounding_are_equal():
    differences = [0.9 - 0.8, 0.4 - 0.3, 0.3 - 0.2, 1.0 - 0.9, 0.2 - 0.1]
    assert len(set(differences)) > 1
    assert equivalence(differences, 0.2).p_value == 2**-5
    assert equivalence([1e-17, 0.0, -1e-17, 0.0, 1e-17], 0.2).p_value == 2**-5


def test_equal_differences_are_called_equivalent_no_more_often_than_they_may():
    # Accuracies in steps as large as the margin: most studies of six seeds see both values, some see one alone.
    rng = np.random.default_rng(6)
    studies = rng.choice([0.0, 0.02], size=(4000, 6))  # the true difference is the margin, 0.01
    calls = np.mean([equivalence(study, 0.01).p_value < 0.05 for study in studies])
    assert calls <= 0.05 + 4 * (0.05 * 0.95 / 4000) ** 0.5


@pytest.mark.parametrize("margin", [0, -0.001, float("nan"), float("inf")])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(ValueError, match="above 0"):
        equivalence([0.1, 0.2], margin)


def test_one_pair_is_too_few():
    with pytest.raises(TooFewSeeds, match="1 pair"):
        equivalence([0.1], 0.2)
