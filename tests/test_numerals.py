"""How numbers and counts are written for people."""

from __future__ import annotations

import pytest

from assay.measures import NATS, PERCENT
from assay.numerals import (
    counted,
    decimals_for,
    fixed,
    flops,
    in_points,
    minus,
    p_value,
    percent,
    points,
    seconds,
    signed,
    significant,
    whole_seconds,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.99123), "99.12 %"),
        (percent(-0.5, 0), "−50 %"),
        (percent(float("nan")), "–"),
        (points(0.0031), "+0.31"),
        (points(-0.0031), "−0.31"),
        (points(-1e-9), "0.00"),
        (points(1e-9), "0.00"),
        (fixed(-1e-9, 2), "0.00"),
        (signed(-2.5, 1), "−2.5"),
        (signed(None, 1), "–"),
        (significant(0.0123456), "0.0123"),
        (significant(-1234.5), "−1,234"),
        (significant(0), "0"),
        (flops(26_512_000), "26.5 M"),
        (seconds(0.1234), "0.123 s"),
        (seconds(75.3), "1 min 15 s"),
        (whole_seconds(7384), "2 h 3 min"),
        (p_value(0.00001), "< 0.0001"),
        (counted(1, "image"), "1 image"),
        (counted(0, "image"), "0 images"),
        (counted(1200, "image"), "1,200 images"),
        (counted(2, "class", "classes"), "2 classes"),
        (counted(1, "class", "classes"), "1 class"),
        (in_points("1"), "1 point"),
        (in_points("0.31"), "0.31 points"),
        (minus("from -0.21 to 3-fold, well-known, gain=-1, a-1"), "from −0.21 to 3-fold, well-known, gain=−1, a-1"),
    ],
)
def test_numbers_are_written_one_way(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [
        (93.8, 98.5, 1),  # half of it is 2.3: two digits are 2.3
        (40.0, 90.0, 0),
        (98.1, 98.4, 2),
        (98.10, 98.14, 2),  # never more than the unit has
        (98.1, 98.1, 2),  # no width, nothing to go by
        (0.002, 0.058, 3),  # 0.00 would say that it reaches zero
        (-0.058, -0.002, 3),
        (-0.002, 0.058, 2),
        (float("-inf"), 3.0, 2),
        (1e-17, 1e-17, 2),
    ],
)
def test_digits_follow_the_size_of_the_interval(low: float, high: float, decimals: int) -> None:
    assert decimals_for(low, high, 2) == decimals


def test_a_unit_writes_an_estimate_and_its_interval_alike() -> None:
    low, high = 0.938, 0.985
    assert (PERCENT.within(low, high).value(0.9612), PERCENT.interval(low, high)) == ("96.1 %", "[93.8, 98.5]")
    assert PERCENT.changes(-0.0012, 0.0031) == "[−0.12, +0.31]"
    assert PERCENT.within(low, high).words == "percentage points"
    assert NATS.within(0.1, 0.5).number(0.31234) == "0.31"
