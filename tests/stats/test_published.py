"""Worked examples from the literature, to their printed digits."""

from __future__ import annotations

import numpy as np
import pytest

from assay.stats import bootstrap_interval, paired_difference, sign_flip_p, superiority

# Student (1908), from Cushny and Peebles: hours of sleep gained with one drug over the other, ten patients.
SLEEP = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
# Darwin's fifteen pairs of maize, in eighths of an inch: Fisher (1935), "The Design of Experiments", chapter 3.
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])


def test_students_sleep():
    found = paired_difference(np.zeros(10), SLEEP)
    assert round(found.mean, 2) == 1.58
    assert (round(found.low, 4), round(found.high, 4)) == (0.7001, 2.4599)


def test_darwins_maize():
    # Fisher, section 21: 863 of the 32,768 sums are as large in one direction, as many in the other: 5.267 %.
    assert sign_flip_p(MAIZE) == 1726 / 32_768
    found = paired_difference(np.zeros(15), MAIZE)
    assert round(found.mean * 15) == 314
    assert (found.low > 0, round(found.low, 2)) == (True, 0.03)  # Student's t calls it, at p = 4.97 %


def test_superiority_counts_pairs_and_half_of_the_ties():
    assert superiority(MAIZE).mean == 13 / 15
    assert superiority(SLEEP).mean == 0.95
    assert superiority([0.0, 0.0]).mean == 0.5


def test_a_skewed_sample_has_a_skewed_bootstrap_interval():
    found = bootstrap_interval(SLEEP)
    assert found.mean == pytest.approx(1.58)
    assert found.high - found.mean > 1.2 * (found.mean - found.low)
    assert found == bootstrap_interval(SLEEP)
    assert bootstrap_interval([0.9, 0.9, 0.9]) is None
    assert bootstrap_interval([0.9, 0.8, 0.9]) is None


def test_on_a_large_normal_sample_the_bootstrap_is_students():
    scores = np.random.default_rng(1987).normal(0.9, 0.01, 400)
    ours, students = bootstrap_interval(scores), paired_difference(np.zeros(400), scores)
    assert (ours.low, ours.high) == pytest.approx((students.low, students.high), abs=1.5e-4)
