from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from assay.errors import TooFewSeeds
from assay.stats import corrected_equivalence, corrected_resampled_difference


@pytest.mark.parametrize(("seeds", "folds"), [(1, 10), (3, 5), (10, 2)])
def test_it_is_students_test_with_a_larger_variance(seeds, folds):
    differences = np.random.default_rng(folds).normal(0.2, 1.0, (seeds, folds))
    plain = scipy.stats.ttest_1samp(differences.ravel(), 0.0)
    found = corrected_resampled_difference(differences)
    count = seeds * folds
    # Nadeau and Bengio (2003), equation 9: 1/J + n_test/n_train instead of 1/J.
    t = plain.statistic * (1 / count / (1 / count + 1 / (folds - 1))) ** 0.5
    assert found.p_value == pytest.approx(2 * scipy.stats.t.sf(abs(t), count - 1))
    wider = (1 + count / (folds - 1)) ** 0.5
    plain_width = np.ptp(plain.confidence_interval(0.95))
    assert found.high - found.low == pytest.approx(wider * plain_width)
    assert found.n == count
    assert (found.p_value < 0.05) == found.excludes_zero


def test_folds_that_are_taken_as_independent_are_called_far_too_often():
    # A constructed truth: in 10 folds, differences share a part (correlation 0.1, Nadeau and Bengio's n_test/n_train
    # for 10-fold is 1/9), and nothing differs on average.
    rng = np.random.default_rng(2003)
    shared, own = rng.normal(size=(3000, 1)), rng.normal(size=(3000, 10))
    studies = (0.1**0.5) * shared + (0.9**0.5) * own
    naive = np.mean(scipy.stats.ttest_1samp(studies, 0.0, axis=1).pvalue < 0.05)
    ours = np.mean([corrected_resampled_difference(study[None]).p_value < 0.05 for study in studies])
    assert naive > 0.12
    assert ours <= 0.05 + 4 * (0.05 * 0.95 / 3000) ** 0.5


def test_equivalence_uses_the_same_error():
    differences = np.random.default_rng(1).normal(0.0, 1.0, (2, 5))
    ninety = corrected_resampled_difference(differences, confidence=0.9)
    found = corrected_equivalence(differences, 5.0)
    assert (found.low, found.high) == pytest.approx((ninety.low, ninety.high))
    assert (found.p_value < 0.05) == (found.low > -5.0 and found.high < 5.0)


@pytest.mark.parametrize(("value", "p_value"), [(0.0, 1.0), (0.1, 2**-5)])
def test_folds_that_are_all_equal(value, p_value):
    found = corrected_resampled_difference(np.full((6, 5), value))
    assert (found.mean, found.low, found.high) == pytest.approx((value, value, value))
    assert found.p_value == p_value  # of flipping the signs of six seeds
    assert corrected_equivalence(np.full((6, 5), value), 0.2).p_value == 2**-6
    assert corrected_equivalence(np.full((6, 5), value), 0.05).p_value == (2**-6 if value == 0 else 1.0)


@pytest.mark.parametrize("wrong", [[0.1, 0.2], [[0.1, float("nan")]], [[0.1], [0.2]]])
def test_what_are_no_folds_is_refused(wrong):
    with pytest.raises(ValueError):
        corrected_resampled_difference(wrong)
    assert corrected_resampled_difference([[0.1], [0.2]], test_to_train=0.1).n == 2


def test_one_value_is_too_few():
    with pytest.raises(TooFewSeeds):
        corrected_resampled_difference([[0.1]], test_to_train=0.1)
