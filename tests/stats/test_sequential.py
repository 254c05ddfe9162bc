from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from assay.stats import Spending, nominal_levels, overall_levels, planned_looks

PAIRS = (1, 2, 3, 4, 5)


def pocock(share: float) -> float:
    """Lan and DeMets's spending function of Pocock's kind."""
    return float(np.log(1 + (np.e - 1) * share))


def test_the_bounds_for_five_looks_are_the_published_ones():
    # Reboussin, DeMets, Kim and Lan (2000), Controlled Clinical Trials 21: Pocock-type spending, two-sided 5 %.
    levels = nominal_levels(PAIRS, tuple(pocock(n / 5) for n in PAIRS))
    assert [-ndtri(level / 2) for level in levels] == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("pairs", [(6, 16, 40), (10, 24, 40)])
def test_looks_cross_together_as_often_as_was_spent(two_sided, pairs):
    spent = tuple(Spending(10).spent(n) for n in pairs)
    levels = nominal_levels(pairs, spent, two_sided=two_sided)
    bounds = [-ndtri(level / (2 if two_sided else 1)) for level in levels]
    covariance = [[(min(s, t) / max(s, t)) ** 0.5 for s in pairs] for t in pairs]
    for looks in (2, 3):
        lower = [-bound if two_sided else -np.inf for bound in bounds[:looks]]
        process = multivariate_normal(cov=np.array(covariance)[:looks, :looks], abseps=1e-8, releps=1e-8, seed=0)
        inside = process.cdf(bounds[:looks], lower_limit=lower)
        assert 1 - inside == pytest.approx(0.05 * spent[looks - 1], abs=1e-6)


def test_one_look_that_spends_everything_is_the_plain_test():
    assert nominal_levels((12,), (1.0,)) == pytest.approx((0.05,))
    assert overall_levels([0.03], [12], [1.0]) == pytest.approx([0.03])


def test_looks_at_the_same_pairs_are_an_error():
    with pytest.raises(ValueError, match="rise"):
        nominal_levels((10, 10), (0.8, 0.9))


def test_most_of_the_five_percent_is_for_the_planned_look():
    plan = Spending(10)
    assert plan.spent(0) == 0
    assert plan.spent(9) < 0.02
    assert plan.spent(10) == pytest.approx(0.86)
    assert plan.spent(20) == pytest.approx(1 - 0.14 / 4)
    assert plan.spent(10_000) == pytest.approx(1, abs=1e-6)
    assert np.all(np.diff([plan.spent(n) for n in range(200)]) > 0)


def test_a_study_that_stops_spends_bit_by_bit_and_keeps_some_for_later():
    plan = Spending(40, stops=True, at_plan=0.9)
    assert plan.spent(20) == pytest.approx(0.9 * pocock(0.5))
    assert plan.spent(40) == pytest.approx(0.9)
    assert 0.9 < plan.spent(80) < 1


def test_from_where_contrasts_are_added_half_of_the_rest_is_spent():
    alone, shared = Spending(10), Spending(10, halved=(20,))
    assert shared.spent(20) == alone.spent(20)
    for n in (21, 40, 300):
        assert shared.spent(n) - shared.spent(20) == pytest.approx((alone.spent(n) - alone.spent(20)) / 2)


def test_a_p_over_all_looks_is_below_a_level_just_where_a_look_crosses_it():
    pairs, spent = (10, 24, 40), tuple(Spending(10).spent(n) for n in (10, 24, 40))
    for alpha in (0.05, 0.02, 0.01, 0.003):
        for look, level in enumerate(nominal_levels(pairs, spent, alpha)):
            ps = [0.9, 0.9, 0.9]
            ps[look] = level
            assert overall_levels(ps, pairs, spent).min() == pytest.approx(alpha, rel=5e-3)


def test_a_p_over_all_looks_never_rises_with_more_looks():
    rng = np.random.default_rng(2)
    pairs = (10, 15, 22, 32, 40)
    spent = [Spending(10).spent(n) for n in pairs]
    for ps in rng.uniform(size=(20, 5)) ** 3:
        smallest = [overall_levels(ps[:k], pairs[:k], spent[:k]).min() for k in range(1, 6)]
        assert np.all(np.diff(smallest) <= 1e-9)


def test_looks_come_a_quarter_later_each_time():
    assert planned_looks(6, 40).seeds == (6, 8, 10, 13, 17, 22, 28, 35, 40)
    assert planned_looks(6, 6).seeds == (6,)
    assert planned_looks(6, 7).seeds == (6, 7)
    with pytest.raises(ValueError, match="no smaller"):
        planned_looks(10, 6)
