"""Verdicts over data sets: Student's t of one value each, and how often it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from assay.stats.general import (
    GeneralLook,
    data_sets_p,
    few_sets,
    general_advice,
    general_sentence,
    judge_general,
    over_looks,
)

from .general_simulation import TRUTHS, Truth, family_calls, general_calls, studies

VALUES = np.array([-0.31, -0.22, -0.08, -0.4, -0.19, -0.27])


def test_p_is_students_over_data_sets() -> None:
    assert data_sets_p(VALUES) == pytest.approx(scipy_stats.ttest_1samp(VALUES, 0).pvalue)
    assert data_sets_p(VALUES[:4]) == 1.0  # fewer than five say nothing in general
    assert data_sets_p(np.zeros(5)) == 1.0


def test_each_look_has_its_own_part_of_the_level() -> None:
    one = data_sets_p(VALUES)
    assert over_looks([GeneralLook(VALUES, 0.86)]) == pytest.approx(one / 0.86)
    assert over_looks([GeneralLook(np.zeros(6), 0.86), GeneralLook(VALUES, 0.07)]) == pytest.approx(one / 0.07)
    assert over_looks([GeneralLook(VALUES, 0.0)]) == 1.0


def test_the_verdict_is_on_error_rates() -> None:
    (better,) = judge_general([[GeneralLook(VALUES, 0.86)]])
    assert better.outcome == "better"
    assert better.ratio[0] == pytest.approx(math.exp(VALUES.mean()))
    assert better.num_better == 6
    sentence = general_sentence(better, a="plain", b="batchnorm")
    assert sentence.startswith("In general, batchnorm is better than plain: it makes 22 % fewer errors (95 % interval ")
    assert sentence.endswith("6 data sets)")
    (worse,) = judge_general([[GeneralLook(-VALUES, 0.86)]])
    assert worse.outcome == "worse"
    (few,) = judge_general([[GeneralLook(VALUES[:4], 0.86)]])
    assert few.outcome == "too few data sets"
    assert "4 data sets count, 5 are needed" in general_sentence(few, a="a", b="b")
    assert few_sets(3).startswith("On 3 data sets there is a verdict for each and none in general")


def test_what_would_settle_it_is_more_data_sets() -> None:
    values = VALUES + np.array([0.4, 0.0, 0.3, 0.0, 0.1, 0.0])
    (open_,) = judge_general([[GeneralLook(values, 0.86)]], share=0.5)
    assert open_.outcome == "undecided"
    more = 6 + open_.need
    effect = abs(values.mean()) / values.std(ddof=1)
    power = scipy_stats.nct.sf(scipy_stats.t.isf(0.05 * 0.5 * 0.86 / 2, more - 1), more - 1, effect * more**0.5)
    assert power == pytest.approx(0.8, abs=0.06)
    assert general_advice(open_) == f"about {open_.need} more data sets would settle it, if they are like these"


@pytest.mark.parametrize("name", [name for name in TRUTHS if name != "skewed"])
@pytest.mark.parametrize("sets", [5, 8])
def test_at_most_five_percent_are_called_that_are_not_there(name: str, sets: int) -> None:
    values = studies(np.random.default_rng(sets), TRUTHS[name], 10_000, sets)
    # With all of the 5 %, as where everything else is decided; four standard errors of a share of 10,000.
    assert general_calls(values, share=1.0).mean() <= 0.05 * 0.86 + 0.0087


def test_effects_that_are_there_are_found() -> None:
    values = studies(np.random.default_rng(9), Truth(mean=2.0), 2000, 8)
    assert general_calls(values).mean() > 0.9


def test_a_study_without_any_effect_calls_something_in_at_most_five_percent() -> None:
    calls = [family_calls(one) for one in studies(np.random.default_rng(11), TRUTHS["no effect anywhere"], 150, 6)]
    assert np.mean([any(one) for one in calls]) <= 0.05 + 4 * (0.05 * 0.95 / 150) ** 0.5


@pytest.mark.slow
def test_the_table_of_the_docs() -> None:
    rng = np.random.default_rng(2006)
    for name, truth in TRUTHS.items():
        for sets in (5, 6, 8, 12):
            called = general_calls(studies(rng, truth, 40_000, sets)).mean()
            assert called <= (0.055 if name == "skewed" else 0.025)
    calls = [family_calls(one) for one in studies(rng, TRUTHS["no effect anywhere"], 4000, 6)]
    assert np.mean([any(one) for one in calls]) <= 0.05 + 4 * (0.05 * 0.95 / 4000) ** 0.5
