from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from assay.stats import Finding, Interval, PairedDifference, advice, judge, pairs_needed, refusal, sentence
from assay.stats.needed import Need


def finding(outcome: str, mean: float, low: float, high: float, n: int = 10, **values: object) -> Finding:
    return Finding(n, outcome, PairedDifference(mean, low, high, n, 0.95, 0.01, ""), 1, **values)


def test_a_clear_difference_is_reported_with_its_size_interval_and_n():
    better = finding("better", 0.0031, 0.0022, 0.0040)
    assert sentence(better, a="Y", b="X") == (
        "X is better than Y: accuracy is 0.31 points higher (95 % interval 0.22 to 0.40, 10 seeds)"
    )


def test_a_loss_names_the_arm_that_was_tried_first():
    worse = finding("worse", -0.0031, -0.0040, -0.0022)
    assert sentence(worse, a="Y", b="X") == (
        "X is worse than Y: accuracy is 0.31 points lower (95 % interval 0.22 to 0.40, 10 seeds)"
    )


def test_an_interval_that_holds_zero_is_no_clear_effect():
    unclear = finding("undecided", 0.0002, -0.0010, 0.0014, need=Need(92), effect_size=0.1)
    assert sentence(unclear, a="Y", b="X") == (
        "No clear effect: X changed accuracy by 0.02 points against Y (95 % interval −0.10 to 0.14, 10 seeds)"
    )
    assert advice(unclear) == "settling so small an effect would take about 92 more seeds"
    assert advice(replace(unclear, need=Need(144))) == "settling so small an effect would take about 140 more seeds"


def test_an_interval_that_excludes_zero_and_decides_nothing_gives_its_reason():
    family = replace(finding("undecided", 0.003, 0.001, 0.005), num_contrasts=8, obstacle="family", adjusted_p=0.086)
    assert "of 8 comparisons one does so too often by luck (p 0.086 after Holm)" in sentence(family, a="Y", b="X")
    for obstacle, reason in (
        ("signs", "the signs of 10 pairs alone"),
        ("added later", "added after the first verdict"),
    ):
        assert reason in sentence(replace(family, obstacle=obstacle), a="Y", b="X")


def test_what_nobody_planned_to_compare_is_an_estimate():
    estimate = finding("undecided", 0.003, 0.001, 0.005, share=0.0, obstacle="not planned")
    assert sentence(estimate, a="Y", b="X").startswith("An estimate, not judged: X changed accuracy by 0.30 points")
    assert advice(replace(estimate, need=Need(5))) == ""


def test_images_that_suffice_only_with_more_seeds_say_so():
    unclear = finding("undecided", 0.0002, -0.0010, 0.0014, need=Need(None, 1534))
    assert advice(unclear) == "more seeds will not tell; about 1,500 more validation images would"
    assert advice(unclear, split="test") == "more seeds will not tell; about 1,500 more test images would"
    both = replace(unclear, need=Need(30, 1534))
    told = "more seeds alone will not tell; about 30 more seeds with about 1,500 more validation images would"
    assert advice(both) == told
    far = replace(unclear, need=Need(5_110, 1534))
    assert advice(far) == "settling so small an effect would take more than 1,000 more seeds"


def test_equal_scores_are_called_equal():
    (ties,) = judge([np.zeros(10)])
    assert (ties.outcome, ties.num_ties) == ("undecided", 10)
    assert sentence(ties, a="Y", b="X") == "No difference seen: Y and X score the same on all 10 seeds"


def test_a_constant_difference_needs_no_interval():
    (same,) = judge([np.full(10, 0.001)])
    assert same.outcome == "better"
    assert sentence(same, a="Y", b="X") == (
        "X is better than Y: accuracy is 0.10 points higher (the same on each of 10 seeds)"
    )


def test_a_direction_inside_the_margin_is_called_small():
    rng = np.random.default_rng(7)
    (small,) = judge([0.0003 + 0.0001 * rng.normal(size=12)], margin=0.001)
    assert small.outcome == "better"
    assert small.is_within_margin
    assert "smaller than the margin of 0.1 points" in sentence(small, a="Y", b="X")


def test_equivalence_shows_the_ninety_percent_interval():
    rng = np.random.default_rng(8)
    values = rng.normal(0, 0.0002, size=12)
    (near,) = judge([values - values.mean()], margin=0.001)
    assert near.outcome == "equivalent"
    reach = 100 * scipy_stats.t.ppf(0.95, 11) * values.std(ddof=1) / 12**0.5
    assert sentence(near, a="Y", b="X") == (
        f"No difference that matters between Y and X: 0.00 points (90 % interval −{reach:.2f} to {reach:.2f}, "
        "inside the margin of 0.1 points, 12 seeds)"
    )
    (near,) = judge([values - values.mean()], margin=0.01)
    assert "inside the margin of 1 point, 12 seeds)" in sentence(near, a="Y", b="X")


@pytest.mark.parametrize("n", [2, 3, 5])
def test_fewer_than_six_pairs_get_no_verdict_however_clear(n):
    (clear,) = judge([np.linspace(0.50, 0.51, n)])
    assert clear.difference.excludes_zero
    assert sentence(clear, a="Y", b="X") == f"Not enough seeds for a verdict: {n} pairs, 6 are needed"


def test_refusals_count_in_words():
    assert refusal(1) == "Not enough seeds for a verdict: 1 pair, 6 are needed"
    assert refusal(0, num_contrasts=8) == "Not enough seeds for a verdict: 0 pairs, 9 are needed for 8 contrasts"


@pytest.mark.parametrize(("contrasts", "pairs"), [(1, 6), (2, 7), (3, 7), (8, 9), (26, 11), (1000, 16)])
def test_more_contrasts_need_more_pairs(contrasts, pairs):
    assert pairs_needed(contrasts) == pairs
    assert contrasts * 2 / 2**pairs < 0.05 <= contrasts * 2 / 2 ** (pairs - 1)


def test_an_end_that_excludes_zero_is_not_rounded_onto_it():
    thin = finding("better", 0.0003, 0.00002, 0.00058, 12)
    assert "0.030 points higher (95 % interval 0.002 to 0.058, 12 seeds)" in sentence(thin, a="Y", b="X")


def test_no_sentence_says_minus_zero():
    nothing = finding("undecided", -1e-9, -0.001, 0.001)
    assert "by 0.00 points" in sentence(nothing, a="Y", b="X")


def test_a_finding_reads_the_same_from_both_arms():
    rng = np.random.default_rng(9)
    rows = [rng.normal(0.5, 1, 12), rng.normal(0, 1, 12)]
    forth, back = judge(rows, margin=2.0), judge([-row for row in rows], margin=2.0)
    for one, other in zip(forth, back, strict=True):
        turned = one.reversed()
        for name in ("outcome", "adjusted_p", "equivalence_p", "effect_size", "decided_at"):
            assert getattr(turned, name) == (
                pytest.approx(value) if isinstance(value := getattr(other, name), float) else value
            )
        assert (turned.difference.low, turned.difference.high) == pytest.approx(
            (other.difference.low, other.difference.high)
        )
        assert isinstance(turned.superiority, Interval)
        assert turned.superiority.mean == pytest.approx(other.superiority.mean)
