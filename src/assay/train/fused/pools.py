"""Pooling in a pass of its own: windows of any size and stride. How arrays lie: see ``tails``."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .compiler import Kernel, compiled
from .grid import Grid, Run, reshaped
from .plan import Pool
from .tails import Access, Mode
from .tape import Tape
from .vectors import LANES

_SIZES = "blocks height width channels pooled_height pooled_width window_height window_width stride top left"


@cache
def largest(mode: Mode) -> Kernel:
    """z = pool(y), and codes: where in each window its largest value was, in order of rows; of equal ones the first.

    What is no number counts as the largest, so that it reaches the loss. In bfloat16 two channels' codes share a word.

    Arguments: part, parts, y, z, codes [blocks, pooled pixels, vectors], number of blocks, y height and width, vectors
    a pixel, pooled height and width, window height and width, stride, margins of the windows at top and left, z height
    and width (with margin), z margins at top and left.
    """
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    start = "".join(f"{place}m{c} = lowest\n{place}c{c} = zeros\n" for c in channels)
    visit = access.load("y", "at + v * channels", [f"y{c}" for c in channels], inner)
    visit += f"{inner}here = splat_i(np.uint32(u * window_width + v))\n"
    for c in channels:
        visit += f"{inner}hit = either(greater(y{c}, m{c}), undefined(y{c}))\n"
        visit += f"{inner}m{c} = choose(hit, y{c}, m{c})\n{inner}c{c} = choose_i(hit, here, c{c})\n"
    finish = access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"m{c}" for c in channels], place
    )
    code = "lows(c0, c1)" if mode == "b" else "c0"
    finish += f"{place}store_i(codes, (((b * pooled_height + i) * pooled_width + j) * channels + k) * 16, {code})\n"
    return compiled(
        "largest",
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
def mean(mode: Mode) -> Kernel:
    """z = the mean of those pixels of a window that lie in y. Arguments as in ``largest``, without codes."""
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    start = "".join(f"{place}a{c} = nothing\n" for c in channels)
    visit = access.load("y", "at + v * channels", [f"y{c}" for c in channels], inner)
    visit += "".join(f"{inner}a{c} = add(a{c}, y{c})\n" for c in channels)
    finish = "".join(f"{place}a{c} = mul(a{c}, share)\n" for c in channels)
    finish += access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"a{c}" for c in channels], place
    )
    return compiled(
        "mean",
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


@cache
def to_mean(mode: Mode) -> Kernel:
    """dy from dz: every window's gradient in equal shares. Arguments as in ``to_largest``, without codes."""
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    start = "".join(f"{place}a{c} = nothing\n" for c in channels)
    visit = access.load("dz", "at + s * channels", [f"d{c}" for c in channels], inner)
    visit += f"{inner}column = s * stride - left\n"
    visit += f"{inner}columns = min(window_width, width - column) - max(0, -column)\n"
    visit += f"{inner}share = splat(np.float32(1 / (rows * columns)))\n"
    visit += "".join(f"{inner}a{c} = fma(d{c}, share, a{c})\n" for c in channels)
    finish = access.store("dy", "((b * height + i) * width + j) * channels + k", [f"a{c}" for c in channels], place)
    return compiled(
        "to_mean",
        f"dz[] dy[] {_SIZES}",
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
                        row = r * stride - top
                        rows = min(window_height, height - row) - max(0, -row)
                        for s in range(first_column, last_column):
{visit}{finish}""",
    )


@cache
def to_largest(mode: Mode) -> Kernel:
    """dy from dz and codes: what every window that covers a pixel and chose it sends there, summed in order.

    Arguments: part, parts, dz, codes, dy, sizes as in ``largest`` without those of z.
    """
    access = Access(mode)
    channels = range(access.channels)
    place, inner = " " * 20, " " * 28
    start = "".join(f"{place}a{c} = nothing\n" for c in channels)
    visit = f"{inner}code = load_i(codes, (at + s * channels) * 16)\n"
    visit += f"{inner}wanted = np.uint32(before + j + left - s * stride)\n"
    if mode == "b":
        visit += f"{inner}chosen = pick_halves(code, load_i(dz, (at + s * channels) * 16), wanted)\n"
        visit += f"{inner}a0 = add(a0, low(chosen))\n{inner}a1 = add(a1, high(chosen))\n"
    else:
        visit += f"{inner}a0 = add(a0, pick(code, load_f(dz, (at + s * channels) * 16), wanted))\n"
    finish = access.store("dy", "((b * height + i) * width + j) * channels + k", [f"a{c}" for c in channels], place)
    return compiled(
        "to_largest",
        f"dz[] codes[] dy[] {_SIZES}",
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
                        before = (i + top - r * stride) * window_width
                        for s in range(first_column, last_column):
{visit}{finish}""",
    )


class PoolOp:
    """Pooling as one pass there and one back."""

    def __init__(self, plan: Pool, *, source: Grid, target: Grid, dz: Grid) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self._codes: list[NDArray[np.int32]]
        height, width, _ = plan.outputs
        if plan.is_mean:
            self._forward, self._backward = mean(source.mode), to_mean(source.mode)
            self._codes = []
            return
        self._codes = [np.zeros(source.num_blocks * height * width * source.vectors * LANES, np.int32)]
        self._forward, self._backward = largest(source.mode), to_largest(source.mode)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def _sizes(self, run: Run) -> tuple[int, ...]:
        plan, y = self.plan, self.y
        height, width, _ = plan.outputs
        return (
            run.blocks, y.height, y.width, y.vectors, height, width, *plan.window, plan.stride, *plan.margin,
        )  # fmt: skip

    def _work(self, run: Run) -> int:
        height, width, _ = self.plan.outputs
        return run.blocks * height * width * self.y.vectors * self.plan.window[0] * self.plan.window[1]

    def forward(self, tape: Tape, run: Run) -> None:
        z = self.z
        tape(
            self._work(run), self._forward, self.y.data, z.data, *self._codes, *self._sizes(run), z.full_height,
            z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, tape: Tape, run: Run, *, dy: Grid) -> None:
        """From ``dz`` to ``dy``, which has no margin."""
        dy = reshaped(dy, self.plan.inputs)
        tape(self._work(run), self._backward, self.dz.data, *self._codes, dy.data, *self._sizes(run))
