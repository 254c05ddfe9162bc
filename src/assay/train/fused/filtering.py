"""Winograd's minimal filtering in one dimension, F(m, r): m outputs of r taps from m + r - 1 products.

Source: Winograd (1980), "Arithmetic Complexity of Computations"; Lavin and Gray (2016), "Fast Algorithms for
Convolutional Neural Networks". For outputs y, kernel g and pixels d: y = A' [(G g) * (B' d)]. With the points 0, 1, -1
and infinity that is F(2, 3), where B' and A' only add; with 2 and -2 besides, F(4, 3) and F(2, 5), whose factors of up
to 8 float32 bears and bfloat16 does not.

Applied to columns and then to rows it filters in two dimensions. A transform is written as source that works on named
vectors, since a lane is an image; ``kernel_matrix`` is for numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Source = Callable[[Sequence[str], Sequence[str], str], str]  # of a transform: names read, names written, indent

# What the sources below call besides operations on vectors; a kernel begins with this.
CONSTANTS = "".join(
    f"    {name} = splat(np.float32({value}))\n"
    for name, value in {
        "one_half": 1 / 2, "two": 2, "minus_two": -2, "four": 4, "minus_four": -4, "minus_five": -5, "eight": 8,
        "quarter": 1 / 4, "sixth": 1 / 6, "minus_sixth": -1 / 6, "twelfth": 1 / 12, "twenty_fourth": 1 / 24,
        "one_third": 1 / 3, "two_thirds": 2 / 3,
    }.items()
)  # fmt: skip


@dataclass(frozen=True)
class Filtering:
    """F(outputs, taps). Matrices are named as by Lavin and Gray.

    Args:
        outputs: Along one axis of a tile.
        taps: Of the kernel along one axis.
    """

    outputs: int
    taps: int

    @property
    def points(self) -> int:
        """Products along one axis: pixels of a tile, too."""
        return self.outputs + self.taps - 1

    @property
    def products(self) -> int:
        """Of a tile."""
        return self.points**2

    def pixels(self, source: str, target: str, indent: str) -> str:
        """B' d B: from ``points`` rows and columns to as many, by the names ``d00``, ``d01`` ..."""
        rows = _PIXELS_6 if self.points == 6 else _PIXELS_4
        return _twice(_source(rows), self.points, self.points, source, target, indent)

    def results(self, source: str, target: str, indent: str) -> str:
        """A' m A: ``outputs`` rows and columns from ``points``."""
        return _twice(_source(_RESULTS[self.outputs, self.taps]), self.points, self.outputs, source, target, indent)

    def gradients(self, source: str, target: str, indent: str) -> str:
        """A dY A', the adjoint of ``results``: ``points`` rows and columns from ``outputs``."""
        return _twice(_source(_GRADIENTS[self.outputs, self.taps]), self.outputs, self.points, source, target, indent)

    def kernels(self, source: str, target: str, indent: str) -> str:
        """G' m G: the gradient of ``taps`` rows and columns from ``points``."""
        return _twice(_source(_KERNELS[self.outputs, self.taps]), self.points, self.taps, source, target, indent)

    @property
    def kernel_matrix(self) -> NDArray[np.float32]:
        """G, [points, taps]. Row of the point a: 1, a, a^2 ... over the product of a's distances from the others."""
        finite = [0, 1, -1, 2, -2][: self.points - 1]
        rows = []
        for a in finite:
            distance = np.prod([a - b for b in finite if b != a])
            # Lavin and Gray take the signs of F(2, 3) so that no row of G but the last is negative.
            scale = abs(distance) if self.points == 4 else distance
            rows.append([a**power / scale for power in range(self.taps)])
        return np.array([*rows, [0.0] * (self.taps - 1) + [1.0]], np.float32)


SMALL = Filtering(2, 3)
WIDE = Filtering(4, 3)
FIVE = Filtering(2, 5)

