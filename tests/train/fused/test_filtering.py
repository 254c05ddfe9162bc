"""Winograd's filtering: its transforms, in fractions, give the convolution and its gradient exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from assay.train.fused.filtering import CONSTANTS, FIVE, SMALL, WIDE, Filtering

OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "nothing": 0,
}


def run(source: str, names: dict[str, Any]) -> None:
    exec(source, names)


def squared(letter: str, values: np.ndarray) -> dict[str, Any]:
    return {f"{letter}{u}{v}": int(value) for (u, v), value in np.ndenumerate(values)}


@pytest.mark.parametrize("filtering", [SMALL, WIDE, FIVE])
def test_transforms_give_the_convolution_and_its_gradient(filtering: Filtering) -> None:
    rng = np.random.default_rng(0)
    points, outputs, taps = filtering.points, filtering.outputs, filtering.taps
    d, g, dy = (rng.integers(-5, 6, (size, size)) for size in (points, taps, outputs))

    def fraction(value: float) -> Fraction:
        return Fraction(float(value)).limit_denominator(100)

    names: dict[str, Any] = {**OPERATIONS, "np": np, "splat": fraction}
    run(CONSTANTS.replace("    ", ""), names)
    matrix = np.array([[fraction(value) for value in row] for row in filtering.kernel_matrix.tolist()], object)
    kernel = matrix @ g.astype(object) @ matrix.T
    everywhere = [(u, v) for u in range(points) for v in range(points)]

    names |= squared("d", d)
    run(filtering.pixels("d", "t", ""), names)
    names |= {f"m{u}{v}": kernel[u, v] * names[f"t{u}{v}"] for u, v in everywhere}
    run(filtering.results("m", "y", ""), names)
    for u in range(outputs):
        for v in range(outputs):
            assert names[f"y{u}{v}"] == (d[u : u + taps, v : v + taps] * g).sum()

    names |= squared("o", dy)
    run(filtering.gradients("o", "e", ""), names)
    names |= {f"m{u}{v}": names[f"e{u}{v}"] * names[f"t{u}{v}"] for u, v in everywhere}
    run(filtering.kernels("m", "k", ""), names)
    for u in range(taps):
        for v in range(taps):
            assert names[f"k{u}{v}"] == (d[u : u + outputs, v : v + outputs] * dy).sum()
