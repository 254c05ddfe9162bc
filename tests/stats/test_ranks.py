from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from assay.stats import nemenyi_difference, rank_arms

# Demsar (2006), table 6: AUC of four variants of C4.5 on 14 data sets. The last but one is ranked 4, 1, 2, 3 there,
# though its printed figures tie.
DEMSAR = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip


def test_demsars_example_to_its_printed_digits():
    found = rank_arms(DEMSAR)
    assert [round(rank, 3) for rank in found.mean_ranks] == [3.143, 2.000, 2.893, 1.964]
    assert round(found.critical_difference, 2) == 1.25
    assert found.n == 14


@pytest.mark.parametrize(("arms", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_nemenyis_critical_values_are_demsars_table_5(arms, q):
    # With N = k (k + 1) / 6 blocks the critical difference is q itself.
    assert nemenyi_difference(arms, 1) / (arms * (arms + 1) / 6) ** 0.5 == pytest.approx(q, abs=8e-4)


def test_friedmans_p_is_scipys():
    scores = np.random.default_rng(1937).normal(size=(9, 5))
    assert rank_arms(scores).friedman_p == pytest.approx(scipy.stats.friedmanchisquare(*scores.T).pvalue)


def test_ranks_follow_the_metrics_direction():
    losses = [[0.1, 0.2], [0.3, 0.4]]
    assert rank_arms(losses, higher_is_better=False).mean_ranks == (1.0, 2.0)
    assert rank_arms(losses).mean_ranks == (2.0, 1.0)


def test_arms_that_pairs_tell_apart_are_in_no_common_group():
    rng = np.random.default_rng(0)
    seed = rng.normal(size=(12, 1))
    scores = seed + rng.normal(scale=0.1, size=(12, 4)) + np.array([0.0, 0.0, 3.0, 3.0])
    found = rank_arms(scores)
    assert {frozenset(group) for group in found.groups} == {frozenset({0, 1}), frozenset({2, 3})}
    assert found.groups[0][0] in (2, 3)  # best first


def test_too_few_blocks_tell_nothing_apart():
    found = rank_arms([[0.1, 0.5, 0.9]] * 3)
    assert found.groups == ((2, 1, 0),)
    assert rank_arms(np.zeros((0, 3))).groups == ((0, 1, 2),)
    assert rank_arms(np.ones((4, 3))).friedman_p is None


@pytest.mark.parametrize("wrong", [[0.1, 0.2], [[0.1], [0.2]], [[0.1, float("nan")]]])
def test_what_is_no_table_of_arms_is_refused(wrong):
    with pytest.raises(ValueError, match="rows of blocks"):
        rank_arms(wrong)
