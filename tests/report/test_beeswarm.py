"""Dots of equal value stand side by side, and those that are apart in the middle."""

from __future__ import annotations

import numpy as np
import pytest

from assay.report.beeswarm import lanes


def test_equal_values_go_to_both_sides_in_turn():
    assert lanes([0.5] * 5, 0.1) == [0, 1, -1, 2, -2]
    assert lanes([0.1, 0.5, 0.9], 0.1) == [0, 0, 0]
    assert lanes([], 0.1) == []


@pytest.mark.parametrize("width", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_no_two_dots_lie_over_each_other(width, decimals):
    values = np.random.default_rng(5).normal(0.9, 0.05, 200).round(decimals).tolist()
    places = lanes(values, width)
    by_lane: dict[int, list[float]] = {}
    for value, lane in zip(values, places, strict=True):
        by_lane.setdefault(lane, []).append(value)
    for own in by_lane.values():
        assert (np.diff(np.sort(own)) >= width).all()
    # No lane is skipped: a dot stands as near to the middle as it can.
    used = sorted(by_lane, key=lambda lane: (abs(lane), -lane))
    assert used == [0, *[(-1) ** (k + 1) * ((k + 1) // 2) for k in range(1, len(used))]]
