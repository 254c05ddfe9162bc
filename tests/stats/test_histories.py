"""Verdicts over several looks: theory and constructed truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from assay.stats import History, Look, Spending, holm, judge, judge_histories, nominal_levels, sign_flip_p
from assay.stats.look import FLIP_ROOM
from assay.stats.look_power import detectable_effect, look_power
from assay.stats.needed import needed


def looked_at(values: np.ndarray, *sizes: int, planned: int = 10, **rest: object) -> History:
    return History(tuple(Look(values[:n], n) for n in sizes), Spending(planned), **rest)


def test_one_look_is_students_test_guarded_by_the_sign_flips():
    rng = np.random.default_rng(1)
    for values in rng.normal(0.5, 1, (20, 10)):
        (finding,) = judge([values])
        student = scipy_stats.ttest_1samp(values, 0)
        assert finding.p_value == pytest.approx(max(student.pvalue, sign_flip_p(values) / FLIP_ROOM))
        interval = student.confidence_interval(0.95)
        assert (finding.difference.low, finding.difference.high) == pytest.approx((interval.low, interval.high))


def test_contrasts_of_a_study_are_adjusted_after_holm():
    rows = list(np.random.default_rng(2).normal(0.6, 1, (4, 12)))
    findings = judge(rows)
    assert [one.adjusted_p for one in findings] == pytest.approx(holm([one.p_value for one in findings]))


def test_the_interval_of_a_planned_look_is_a_little_wider_because_others_may_follow():
    values = np.random.default_rng(3).normal(0.3, 1, 10)
    (finding,) = judge_histories([looked_at(values, 10)])
    level = nominal_levels((10,), (Spending(10).spent(10),))[0]
    assert level == pytest.approx(0.043)
    interval = scipy_stats.ttest_1samp(values, 0).confidence_interval(1 - level)
    assert (finding.difference.low, finding.difference.high) == pytest.approx((interval.low, interval.high))


def test_a_claim_stands_however_often_it_is_looked_at_again():
    rng = np.random.default_rng(4)
    values = np.concatenate([1 + 0.5 * rng.normal(size=10), 0.3 + 0.5 * rng.normal(size=190)])
    for sizes in ((10,), (10, 24), (10, 24, 100), (10, *range(11, 201, 10))):
        (finding,) = judge_histories([looked_at(values, *sizes)])
        assert finding.outcome == "better"
        assert finding.difference.excludes_zero
        assert finding.looks[finding.decided_at - 1] == 10


def test_a_claim_that_later_seeds_contradict_falls():
    rng = np.random.default_rng(4)
    values = np.concatenate([1 + 0.2 * rng.normal(size=10), 0.2 * rng.normal(size=190) - 0.05])
    assert judge_histories([looked_at(values, 10)])[0].outcome == "better"
    (finding,) = judge_histories([looked_at(values, 10, 200)])
    assert finding.outcome == "undecided"
    assert finding.obstacle == "contradicted"


def test_looks_at_the_same_pairs_cost_nothing():
    values = np.random.default_rng(5).normal(0.7, 1, 10)
    once, often = looked_at(values, 10), looked_at(values, 10, 10, 10)
    assert judge_histories([once])[0].adjusted_p == judge_histories([often])[0].adjusted_p


def test_looks_before_the_plan_cost_almost_nothing_and_decide_almost_nothing():
    values = 0.8 + 0.5 * np.random.default_rng(6).normal(size=10)
    (early,) = judge_histories([looked_at(values[:8], 8)])
    assert early.outcome == "undecided"
    planned, looked = (judge_histories([looked_at(values, *sizes)])[0] for sizes in ((10,), (7, 8, 9, 10)))
    assert planned.outcome == looked.outcome == "better"
    assert looked.adjusted_p == pytest.approx(planned.adjusted_p, rel=0.05)


def test_contrasts_that_are_added_later_have_what_was_left():
    rng = np.random.default_rng(7)
    null, clear = rng.normal(size=10), rng.normal(size=10)
    clear = 0.8 + 0.8 * (clear - clear.mean()) / clear.std(ddof=1)
    first = looked_at(null - null.mean(), 10)
    alone = judge_histories([looked_at(clear, 10)])[0]
    later = judge_histories([first, looked_at(clear, 10, group=1, share=0.07)])[1]
    assert alone.outcome == "better"
    assert later.outcome == "undecided"
    assert later.obstacle == "added later"
    assert later.p_value == pytest.approx(alone.p_value / 0.07)


def test_once_everything_planned_is_decided_the_rest_has_all_of_the_five_percent():
    clear = 1 + 0.3 * np.random.default_rng(8).normal(size=12)
    unplanned = History((Look(clear, 12),), Spending(12), group=1, share=0.0)
    open_, decided = looked_at(clear - clear.mean(), 12, planned=12), looked_at(clear, 12, planned=12)
    assert judge_histories([open_, unplanned])[1].outcome == "undecided"
    assert judge_histories([open_, unplanned])[1].obstacle == "not planned"
    assert judge_histories([decided, unplanned])[1].outcome == "better"


def test_equivalence_is_two_one_sided_tests_at_every_look():
    values = 0.1 * np.random.default_rng(9).normal(size=24)
    (finding,) = judge_histories([looked_at(values, 10, 24)], margin=0.1)
    assert finding.outcome == "equivalent"
    ps = [
        [scipy_stats.ttest_1samp(values[:n], side, alternative=way).pvalue for n in (10, 24)]
        for side, way in ((-0.1, "greater"), (0.1, "less"))
    ]
    (single,) = judge([values[:10]], margin=0.1)
    assert single.equivalence.p_value == pytest.approx(max(ps[0][0], ps[1][0]))


def test_power_counts_the_sign_flip_test():
    rng = np.random.default_rng(10)
    for n, level in ((6, 0.043), (9, 0.05 / 8), (10, 0.043)):
        values = rng.normal(size=(1500, n)) + 1
        t = scipy_stats.ttest_1samp(values, 0, axis=1).pvalue
        calls = [p <= level and sign_flip_p(row) <= FLIP_ROOM * level for p, row in zip(t, values, strict=True)]
        assert look_power(1.0, n, level=level) == pytest.approx(np.mean(calls), abs=0.06)
    assert look_power(100.0, 5, level=0.05) == 0
    assert detectable_effect(5, 0.05) is None


def test_the_seeds_that_would_tell_give_power_at_the_next_looks_level():
    values = np.random.default_rng(11).normal(size=10)
    values = (values - values.mean()) / values.std(ddof=1) + 0.5
    history = looked_at(values, 10)
    more = needed(history, 0.05, None).seeds
    enough, few = (look_power(0.5, 10 + m, level=history.level(0.05, more=m)) for m in (more, more - 2))
    assert few < 0.8 <= enough


def test_a_difference_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        judge([[0.1, np.nan, 0.2]])
    with pytest.raises(ValueError, match="above 0"):
        judge([[0.1, 0.3, 0.2]], margin=0)
