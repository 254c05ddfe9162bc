from __future__ import annotations

import numpy as np
import pytest

from assay.stats import PairedDifference, outcome, paired_difference, pairs_needed, refusal, verdict


def difference(mean: float, low: float, high: float, n: int, p_value: float) -> PairedDifference:
    return PairedDifference(mean, low, high, n, 0.95, p_value, "")


def test_a_clear_difference_is_told_with_its_size_interval_and_n():
    clear = difference(0.0031, 0.0022, 0.0040, 10, 0.002)
    assert verdict(clear, a="Y", b="X") == "X is better than Y by 0.31 points [0.22, 0.40], n = 10"
    assert outcome(clear) == "better"


def test_a_loss_names_the_winner_first():
    clear = difference(-0.0031, -0.0040, -0.0022, 10, 0.002)
    assert verdict(clear, a="Y", b="X") == "X is worse than Y by 0.31 points [0.22, 0.40], n = 10"
    assert outcome(clear) == "worse"


def test_of_a_loss_the_lower_is_better():
    clear = difference(-0.031, -0.040, -0.022, 10, 0.002)
    said = verdict(clear, a="Y", b="X", higher_is_better=False, unit="nats", scale=1.0)
    assert said == "X is better than Y by 0.03 nats [0.02, 0.04], n = 10"
    assert outcome(clear, higher_is_better=False) == "better"


def test_an_interval_that_holds_zero_is_undecided():
    unclear = difference(0.0002, -0.0010, 0.0014, 10, 0.7)
    assert verdict(unclear, a="Y", b="X") == (
        "undecided: from Y to X the difference is 0.02 points [-0.10, 0.14], n = 10"
    )


@pytest.mark.parametrize(
    "half",
    [difference(0.003, 0.001, 0.005, 10, 0.06), difference(0.003, -0.001, 0.007, 10, 0.04)],
    ids=["only the interval", "only the p value"],
)
def test_interval_and_p_value_must_agree(half):
    assert outcome(half) == "undecided"


@pytest.mark.parametrize("n", [2, 3, 5])
def test_fewer_than_six_pairs_get_no_verdict_however_clear(n):
    clear = paired_difference(np.zeros(n), np.linspace(0.50, 0.51, n))
    assert clear.excludes_zero
    assert verdict(clear, a="Y", b="X") == f"not enough seeds for a verdict: {n} pairs, 6 are needed"


def test_refusals_count_in_words():
    assert refusal(1) == "not enough seeds for a verdict: 1 pair, 6 are needed"
    assert refusal(0, num_contrasts=8) == "not enough seeds for a verdict: 0 pairs, 9 are needed for 8 contrasts"


@pytest.mark.parametrize(("contrasts", "pairs"), [(1, 6), (2, 7), (3, 7), (8, 9), (26, 11), (1000, 16)])
def test_more_contrasts_need_more_pairs(contrasts, pairs):
    assert pairs_needed(contrasts) == pairs
    assert contrasts * 2 / 2**pairs < 0.05 <= contrasts * 2 / 2 ** (pairs - 1)


def test_with_several_contrasts_the_adjusted_p_decides_and_is_told():
    clear = difference(0.0031, 0.0022, 0.0040, 10, 0.002)
    assert verdict(clear, a="Y", b="X", adjusted_p=0.016, num_contrasts=8) == (
        "X is better than Y by 0.31 points [0.22, 0.40], n = 10, p = 0.016 after Holm"
    )
    assert outcome(clear, adjusted_p=0.06, num_contrasts=8) == "undecided"
    assert outcome(difference(0.0031, 0.0022, 0.0040, 6, 0.031), adjusted_p=0.25, num_contrasts=8) == "too few seeds"
    with pytest.raises(ValueError, match="no adjusted p"):
        outcome(clear, num_contrasts=8)


def test_an_end_that_excludes_zero_is_not_rounded_onto_it():
    thin = difference(0.0003, 0.00002, 0.00058, 12, 0.001)
    assert verdict(thin, a="Y", b="X") == "X is better than Y by 0.030 points [0.002, 0.058], n = 12"


def test_no_sentence_says_minus_zero():
    nothing = difference(-1e-9, -0.001, 0.001, 10, 1.0)
    assert " 0.00 points" in verdict(nothing, a="Y", b="X")
