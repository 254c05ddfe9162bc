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


def test_too_few_blocks_join_no_arms_and_say_how_many_are_needed():
    # Five arms far apart: ten pairs, of which the smallest p after Holm is 10 * 2 / 2**8 = 0.078 with eight blocks.
    far = np.arange(5.0) + np.random.default_rng(1).normal(scale=0.01, size=(9, 5))
    few = rank_arms(far[:8])
    assert (few.groups, few.needed) == ((), 9)
    assert few.refusal == (
        "Which of 5 arms differ cannot be said from 8 seeds: comparing every two of them is 10 tests, which need 9 "
        "seeds after Holm"
    )
    assert few.mean_ranks == (5.0, 4.0, 3.0, 2.0, 1.0)
    enough = rank_arms(far)
    assert (enough.groups, enough.needed, enough.refusal) == ((), None, "")


@pytest.mark.parametrize(("arms", "needed"), [(2, 6), (3, 7), (5, 9), (26, 14)])
def test_the_blocks_needed_are_the_fewest_that_can_tell_two_arms_apart(arms, needed):
    far = np.arange(float(arms)) + np.random.default_rng(2).normal(scale=0.01, size=(needed, arms))
    assert rank_arms(far[:-1]).needed == needed
    assert rank_arms(far).needed is None
    assert rank_arms(far).groups == ()  # all are told apart


def test_arms_that_are_alike_have_no_friedman_p_and_share_a_group():
    found = rank_arms(np.ones((8, 3)))
    assert found.friedman_p is None
    assert found.groups == ((0, 1, 2),)


@pytest.mark.parametrize("wrong", [[0.1, 0.2], [[0.1], [0.2]], [[0.1, float("nan")]]])
def test_what_is_no_table_of_arms_is_refused(wrong):
    with pytest.raises(ValueError, match="rows of blocks"):
        rank_arms(wrong)
