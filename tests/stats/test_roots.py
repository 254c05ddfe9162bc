"""Roots are those of SciPy's brentq, point for point."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from scipy.optimize import brentq

from assay.stats.roots import root_of

FUNCTIONS: dict[str, tuple[Callable[[float], float], float, float]] = {
    "cubic": (lambda x: x**3 - 2, 0.0, 5.0),
    "falling": (lambda x: math.exp(-x) - 1e-9, 0.0, 60.0),
    "flat": (lambda x: (x - 1) ** 3, 0.0, 3.7),
    "steps": (lambda x: math.floor(100 * x) / 100 - 0.335, 0.0, 1.0),
    "cosine": (lambda x: math.cos(x) - x, -2.0, 2.0),
    "steep": (lambda x: math.atan(1e4 * (x - 0.3)), -1.0, 2.0),
}


@pytest.mark.parametrize("within", [1e-3, 1e-12])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_roots_are_scipys(name: str, within: float) -> None:
    function, low, high = FUNCTIONS[name]
    points: list[list[float]] = [[], []]

    def seen(places: list[float]) -> Callable[[float], float]:
        return lambda x: (places.append(x), function(x))[1]

    ours = root_of(seen(points[0]), low, high, within=within)
    assert ours == brentq(seen(points[1]), low, high, xtol=within)
    assert points[0] == points[1]


def test_an_end_may_be_the_root() -> None:
    assert root_of(lambda x: x, 0.0, 1.0, within=1e-3) == 0.0
    assert root_of(lambda x: x - 1, 0.0, 1.0, within=1e-3) == 1.0


def test_ends_without_a_change_of_sign_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one sign at 1\.0 and 2\.0"):
        root_of(lambda x: x, 1.0, 2.0, within=1e-3)
