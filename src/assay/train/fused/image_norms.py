"""Normalization of each image by itself: layer, group and instance normalization. Layouts: see ``buffers``.

A lane is an image, so an image's statistics are vectors like any other: nothing is summed over lanes but the gradients
of gamma and beta. Values that are normalized together are a *set*: the channels of one position (layer normalization),
or groups of channels over all positions. A set is read three times in a row forward, and twice backward: it stays in
the cache.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from . import elementwise
from .blocks import ImageNorm
from .buffers import Access, BatchInfo, Buffer, Floats, Mode
from .commands import CommandList
from .compiler import Kernel, compiled
from .vectors import LANES

_COST = 3  # passes over a set
_SIZES = "blocks sets pixels channels num groups"


def _over_set(access: Access, body: str, arrays: tuple[str, ...], *, indent: str = " " * 12) -> str:
    """Source of a loop over a set's vectors: y0 (and y1), d0, ... In the body ``@`` is a channel, ``#`` its place."""
    channels = range(access.channels)
    inner = indent + "        "
    text = f"{indent}for p in range(pixels):\n{indent}    for k in range(channels):\n"
    for array in arrays:
        names = [f"{array[0]}{c}" for c in channels]
        text += access.load(array, "start + p * channels + k", names, inner)
    for c in channels:
        at = f"(k * {access.channels} + {c}) * 16"
        lines = body.replace("@", str(c)).replace("#", at)
        text += "".join(f"{inner}{line}\n" for line in lines.splitlines())
    return text


@cache
def forward(mode: Mode) -> Kernel:
    """z = (y - mean) * gamma / sqrt(variance + epsilon) + beta, with the biased variance; both statistics are kept.

    Arguments: part, parts, y, z, gamma, beta, statistics (mean and inverse deviation: [blocks, sets, groups, 2, 16]),
    number of blocks, sets of an image, pixels of a set, vectors a pixel, channels, groups of them in a set, width, z
    height and width (with margin), z margins at top and left, epsilon.
    """
    access = Access(mode)
    channels = range(access.channels)
    store = access.store("z", "there + k", [f"y{c}" for c in channels], " " * 20)
    sums = "store_f(total, #, add(load_f(total, #), y@))"
    squares = "y@ = sub(y@, load_f(mean, #))\nstore_f(total, #, fma(y@, y@, load_f(total, #)))"
    last = "".join(
        f"{' ' * 20}y{c} = fma(sub(y{c}, load_f(mean, (k * {access.channels} + {c}) * 16)), "
        f"load_f(factor, (k * {access.channels} + {c}) * 16), broadcast_f(shift, k * {access.channels} + {c}))\n"
        for c in channels
    )
    return compiled(
        "image_norm",
        f"y[] z[] gamma[] beta[] statistics[] {_SIZES} width z_height z_width z_top z_left epsilon:real",
        f"""    nothing = splat(ZERO)
    stored, each = channels * {access.channels}, num // groups
    total, mean = np.zeros(stored * 16, np.float32), np.zeros(stored * 16, np.float32)
    factor, shift = np.zeros(stored * 16, np.float32), np.zeros(stored, np.float32)
    inverse = np.zeros(16, np.float32)
    for c in range(num):
        shift[c] = beta[c]
    share = splat(np.float32(1 / (pixels * each)))
    offset = np.float32(epsilon)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for s in range(sets):
            start = (b * sets + s) * pixels * channels
            total[:] = 0
{_over_set(access, sums, ("y",))}\
            for g in range(groups):
                sums = nothing
                for c in range(g * each, (g + 1) * each):
                    sums = add(sums, load_f(total, c * 16))
                sums = mul(sums, share)
                for c in range(g * each, (g + 1) * each):
                    store_f(mean, c * 16, sums)
            total[:] = 0
{_over_set(access, squares, ("y",))}\
            for g in range(groups):
                sums = nothing
                for c in range(g * each, (g + 1) * each):
                    sums = add(sums, load_f(total, c * 16))
                store_f(inverse, 0, mul(sums, share))
                for lane in range(16):
                    inverse[lane] = np.float32(1) / np.sqrt(inverse[lane] + offset)
                place = ((b * sets + s) * groups + g) * 32
                store_f(statistics, place, load_f(mean, g * each * 16))
                store_f(statistics, place + 16, load_f(inverse, 0))
                for c in range(g * each, (g + 1) * each):
                    store_f(factor, c * 16, mul(load_f(inverse, 0), broadcast_f(gamma, c)))
            for p in range(pixels):
                i, j = (s * pixels + p) // width, (s * pixels + p) % width
                there = ((b * z_height + i + z_top) * z_width + j + z_left) * channels
                for k in range(channels):
{access.load("y", "start + p * channels + k", [f"y{c}" for c in channels], " " * 20)}{last}{store}""",
    )


