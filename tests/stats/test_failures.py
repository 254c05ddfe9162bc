"""Runs that collapse or fail: which did, how their rates compare, and what differences say with them kept."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from assay.stats import (
    collapsed,
    compare_rates,
    kept_difference,
    paired_outcomes,
    rate_bound,
    skew_factors,
    typical_difference,
)
from assay.stats.look import FLIP_ROOM
from assay.stats.rates import DIFFERENCE_SHARE, RATE_SHARE

from . import failures_simulation as simulation
from .test_error_rates import most

NAN = float("nan")


# Which runs collapsed


@pytest.mark.parametrize(
    ("learned", "chance", "low"),
    [
        pytest.param([0.99, 0.985, 0.98], 0.11, [0.10, 0.2], id="digits, one class or two"),
        pytest.param([0.45, 0.47, 0.43], 0.10, [0.10, 0.12], id="CIFAR at 45 %"),
        pytest.param([0.95, 0.97, 0.93], 0.70, [0.70, 0.30], id="two classes, one of them common"),
    ],
)
def test_runs_near_guessing_are_collapses_in_either_arm(learned, chance, low):
    a, b = collapsed([*learned, *low], learned, chance)
    assert a.tolist() == [False] * 3 + [True] * 2
    assert not b.any()
    assert collapsed(learned, [*learned, *low], chance)[1].tolist() == a.tolist()


@pytest.mark.parametrize("bad", [1, 10, 19])
def test_most_runs_can_have_collapsed(bad):
    scores = np.array([0.1] * bad + [0.98] * (20 - bad))
    a, b = collapsed(scores[:10], scores[10:], 0.1)
    assert int(a.sum() + b.sum()) == bad


def test_a_weak_arm_has_not_collapsed():
    weak, strong = [0.25, 0.3, 0.24], [0.9, 0.91, 0.89]
    assert not np.any(collapsed(weak, strong, 0.1))


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.1, 0.1, 0.1, 0.1], id="nothing learned"),
        pytest.param([0.56, 0.5, 0.54, 0.49], id="a hard problem of two classes"),
        pytest.param([NAN, NAN, NAN, NAN], id="every run failed"),
    ],
)
def test_where_nothing_was_learned_nothing_is_a_collapse(scores):
    assert not np.any(collapsed(scores[:2], scores[2:], 0.5 if scores[0] == 0.56 else 0.1))


def test_exchanging_the_runs_of_a_seed_exchanges_their_collapses():
    a, b = np.array([0.9, 0.1, 0.95, 0.3]), np.array([0.92, 0.91, 0.15, 0.93])
    before = collapsed(a, b, 0.1)
    swap = np.array([False, True, False, True])
    after = collapsed(np.where(swap, b, a), np.where(swap, a, b), 0.1)
    assert np.where(swap, after[1], after[0]).tolist() == before[0].tolist()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="most common class"):
        collapsed([0.9], [0.9], 1.2)
    with pytest.raises(ValueError, match="same order"):
        paired_outcomes([0.9, 0.8], [0.9])
    with pytest.raises(ValueError, match="infinite"):
        paired_outcomes([0.9], [math.inf])
    with pytest.raises(ValueError, match="counts"):
        compare_rates(3, 0, 2)
    with pytest.raises(ValueError, match="count"):
        rate_bound(3, 2)


# Rates


def chances(n: int, cells: tuple[float, float, float]) -> np.ndarray:
    """[bad of a, bad of b]: chances after n seeds on each of which both, one (either way, each) or no run is bad."""
    both, one, none = cells
    table = np.ones((1, 1))
    for _ in range(n):
        longer = np.zeros((len(table) + 1, len(table) + 1))
        longer[:-1, :-1] += none * table
        longer[1:, 1:] += both * table
        longer[1:, :-1] += one * table
        longer[:-1, 1:] += one * table
        table = longer
    return table


def independent(rate: float) -> tuple[float, float, float]:
    return rate**2, rate * (1 - rate), (1 - rate) ** 2


def test_five_of_twelve_against_none_decides_with_a_part_of_the_level():
    rates = compare_rates(0, 5, 12)
    assert rates.p_value == pytest.approx(scipy.stats.boschloo_exact([[5, 0], [7, 12]]).pvalue)
    assert rates.p_value == rates.smallest
    assert rates.shares_level
    assert rates.p_value <= RATE_SHARE * simulation.NOMINAL
    assert not compare_rates(0, 4, 12).shares_level
    assert compare_rates(2, 2, 12).p_value == compare_rates(0, 0, 12).p_value == 1


RATES = np.r_[np.linspace(0.005, 0.1, 20), np.linspace(0.12, 0.88, 20)]


@pytest.mark.parametrize("n", [8, pytest.param(13, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("level", [0.05, simulation.NOMINAL, 0.0125])
def test_rates_and_difference_together_keep_the_level(n, level):
    """At every rate, if the difference's test were exact and the two never were false together."""
    tests = {(i, j): compare_rates(i, j, n) for i in range(n + 1) for j in range(n + 1)}
    false = np.array(
        [
            [
                (tests[i, j].p_value <= RATE_SHARE * level) + DIFFERENCE_SHARE * level * _can_flip(n, i + j, level)
                if tests[i, j].shares_level
                else level
                for j in range(n + 1)
            ]
            for i in range(n + 1)
        ]
    )
    assert max((chances(n, independent(rate)) * false).sum() for rate in RATES) <= 1.03 * level


