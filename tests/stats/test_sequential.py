from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from assay.stats import first_crossing, mean_interval, nominal_levels, planned_looks, repeated_interval, spent
from assay.stats.sequential import _signs

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


def test_the_bounds_for_five_looks_are_the_published_ones():
    # Reboussin, DeMets, Kim and Lan (2000), Controlled Clinical Trials 21: Pocock-type spending, two-sided 5 %.
    bounds = [-ndtri(level / 2) for level in nominal_levels(SHARES)]
    assert bounds == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


@pytest.mark.parametrize("two_sided", [True, False])
def test_looks_cross_together_as_often_as_was_spent(two_sided):
    shares = (0.15, 0.4, 1.0)
    bounds = [-ndtri(level / (2 if two_sided else 1)) for level in nominal_levels(shares, two_sided=two_sided)]
    covariance = [[(min(s, t) / max(s, t)) ** 0.5 for s in shares] for t in shares]
    for looks in (2, 3):
        lower = [-bound if two_sided else -np.inf for bound in bounds[:looks]]
        process = multivariate_normal(cov=np.array(covariance)[:looks, :looks], abseps=1e-8, releps=1e-8, seed=0)
        inside = process.cdf(bounds[:looks], lower_limit=lower)
        assert 1 - inside == pytest.approx(spent(shares[looks - 1]), abs=1e-6)


def test_one_look_at_the_end_is_the_plain_test():
    assert nominal_levels((1.0,), alpha=0.05) == pytest.approx((0.05,))
    differences = np.random.default_rng(1).normal(0.5, 1, 12)
    plain = mean_interval(differences)
    found = repeated_interval(differences, [12], maximum=12)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_alpha_is_spent_bit_by_bit():
    assert spent(0.0) == 0.0
    assert spent(1.0) == pytest.approx(0.05)
    assert spent(0.5, 0.01) == pytest.approx(0.01 * np.log(1 + (np.e - 1) / 2))
    assert np.all(np.diff([spent(share) for share in SHARES]) > 0)


def test_looks_come_a_quarter_later_each_time():
    assert planned_looks(6, 40).seeds == (6, 8, 10, 13, 17, 22, 28, 35, 40)
    assert planned_looks(6, 6).seeds == (6,)
    assert planned_looks(6, 7).seeds == (6, 7)
    with pytest.raises(ValueError, match="no smaller"):
        planned_looks(10, 6)


def test_a_clear_difference_crosses_as_soon_as_signs_allow():
    # Of 2**n sequences of signs two are as extreme as the observed one: at n = 6 that is more than the 1.2 % spent.
    clear = np.full(40, 0.01) + np.linspace(0, 1e-4, 40)
    counts = planned_looks(6, 40).seeds
    first = first_crossing(clear, counts, maximum=40)
    assert counts[first] == 8
    assert spent(6 / 40) < 2 / 2**6
    assert spent(8 / 40) > 2 / 2**8


def test_the_sign_of_the_mean_matters_one_sided_only():
    clear = np.full(20, 0.01) + np.linspace(0, 1e-4, 20)
    counts = planned_looks(6, 20).seeds
    assert first_crossing(clear, counts, maximum=20) == first_crossing(-clear, counts, maximum=20) is not None
    assert first_crossing(clear, counts, maximum=20, two_sided=False) is not None
    assert first_crossing(-clear, counts, maximum=20, two_sided=False) is None


def test_a_decision_does_not_change_when_more_pairs_come():
    rng = np.random.default_rng(2)
    counts = planned_looks(6, 40).seeds
    for differences in rng.normal(0.5, 1.0, (20, 40)):
        whole = first_crossing(differences, counts, maximum=40, draws=1999)
        for looks in range(1, len(counts) + 1):
            early = first_crossing(differences[: counts[looks - 1]], counts[:looks], maximum=40, draws=1999)
            assert early == (whole if whole is not None and whole < looks else None)


def test_the_order_of_magnitude_of_a_metric_does_not_matter():
    counts = planned_looks(6, 20).seeds
    for differences in np.random.default_rng(3).normal(0.6, 1.0, (20, 20)):
        one = first_crossing(differences, counts, maximum=20, draws=999)
        assert one == first_crossing(differences * 1e-6, counts, maximum=20, draws=999)


def test_differences_of_nothing_never_cross():
    assert first_crossing([0.0] * 10, [6, 8, 10], maximum=10) is None
    assert first_crossing([], [], maximum=10) is None


def test_the_share_that_crosses_is_what_was_spent_exactly():
    # The test's own group: whichever sequence of signs was the real one, at most the spent share of them crosses.
    size = np.abs(np.random.default_rng(4).normal(size=10))
    counts, draws = (6, 8, 10), 399
    signs = np.concatenate([np.ones((10, 1)), _signs(10, draws, 0)], axis=1)
    crossed = [first_crossing(size * column, counts, maximum=10, draws=draws) is not None for column in signs.T]
    # The observed sequence joins the drawn ones, so that here one is counted twice: allow for it.
    assert 0 < np.mean(crossed) <= 0.05 + 2 / draws


def test_seeds_of_the_random_signs_change_draws_and_nothing_else():
    assert np.array_equal(_signs(5, 99, 0), _signs(9, 99, 0)[:5])
    assert not np.array_equal(_signs(5, 99, 0), _signs(5, 99, 1))