@cache
def backward(mode: Mode) -> Kernel:
    """dy from dz and the statistics, and the sums of dz and of dz * x over an image block, x the normalized value.

    With N values in a group, dy = (gamma * dz - sum(gamma * dz) / N - x * sum(gamma * dz * x) / N) / deviation.

    Arguments: part, parts, y, dz, dy, gamma, statistics, sums for gamma and for beta (float64 [blocks, channels]),
    sizes as in ``forward``.
    """
    access = Access(mode)
    channels = range(access.channels)
    gather = (
        "y@ = sub(y@, load_f(mean, #))\n"
        "store_f(total, #, add(load_f(total, #), d@))\n"
        "store_f(product, #, fma(d@, y@, load_f(product, #)))"
    )
    last = "y@ = sub(y@, load_f(mean, #))\nd@ = fma(d@, load_f(factor, #), fma(y@, load_f(slope, #), load_f(level, #)))"
    store = access.store("dy", "start + p * channels + k", [f"d{c}" for c in channels], " " * 20)
    return compiled(
        "image_norm_gradient",
        f"y[] dz[] dy[] gamma[] statistics[] gamma_sums[double] beta_sums[double] {_SIZES}",
        f"""    nothing = splat(ZERO)
    stored, each = channels * {access.channels}, num // groups
    total, product = np.zeros(stored * 16, np.float32), np.zeros(stored * 16, np.float32)
    mean, factor = np.zeros(stored * 16, np.float32), np.zeros(stored * 16, np.float32)
    slope, level = np.zeros(stored * 16, np.float32), np.zeros(stored * 16, np.float32)
    all_d, all_x = np.zeros(stored * 16, np.float32), np.zeros(stored * 16, np.float32)
    share = splat(np.float32(-1 / (pixels * each)))
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        all_d[:] = 0
        all_x[:] = 0
        for s in range(sets):
            start = (b * sets + s) * pixels * channels
            total[:] = 0
            product[:] = 0
            for c in range(num):
                store_f(mean, c * 16, load_f(statistics, ((b * sets + s) * groups + c // each) * 32))
{_over_set(access, gather, ("y", "dz"))}\
            for g in range(groups):
                inverse = load_f(statistics, ((b * sets + s) * groups + g) * 32 + 16)
                first, second = nothing, nothing
                for c in range(g * each, (g + 1) * each):
                    first = fma(broadcast_f(gamma, c), load_f(total, c * 16), first)
                    second = fma(broadcast_f(gamma, c), load_f(product, c * 16), second)
                first = mul(mul(first, inverse), share)
                second = mul(mul(mul(second, inverse), mul(inverse, inverse)), share)
                for c in range(g * each, (g + 1) * each):
                    store_f(factor, c * 16, mul(inverse, broadcast_f(gamma, c)))
                    store_f(level, c * 16, first)
                    store_f(slope, c * 16, second)
                    store_f(all_d, c * 16, add(load_f(all_d, c * 16), load_f(total, c * 16)))
                    store_f(all_x, c * 16, fma(load_f(product, c * 16), inverse, load_f(all_x, c * 16)))
{_over_set(access, last, ("y", "dz"))}{store}\
        for c in range(num):
            gamma_sums[b * num + c] = sum_lanes(load_f(all_x, c * 16))
            beta_sums[b * num + c] = sum_lanes(load_f(all_d, c * 16))
""",
    )


class ImageNormOp:
    """Normalization of each image: one pass forward and one backward.

    Args:
        plan: What is normalized together.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.

    Attributes:
        gamma, beta, gamma_gradient, beta_gradient: Views of the network's flat vectors.
    """

    def __init__(self, plan: ImageNorm, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.gamma: Floats = np.empty(0, np.float32)
        self.beta: Floats = np.empty(0, np.float32)
        self.gamma_gradient: Floats = np.empty(0, np.float32)
        self.beta_gradient: Floats = np.empty(0, np.float32)
        pixels = source.height * source.width
        self._sets, self._pixels = (pixels, 1) if plan.is_by_position else (1, pixels)
        self._statistics = np.zeros(source.num_blocks * self._sets * plan.groups * 2 * LANES, np.float32)
        self._forward, self._backward = forward(source.mode), backward(source.mode)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def _sizes(self, batch: BatchInfo) -> tuple[int, ...]:
        return batch.blocks, self._sets, self._pixels, self.y.vectors, self.plan.inputs[2], self.plan.groups

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        y, z = self.y, self.z
        commands.add(
            _COST * batch.blocks * y.pass_work, self._forward, y.data, z.data, self.gamma, self.beta, self._statistics,
            *self._sizes(batch), y.width, z.full_height, z.full_width, z.top, z.left, self.plan.epsilon,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin, and to gamma's and beta's gradients."""
        y, blocks = self.y, batch.blocks
        gamma_sums, beta_sums = np.zeros((2, blocks * self.plan.inputs[2]))
        commands.add(
            _COST * blocks * y.pass_work, self._backward, y.data, self.dz.data, dy.data, self.gamma, self._statistics,
            gamma_sums, beta_sums, *self._sizes(batch),
        )  # fmt: skip
        commands.add(0, elementwise.add_blocks(), gamma_sums, blocks, self.gamma_gradient)
        commands.add(0, elementwise.add_blocks(), beta_sums, blocks, self.beta_gradient)
