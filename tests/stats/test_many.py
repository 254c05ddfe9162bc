from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from assay.stats import History, Look, Spending, decide, holm


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_are_statsmodelss(p_values):
    theirs = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(theirs)


def test_holms_adjustment_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]).shape == (0,)
    assert holm([0.03]) == pytest.approx([0.03])


@pytest.mark.parametrize("wrong", [[1.2], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(wrong)


def test_a_study_of_eight_null_contrasts_rarely_calls_one():
    rng = np.random.default_rng(1979)
    called = 0
    for _ in range(400):
        baseline, *arms = rng.normal(0.9, 0.01, size=(9, 10))
        histories = [History((Look(arm - baseline, 10),), Spending(10)) for arm in arms]
        called += any(decision.outcome in ("better", "worse") for decision in decide(histories))
    # At most 5 % of studies; four standard errors above it.
    assert called / 400 <= 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5
