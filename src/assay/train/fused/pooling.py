"""Max and average pooling in passes of their own: windows of any size and stride. Layouts: see ``buffers``.

Windows may overlap or leave gaps here. Forward, max pooling stores a *code* for each output, the place of its value in
the window; backward, every pixel gathers from the windows that cover it, so that no two threads add to one pixel and
the order of its sum is fixed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .blocks import Pool
from .buffers import Access, BatchInfo, Buffer, Mode, counted
from .commands import CommandList
from .compiler import Kernel, compiled
from .vectors import LANES

# Parameters that every kernel here takes, in the order of ``PoolOp._sizes``.
_SIZES = "blocks height width channels pooled_height pooled_width window_height window_width stride top left"


@cache
def max_pool(mode: Mode) -> Kernel:
    """z = pool(y), and codes: where in each window its largest value was, in order of rows; of equal ones the first.

    NaN counts as the largest, so that a diverged network shows in its loss. In bfloat16 two channels' codes share a
    word.

    Arguments: part, parts, y, z, codes [blocks, pooled pixels, vectors], number of blocks, y height and width, vectors
    a pixel, pooled height and width, window height and width, stride, margins of the windows at top and left, z height
    and width (with margin), z margins at top and left.
    """
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    # The maximum and its code are updated under one comparison, in order, so that the first of equal values stays.
    start = "".join(f"{place}m{c} = lowest\n{place}c{c} = zeros\n" for c in channels)
    visit = access.load("y", "at + v * channels", [f"y{c}" for c in channels], inner)
    visit += f"{inner}here = splat_i(np.uint32(u * window_width + v))\n"
    for c in channels:
        visit += f"{inner}hit = mask_or(greater(y{c}, m{c}), is_nan(y{c}))\n"
        visit += f"{inner}m{c} = select(hit, y{c}, m{c})\n{inner}c{c} = select_i(hit, here, c{c})\n"
    finish = access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"m{c}" for c in channels], place
    )
    code = "interleave_low(c0, c1)" if mode == "b" else "c0"
    finish += f"{place}store_i(codes, (((b * pooled_height + i) * pooled_width + j) * channels + k) * 16, {code})\n"
    return compiled(
        "max_pool",
        f"y[] z[] codes[] {_SIZES} z_height z_width z_top z_left",
        f"""    lowest, zeros = splat(np.float32(-np.inf)), splat_i(np.uint32(0))
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(pooled_height):
            row = i * stride - top
            for j in range(pooled_width):
                column = j * stride - left
                for k in range(channels):
{start}                    for u in range(max(0, -row), min(window_height, height - row)):
                        at = ((b * height + row + u) * width + column) * channels + k
                        for v in range(max(0, -column), min(window_width, width - column)):
{visit}{finish}""",
    )


@cache
def avg_pool(mode: Mode) -> Kernel:
    """z = the mean of those pixels of a window that lie in y. Arguments as in ``max_pool``, without codes."""
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    start = "".join(f"{place}a{c} = nothing\n" for c in channels)
    visit = access.load("y", "at + v * channels", [f"y{c}" for c in channels], inner)
    visit += "".join(f"{inner}a{c} = add(a{c}, y{c})\n" for c in channels)
    # Pixels of the margin do not count, as in Keras: windows at the edges are means of fewer values.
    finish = "".join(f"{place}a{c} = mul(a{c}, share)\n" for c in channels)
    finish += access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"a{c}" for c in channels], place
    )
    return compiled(
        "avg_pool",
        f"y[] z[] {_SIZES} z_height z_width z_top z_left",
        f"""    nothing = splat(ZERO)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(pooled_height):
            row = i * stride - top
            first_row, last_row = max(0, -row), min(window_height, height - row)
            for j in range(pooled_width):
                column = j * stride - left
                first_column, last_column = max(0, -column), min(window_width, width - column)
                share = splat(np.float32(1 / ((last_row - first_row) * (last_column - first_column))))
                for k in range(channels):
{start}                    for u in range(first_row, last_row):
                        at = ((b * height + row + u) * width + column) * channels + k
                        for v in range(first_column, last_column):
{visit}{finish}""",
    )


def _gather(access: Access, name: str, arrays: str, before_row: str, visit: str) -> Kernel:
    """The kernel that sums, for every pixel of y, over the windows that cover it: rows r and columns s of dz.

    Args:
        access: Of dz and dy.
        name: The kernel's.
        arrays: Its array parameters.
        before_row: Source for each row of windows.
        visit: Source for each window, whose dz lies at ``at + s * channels``: it adds to a0 (and a1).
    """
    channels = range(access.channels)
    place = " " * 20
    start = "".join(f"{place}a{c} = nothing\n" for c in channels)
    finish = access.store("dy", "((b * height + i) * width + j) * channels + k", [f"a{c}" for c in channels], place)
    return compiled(
        name,
        f"{arrays} {_SIZES}",
        f"""    nothing = splat(ZERO)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
            first_row = max(0, i + top - window_height + stride) // stride
            last_row = min(pooled_height, (i + top) // stride + 1)
            for j in range(width):
                first_column = max(0, j + left - window_width + stride) // stride
                last_column = min(pooled_width, (j + left) // stride + 1)
                for k in range(channels):
{start}                    for r in range(first_row, last_row):
                        at = (b * pooled_height + r) * pooled_width * channels + k
{before_row}                        for s in range(first_column, last_column):
{visit}{finish}""",
    )


@cache
def avg_pool_gradient(mode: Mode) -> Kernel:
    """dy from dz: every window's gradient in equal shares. Arguments as in ``max_pool_gradient``, without codes."""
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 24, " " * 28
    before_row = f"{place}row = r * stride - top\n"
    before_row += f"{place}rows = min(window_height, height - row) - max(0, -row)\n"
    visit = access.load("dz", "at + s * channels", [f"d{c}" for c in channels], inner)
    visit += f"{inner}column = s * stride - left\n"
    visit += f"{inner}columns = min(window_width, width - column) - max(0, -column)\n"
    visit += f"{inner}share = splat(np.float32(1 / (rows * columns)))\n"
    visit += "".join(f"{inner}a{c} = fma(d{c}, share, a{c})\n" for c in channels)
    return _gather(access, "avg_pool_gradient", "dz[] dy[]", before_row, visit)


@cache
def max_pool_gradient(mode: Mode) -> Kernel:
    """dy from dz and codes: what every window that covers a pixel and chose it sends there, summed in order.

    Arguments: part, parts, dz, codes, dy, sizes as in ``max_pool`` without those of z.
    """
    inner = " " * 28
    before_row = f"{' ' * 24}before = (i + top - r * stride) * window_width\n"
    # The pixel's own place in the window is compared with the code: 16 bits are enough (``plan`` refuses larger
    # windows).
    visit = f"{inner}code = load_i(codes, (at + s * channels) * 16)\n"
    visit += f"{inner}wanted = np.uint32(before + j + left - s * stride)\n"
    if mode == "b":
        visit += f"{inner}chosen = where_code_pairs(code, load_i(dz, (at + s * channels) * 16), wanted)\n"
        visit += f"{inner}a0 = add(a0, low(chosen))\n{inner}a1 = add(a1, high(chosen))\n"
    else:
        visit += f"{inner}a0 = add(a0, where_code(code, load_f(dz, (at + s * channels) * 16), wanted))\n"
    return _gather(Access(mode), "max_pool_gradient", "dz[] codes[] dy[]", before_row, visit)


class PoolOp:
    """Pooling as one pass forward and one backward.

    Args:
        plan: Its windows.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin; of means it may be bfloat16 beside values in float32.
    """

    def __init__(self, plan: Pool, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self._codes: list[NDArray[np.int32]]
        height, width, _ = plan.outputs
        if plan.is_mean:
            self._forward, self._backward = avg_pool(source.mode), avg_pool_gradient(dz.mode)
            self._codes = []
            return
        self._codes = [np.zeros(source.num_blocks * height * width * source.vectors * LANES, np.int32)]
        self._forward, self._backward = max_pool(source.mode), max_pool_gradient(source.mode)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def _sizes(self, batch: BatchInfo, by: Buffer) -> tuple[int, ...]:
        plan, y = self.plan, self.y
        height, width, _ = plan.outputs
        return (
            batch.blocks, y.height, y.width, counted(y, by), height, width, *plan.window, plan.stride, *plan.margin,
        )  # fmt: skip

    def _work(self, batch: BatchInfo) -> int:
        height, width, _ = self.plan.outputs
        return batch.blocks * height * width * self.y.vectors * self.plan.window[0] * self.plan.window[1]

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        z = self.z
        commands.add(
            self._work(batch), self._forward, self.y.data, z.data, *self._codes, *self._sizes(batch, z), z.full_height,
            z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, which has no margin."""
        commands.add(self._work(batch), self._backward, self.dz.data, *self._codes, dy.data, *self._sizes(batch, dy))