def _can_flip(n: int, bad: int, level: float) -> bool:
    """Whether the pairs that are left can reach the difference's part of the level at all."""
    return 2.0 ** (1 - (n - math.ceil(bad / 2))) <= FLIP_ROOM * DIFFERENCE_SHARE * level


@pytest.mark.parametrize("together", [0.3, 0.8])
def test_seeds_that_make_both_arms_fail_make_the_test_of_rates_careful(together):
    n, level = 10, 0.05
    rejects = np.array([[compare_rates(i, j, n).p_value <= level for j in range(n + 1)] for i in range(n + 1)])
    for rate in RATES:
        both = together * rate + (1 - together) * rate**2
        cells = (both, rate - both, 1 - 2 * rate + both)
        assert (chances(n, cells) * rejects).sum() <= level + 1e-9


@pytest.mark.parametrize(("bad", "n"), [(0, 10), (1, 10), (3, 30), (10, 10)])
def test_the_bound_of_a_rate_is_clopper_and_pearsons(bad, n):
    theirs = scipy.stats.binomtest(bad, n, alternative="less").proportion_ci(0.95, method="exact").high
    assert rate_bound(bad, n) == pytest.approx(theirs)


def test_no_bad_run_of_ten_leaves_a_rate_of_26_percent():
    assert rate_bound(0, 10) == pytest.approx(1 - 0.05**0.1)
    assert rate_bound(0, 100) == pytest.approx(0.03, abs=0.001)


# Differences with bad runs kept


def trimmed(values: np.ndarray, each: int) -> float:
    return float(np.sort(values)[each : len(values) - each].mean())


@pytest.mark.parametrize(("above", "below"), [(0, 0), (0, 1), (1, 0), (1, 2)])
def test_kept_differences_are_trimmed_means_under_all_flips(above, below):
    differences = np.random.default_rng(above + 2 * below).normal(0.5, 1, 7)
    lost = above + below
    every = np.concatenate([differences, np.full(above, 1e9), np.full(below, -1e9)])
    observed = trimmed(every, lost)
    flipped = [trimmed(every * signs, lost) for signs in itertools.product([1, -1], repeat=len(every))]
    as_far = np.abs(flipped) >= abs(observed) - 1e-9
    p_value, direction = kept_difference(differences, above, below)
    assert p_value == pytest.approx(as_far.mean() / 2)
    assert direction == np.sign(observed)


def test_random_flips_agree_with_all_of_them():
    differences = np.random.default_rng(3).normal(0.4, 1, 13)
    every = np.concatenate([differences, [-1e9]])
    signs = 1 - 2 * ((np.arange(2**14)[:, None] >> np.arange(14)) & 1)
    sums = np.sort(signs * every, axis=1)[:, 1:-1].mean(1)
    exact = np.mean(np.abs(sums) >= abs(trimmed(every, 1)) - 1e-9) / 2
    p_value, _ = kept_difference(differences, 0, 1)
    assert p_value == pytest.approx(exact, abs=4 * (exact / 9_999) ** 0.5)


def test_half_of_the_pairs_lost_leave_nothing_to_compare():
    assert kept_difference([0.1, 0.2, 0.3], 0, 3) == (1.0, 0)
    assert kept_difference([0.0, 0.0, 0.0, 0.0], 0, 1) == (1.0, 0)
    assert kept_difference([], 2, 0) == (1.0, 0)


