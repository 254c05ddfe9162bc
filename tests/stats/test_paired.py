from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from assay.errors import TooFewSeeds
from assay.stats import MIN_PAIRS, mean_interval, paired_difference, sign_flip_p, sign_flip_ps


def pairs(n: int, effect: float = 0.003) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    shared = rng.normal(0.9, 0.01, size=n)
    return shared + rng.normal(0, 0.002, size=n), shared + effect + rng.normal(0, 0.002, size=n)


@pytest.mark.parametrize("n", [2, 6, 13])
def test_the_interval_is_scipys(n):
    a, b = pairs(n)
    ours = paired_difference(a, b, confidence=0.9)
    theirs = scipy.stats.ttest_rel(b, a).confidence_interval(0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert (ours.mean, ours.n, ours.confidence) == (pytest.approx(np.mean(b - a)), n, 0.9)


@pytest.mark.parametrize("n", [2, 5, 6, 11])
@pytest.mark.parametrize("effect", [0.0, 0.001])
def test_the_p_value_is_scipys_exact_one(n, effect):
    a, b = pairs(n, effect)
    theirs = scipy.stats.permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert paired_difference(a, b).p_value == pytest.approx(theirs.pvalue, abs=1e-12)


def test_pairing_removes_what_a_seed_does_to_both_arms():
    a, b = pairs(10)
    paired = paired_difference(a, b)
    assert paired.high - paired.low < (mean_interval(b).high - mean_interval(b).low) / 2


@pytest.mark.parametrize("n", [2, 5, 6, 10, 20])
def test_differences_of_one_sign_give_the_smallest_p_there_is(n):
    assert sign_flip_p(np.linspace(0.1, 0.2, n)) == 2 / 2**n
    assert sign_flip_p(-np.linspace(0.1, 0.2, n)) == 2 / 2**n


def test_six_pairs_of_one_sign_are_the_first_that_could_decide():
    assert paired_difference(np.zeros(6), np.ones(6)).p_value == 2 / 64
    assert paired_difference(np.zeros(6), np.ones(6)).has_verdict
    assert not paired_difference(np.zeros(5), np.ones(5)).has_verdict
    assert 2 / 2**MIN_PAIRS < 0.05 < 2 / 2 ** (MIN_PAIRS - 1)


def test_equal_arms_differ_by_nothing():
    same = paired_difference([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert (same.mean, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not same.excludes_zero


def test_swapping_the_arms_turns_the_difference_round():
    a, b = pairs(8)
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert back.p_value == there.p_value


def test_equal_sums_count_as_equal_whatever_their_rounding():
    # Every flip of 0.1, 0.2 and -0.3 that sums to zero in exact arithmetic ties with the observed sum, so p is 1.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0


def test_beyond_enumeration_the_p_value_is_drawn():
    rng = np.random.default_rng(3)
    differences = rng.normal(0.4, 1.0, size=21)
    drawn = sign_flip_p(differences, seed=1)
    assert drawn == sign_flip_p(differences, seed=1)
    assert drawn != sign_flip_p(differences, seed=2)
    # The exact p, from all 2**21 flips.
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate([sums + value, sums - value])
    exact = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9)
    # Four standard errors of a share of 99,999 draws.
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 99_999) ** 0.5)


def test_a_common_p_value_is_drawn_from_fewer_and_called_no_more_often() -> None:
    rng = np.random.default_rng(1991)
    ps = np.array(sign_flip_ps(list(rng.normal(size=(2000, 21)))))
    common = ps[ps > 0.11]
    assert np.allclose(common * 10_001, np.rint(common * 10_001))
    rare = ps[ps < 0.09]
    assert np.allclose(rare * 100_000, np.rint(rare * 100_000))
    for level in (0.01, 0.05, 0.1, 0.3):  # four standard errors of a share of 2,000 studies
        assert np.mean(ps <= level) == pytest.approx(level, abs=4 * (level * (1 - level) / 2000) ** 0.5)


def test_what_is_too_rare_to_be_drawn_has_the_p_of_no_such_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    told = sign_flip_p(np.ones(80), seed=5)
    monkeypatch.setattr("assay.stats.paired._TOO_RARE", np.inf)
    assert told == sign_flip_p(np.ones(80), seed=6) == 1 / 100_000


def test_a_drawn_p_value_is_never_zero():
    assert sign_flip_p(np.ones(60), draws=999) == 1 / 1000


def test_where_there_is_no_effect_p_is_below_5_percent_in_5_percent_of_studies():
    rng = np.random.default_rng(1935)
    called = [sign_flip_p(study) < 0.05 for study in rng.normal(size=(4000, 8))]
    # With 8 pairs p moves in steps of 1/128, so the largest size below 5 % is 6/128; four standard errors around it.
    assert np.mean(called) == pytest.approx(6 / 128, abs=4 * (6 / 128 * 122 / 128 / 4000) ** 0.5)


def test_one_pair_is_too_few():
    with pytest.raises(TooFewSeeds, match="1 pair"):
        paired_difference([0.9], [0.8])


def test_scores_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="a has 3 scores and b has 2"):
        paired_difference([0.9, 0.8, 0.7], [0.8, 0.9])


def test_a_diverged_score_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        paired_difference([0.9, 0.8], [0.9, float("nan")])


def test_contrasts_judged_together_have_the_p_that_each_has_alone() -> None:
    rng = np.random.default_rng(1935)
    rows = [rng.normal(0.1, 1.0, size=n) for n in (30, 8, 30, 45, 21, 30)]
    together = sign_flip_ps(rows, seed=3, draws=20_001)
    assert together == tuple(sign_flip_p(row, seed=3, draws=20_001) for row in rows)
    assert len(set(together)) == len(rows)
    assert sign_flip_ps([]) == ()
