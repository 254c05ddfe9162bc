"""Input gradients of strided convolutions, without the zeros between pixels.

Of a kernel with stride s, a pixel of the input meets only every s-th tap in each direction. The pixels that meet the
same ones, every s-th row and column, are a *phase*. Its gradient is a convolution without stride of dy with those taps,
written to every s-th pixel. All phases together multiply as often as the forward pass, which is an s * s-th of what
zeros between pixels cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .blocks import Weighted
from .buffers import Buffer, shifted
from .vectors import LANES


@dataclass(frozen=True)
class _Axis:
    """One phase along one axis.

    Args:
        first: The first pixel.
        taps: Of the flipped kernel, in order.
        start: The pixel of dy that meets the first tap at the first pixel; below 0 in the margin.
    """

    first: int
    taps: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Phase:
    """Pixels of the input that meet the same taps."""

    rows: _Axis
    columns: _Axis

    @property
    def kernel(self) -> tuple[int, int]:
        return len(self.rows.taps), len(self.columns.taps)

    def taps(self, kernel_width: int) -> list[int]:
        """Places in the flipped kernel, in the order of rows."""
        return [row * kernel_width + column for row in self.rows.taps for column in self.columns.taps]

    def source(self, dy: Buffer) -> Buffer:
        """dy from the first pixel on that this phase reads."""
        return shifted(dy, (-self.rows.start, 0, -self.columns.start, 0))

    def target(self, dx: Buffer) -> int:
        """Where in dx's data the first pixel lies."""
        return (self.rows.first * dx.full_width + self.columns.first) * dx.vectors * LANES


def phases_of(plan: Weighted) -> tuple[Phase, ...]:
    """The phases of a layer, none where it has no stride or its input is no whole number of strides."""
    if plan.is_dense or plan.stride == 1 or any(size % plan.stride for size in plan.inputs[:2]):
        return ()
    rows = _along(plan.kernel[0], plan.stride, plan.margin[0])
    columns = _along(plan.kernel[1], plan.stride, plan.margin[2])
    return tuple(Phase(row, column) for row in rows for column in columns)


def _along(size: int, stride: int, before: int) -> list[_Axis]:
    axes = []
    for first in range(stride):
        place, rest = divmod(first + before, stride)
        count = max(0, math.ceil((size - rest) / stride))
        taps = tuple(size - 1 - (rest + stride * tap) for tap in reversed(range(count)))
        axes.append(_Axis(first, taps, place - count + 1))
    return axes


def margins_of(plan: Weighted, phases: tuple[Phase, ...]) -> tuple[int, int, int, int]:
    """Zeros that the phases want around dy: at the top, bottom, left and right."""
    sides = []
    for axis, chosen in ((0, [phase.rows for phase in phases]), (1, [phase.columns for phase in phases])):
        last = plan.inputs[axis] // plan.stride - plan.outputs[axis]
        sides += [
            max(0, *(-one.start for one in chosen)),
            max(0, *(last + one.start + len(one.taps) - 1 for one in chosen)),
        ]
    return sides[0], sides[1], sides[2], sides[3]