def test_a_bad_run_counts_against_its_arm_in_either_direction_of_the_metric():
    a, b = [0.9, 0.91, 0.92, NAN, 0.9, NAN], [0.91, 0.93, NAN, 0.95, 0.9, NAN]
    high, low = paired_outcomes(a, b), paired_outcomes(a, b, higher_is_better=False)
    assert high.worked == pytest.approx([0.01, 0.02, 0])
    assert high.kept == pytest.approx([0.01, 0.02, -0.02, 0.02, 0, 0])
    assert low.kept == pytest.approx([0.01, 0.02, 0.02, -0.02, 0, 0])
    assert (high.failed, high.collapsed, high.lost, high.n) == ((2, 2), (0, 0), (1, 1), 6)


def test_without_bad_runs_the_contrast_is_the_difference():
    a = np.linspace(0.9, 0.95, 10)
    outcomes = paired_outcomes(a, a + 0.01, chance=0.1)
    assert outcomes.contrast_p(0.03) == 0.03
    assert outcomes.difference_level(0.041) == 0.041
    assert outcomes.claims(0.03, 0.041).overall == "better"
    assert outcomes.claims(0.05, 0.041).overall is None


def test_a_collapse_is_told_and_leaves_the_gain_where_both_worked():
    rng = np.random.default_rng(0)
    a = rng.normal(0.97, 0.004, 10)
    b = a + rng.normal(0.01, 0.002, 10)
    b[4] = 0.1
    outcomes = paired_outcomes(a, b, chance=0.11)
    claims = outcomes.claims(0.001, 0.041)
    assert outcomes.collapsed == (0, 1)
    assert (claims.rates, claims.where_both_worked, claims.overall) == (None, "better", None)
    assert outcomes.typical is not None
    assert outcomes.typical.estimate == pytest.approx(0.01, abs=0.003)
    mirrored = paired_outcomes(b, a, chance=0.11).claims(0.001, 0.041)
    assert (mirrored.where_both_worked, mirrored.overall) == ("worse", None)


def test_failures_lead_where_their_rates_decide():
    a = np.linspace(0.9, 0.95, 12)
    b = np.where(np.arange(12) < 5, NAN, a + 0.001 * np.arange(12))
    outcomes = paired_outcomes(a, b)
    assert outcomes.contrast_p(0.5) == pytest.approx(outcomes.rates.p_value / RATE_SHARE)
    assert outcomes.contrast_p(0.5) <= simulation.NOMINAL
    claims = outcomes.claims(0.5, simulation.NOMINAL)
    assert (claims.rates, claims.where_both_worked, claims.overall) == ("worse", None, "worse")


def test_a_decided_difference_passes_its_share_to_the_rates():
    a = np.linspace(0.9, 0.95, 14)
    b = np.where(np.arange(14) < 5, NAN, a - 0.01 - 0.001 * np.arange(14))
    outcomes = paired_outcomes(a, b)
    level = 0.9 * outcomes.rates.p_value / RATE_SHARE  # out of the rates' own reach
    assert outcomes.rates.shares_level
    assert outcomes.claims(0.9, level).rates is None
    assert outcomes.claims(1e-4, level).rates == "worse"
    assert outcomes.claims(1e-4, level).overall == "worse"


def test_too_many_bad_runs_of_the_better_arm_block_it():
    a = np.linspace(0.9, 0.95, 10)
    two = paired_outcomes(a, np.where(np.arange(10) < 2, NAN, a + 0.01 + 0.001 * np.arange(10)))
    one = paired_outcomes(a, np.where(np.arange(10) < 1, NAN, a + 0.01 + 0.001 * np.arange(10)))
    assert two.is_blocked(0.041)
    assert two.kept_test is not None
    assert two.kept_test[0] > 0.041
    assert not one.is_blocked(0.041)
    assert one.kept_test is not None
    assert one.kept_test[0] <= 0.041
    assert not paired_outcomes(a, a + 0.01).is_blocked(0.041)


# The robust estimate


