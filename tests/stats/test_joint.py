"""Contrasts tested together by flipping pairs: the family's errors are kept, and dependence costs no power."""

from __future__ import annotations

import numpy as np
import pytest

from assay.stats import joint_flip_ps, joint_ps, sign_flip_p


def test_one_contrast_has_the_sign_flip_p() -> None:
    rng = np.random.default_rng(1)
    for pairs in (3, 6, 10, 13):
        row = rng.normal(0.4, 1, pairs)
        assert joint_flip_ps([row])[0] == pytest.approx(sign_flip_p(row), abs=1e-12)
    many = rng.normal(0.4, 1, 30)
    assert joint_flip_ps([many])[0] == pytest.approx(sign_flip_p(many), abs=0.02)


def test_contrasts_that_say_the_same_count_once() -> None:
    row = np.array([0.5, 0.6, 0.4, 0.55, 0.7, 0.3])
    assert joint_flip_ps([row]) == pytest.approx([2 / 64])
    assert joint_flip_ps([row] * 25) == pytest.approx([2 / 64] * 25)
    assert joint_flip_ps([row, 3 * row, -row]) == pytest.approx([2 / 64] * 3)


def test_smaller_effects_step_down_and_empty_ones_are_never_called() -> None:
    rng = np.random.default_rng(2)
    rows = np.array([np.full(8, 0.5), rng.normal(0, 1, 8), np.zeros(8)])
    large, small, none = joint_flip_ps(rows)
    assert large == pytest.approx(2 / 256)
    assert large <= small <= 1
    assert none == 1
    assert joint_flip_ps(np.empty((0, 8))).tolist() == []
    with pytest.raises(ValueError, match="give finite differences"):
        joint_flip_ps([[0.1, np.nan]])


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_at_most_five_percent_of_null_families_hold_a_call(correlation: float) -> None:
    rng = np.random.default_rng(3)
    num_families, calls = 600, 0
    for _ in range(num_families):
        shared = rng.normal(size=(1, 7))
        rows = correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.normal(size=(10, 7))
        calls += joint_flip_ps(rows).min() < 0.05
    # Four standard errors above 5 %.
    assert calls / num_families <= 0.05 + 4 * (0.05 * 0.95 / num_families) ** 0.5


def test_both_tests_must_agree() -> None:
    rows = [[0.5, 0.6, 0.4, 0.55, 0.7, 0.3], [0.1, -0.2, 0.1, 0.0, 0.1, -0.1]]
    assert joint_ps([1e-4, 0.9], rows)[0] == pytest.approx(2 / 64)
    assert joint_ps([0.4, 0.9], rows)[0] == pytest.approx(0.8)  # Holm's