# Lines of source: {n} is what a transform reads, <n> what it writes, f0 to f3 are its own.
_PIXELS_4 = """\
<0> = sub({0}, {2})
<1> = add({1}, {2})
<2> = sub({2}, {1})
<3> = sub({1}, {3})"""
_PIXELS_6 = """\
f0 = fma(minus_four, {1}, {3})
f1 = fma(minus_four, {2}, {4})
f2 = sub({4}, {2})
f3 = sub({3}, {1})
<0> = fma(four, {0}, fma(minus_five, {2}, {4}))
<1> = add(f1, f0)
<2> = sub(f1, f0)
<3> = fma(two, f3, f2)
<4> = fma(minus_two, f3, f2)
<5> = fma(four, {1}, fma(minus_five, {3}, {5}))"""
_SUMS_6 = """\
f0 = add({1}, {2})
f1 = sub({1}, {2})
f2 = add({3}, {4})
f3 = sub({3}, {4})
<0> = add({0}, add(f0, f2))
"""
_RESULTS = {
    (2, 3): """\
<0> = add(add({0}, {1}), {2})
<1> = sub(sub({1}, {2}), {3})""",
    (4, 3): _SUMS_6
    + """\
<1> = fma(two, f3, f1)
<2> = fma(four, f2, f0)
<3> = add(fma(eight, f3, f1), {5})""",
    (2, 5): _SUMS_6
    + """\
<1> = add(fma(two, f3, f1), {5})""",
}
_GRADIENTS = {
    (2, 3): """\
<0> = {0}
<1> = add({0}, {1})
<2> = sub({0}, {1})
<3> = sub(nothing, {1})""",
    (4, 3): """\
f0 = add({0}, {2})
f1 = add({1}, {3})
f2 = fma(four, {2}, {0})
f3 = fma(four, {3}, {1})
<0> = {0}
<1> = add(f0, f1)
<2> = sub(f0, f1)
<3> = fma(two, f3, f2)
<4> = fma(minus_two, f3, f2)
<5> = {3}""",
    (2, 5): """\
<0> = {0}
<1> = add({0}, {1})
<2> = sub({0}, {1})
<3> = fma(two, {1}, {0})
<4> = fma(minus_two, {1}, {0})
<5> = {1}""",
}
_SHARES_6 = """\
f0 = mul(minus_sixth, add({1}, {2}))
f1 = mul(minus_sixth, sub({1}, {2}))
f2 = add({3}, {4})
f3 = sub({3}, {4})
<0> = fma(quarter, {0}, fma(twenty_fourth, f2, f0))
<1> = fma(twelfth, f3, f1)
"""
_KERNELS = {
    (2, 3): """\
f0 = mul(one_half, add({1}, {2}))
<0> = add({0}, f0)
<1> = mul(one_half, sub({1}, {2}))
<2> = add(f0, {3})""",
    (4, 3): _SHARES_6
    + """\
<2> = add(fma(sixth, f2, f0), {5})""",
    (2, 5): _SHARES_6
    + """\
<2> = fma(sixth, f2, f0)
<3> = fma(one_third, f3, f1)
<4> = add(fma(two_thirds, f2, f0), {5})""",
}


def _source(lines: str) -> Source:
    def written(read: Sequence[str], to: Sequence[str], indent: str) -> str:
        text = "".join(f"{indent}{line}\n" for line in lines.splitlines()).format(*read)
        for n, name in enumerate(to):
            text = text.replace(f"<{n}>", name)
        return text

    return written


def _twice(line: Source, read: int, written: int, source: str, target: str, indent: str) -> str:
    """Columns first, then rows."""
    text = ""
    for v in range(read):
        text += line([f"{source}{u}{v}" for u in range(read)], [f"z{u}{v}" for u in range(written)], indent)
    for u in range(written):
        text += line([f"z{u}{v}" for v in range(read)], [f"{target}{u}{v}" for v in range(written)], indent)
    return text