@pytest.mark.parametrize("n", [6, 9, 20])
def test_the_interval_holds_what_the_signed_rank_test_does_not_reject(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    typical = typical_difference(differences)
    assert typical is not None
    for end, inward in ((typical.low, 1), (typical.high, -1)):
        outside, inside = (
            scipy.stats.wilcoxon(differences - end - step, method="exact").pvalue
            for step in (-1e-7 * inward, 1e-7 * inward)
        )
        assert outside <= 0.05 < inside
    i, j = np.triu_indices(n)
    assert typical.estimate == pytest.approx(np.median((differences[i] + differences[j]) / 2))


def test_a_bad_run_moves_the_robust_estimate_little():
    differences = np.linspace(0.8, 1.2, 19)
    typical = typical_difference(differences, below=1)
    assert typical is not None
    assert typical.estimate == pytest.approx(1, abs=0.05)
    assert typical.n == 20
    assert typical_difference(differences[:3]) is None
    assert typical_difference(differences[:5], below=6) is None
    few = typical_difference(differences[:5], below=1)
    assert few is not None
    assert few.low == -np.inf


# Arms of unlike shapes


def test_skewed_differences_of_like_arms_and_symmetric_ones_of_unlike_arms_pass():
    a = np.array([-1.5, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 1.5, 0.1])
    skewed = np.exp(a)
    unlike = skew_factors(0.1 * a, 1 + np.array([1.5, -1, 0.5, -0.2, 0, 0.2, -0.5, 1, -1.5, 0.1]))
    assert unlike == (1, 1)
    assert skew_factors(skewed, skewed[::-1]) == (1, 1)
    assert skew_factors(a, a) == (1, 1)
    assert skew_factors([0.1] * 3, [0.2, 0.3, 0.9]) == (1, 1)


def test_a_long_tail_of_one_arm_raises_the_p_of_the_claim_against_it():
    tail = np.array([0.0, 0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.6, 1.0, 3.0]) / 100
    steady = 0.9 + np.array([1, -1, 2, -2, 0, 1, -1, 2, -2, 0]) / 10_000
    better, worse = skew_factors(steady, 0.88 + tail)
    assert better == 1
    assert worse > 2
    assert skew_factors(0.88 + tail, steady) == (worse, 1)
    assert skew_factors(-steady, -0.88 - tail) == pytest.approx((worse, 1))  # a low tail of the arm that seems better
    assert skew_factors(1000 * steady, 1000 * (0.88 + tail)) == pytest.approx((1, worse))


# Error rates, by simulation

SIZES = [pytest.param(200, id="200 studies"), pytest.param(4000, marks=pytest.mark.slow, id="4,000 studies")]


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("design", ["equal arms, weak runs of b diverge", "equal arms, a fifth of each fails"])
def test_runs_that_drop_out_make_no_difference(studies, design):
    shares = simulation.shares(studies, simulation.DESIGNS[design], 10)
    assert shares.better + shares.worse <= most(studies)


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("design", ["equal arms, a fifth of each fails", "equal arms, seeds fail together"])
def test_contrasts_of_equal_arms_with_bad_runs_keep_the_level(studies, design):
    shares = simulation.shares(studies, simulation.DESIGNS[design], 12)
    assert shares.overall_better + shares.overall_worse <= most(studies)


@pytest.mark.parametrize("studies", SIZES)
def test_rates_are_found_where_they_differ_and_no_difference_is_made_of_them(studies):
    shares = simulation.shares(studies, simulation.one_arm_fails, 12)
    assert shares.rates > 0.4
    assert shares.better + shares.worse <= most(studies)


@pytest.mark.parametrize("studies", SIZES)
def test_one_collapse_no_longer_hides_a_gain(studies):
    shares = simulation.shares(studies, simulation.one_collapse, 10)
    assert shares.before_better == 0
    assert shares.better > 0.9
    assert shares.overall_better == 0


@pytest.mark.parametrize("studies", SIZES)
def test_an_arm_that_was_seen_to_collapse_is_not_called_better_overall(studies):
    shares = simulation.shares(studies, simulation.collapses_and_gains, 10)
    never_seen = 0.9**10
    noise = 4 * (never_seen * (1 - never_seen) / studies) ** 0.5
    assert shares.overall_better <= never_seen + noise


@pytest.mark.parametrize("studies", [600, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shape", "n", "rate"),
    [
        ("normal, equal spreads", 10, 0.05),
        ("exponential both", 10, 0.05),
        ("exponential, other 0.1", 20, 0.05),
        ("exponential, other 0.3", 20, 0.05),
        ("low exponential tail, other 0.3", 20, 0.05),
        ("lognormal, other 0.3", 20, 0.05),
        ("exponential, other 0.3", 10, 0.07),  # less costs power: docs/evidence/statistics-simulations.md
    ],
)
def test_unlike_shapes_are_rarely_called_a_difference(studies, shape, n, rate):
    assert simulation.calls(studies, shape, n)[1] <= most(studies, rate)


def test_the_guard_costs_a_point_of_power_or_less():
    old, new = simulation.calls(2000, "normal, equal spreads", 10, effect=1.0)
    assert old - new < 0.012
    assert new > 0.72
