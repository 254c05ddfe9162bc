from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from assay.stats import (
    equivalence,
    pairs_for_difference,
    pairs_for_equivalence,
    power_of,
    smallest_difference,
)


@pytest.mark.parametrize("n", [2, 6, 20, 400])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 8])
def test_power_is_statsmodelss(n, effect, alpha):
    theirs = TTestPower().power(effect, n, alpha)
    # Far beyond certainty statsmodels' noncentral t gives up (nan); the power there is 1.
    assert power_of(effect, n, alpha=alpha) == pytest.approx(1.0 if np.isnan(theirs) else theirs, abs=1e-7)
    assert power_of(-effect, n, alpha=alpha) == power_of(effect, n, alpha=alpha)


@pytest.mark.parametrize("n", [2, 6, 10, 40])
def test_the_smallest_difference_is_statsmodelss(n):
    theirs = TTestPower().solve_power(effect_size=None, nobs=n, alpha=0.05, power=0.8)
    assert smallest_difference(0.003, n) == pytest.approx(0.003 * theirs, rel=1e-6)


def test_cohens_medium_effect_needs_the_textbook_34_pairs():
    # Cohen (1988) and G*Power: d = 0.5, two-sided 5 %, power 0.8, one sample of differences: n = 34.
    assert pairs_for_difference(0.5, 1.0) == 34
    assert power_of(0.5, 33) < 0.8 <= power_of(0.5, 34)


@pytest.mark.parametrize(("mean", "margin"), [(0.0, 0.6), (0.2, 0.6)])
def test_so_many_pairs_show_equivalence_four_times_in_five(mean, margin):
    n = pairs_for_equivalence(mean, 1.0, margin)
    rng = np.random.default_rng(n)
    found = [equivalence(row, margin).p_value < 0.05 for row in rng.normal(mean, 1.0, (2000, n))]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * (0.16 / 2000) ** 0.5 + 0.02)


def test_what_no_number_of_pairs_finds_is_none():
    assert pairs_for_difference(0.0, 1.0) is None
    assert pairs_for_difference(1e-6, 1.0) is None
    assert pairs_for_equivalence(0.5, 1.0, 0.5) is None
    assert smallest_difference(1.0, 1) is None
    assert power_of(1.0, 1) == 0.0


def test_scores_that_never_vary_need_no_more_pairs_than_asked_for():
    assert pairs_for_difference(0.1, 0.0, fewest=6) == 6
    assert pairs_for_equivalence(0.0, 0.0, 0.1, fewest=6) == 6
    assert smallest_difference(0.0, 6) == 0.0
