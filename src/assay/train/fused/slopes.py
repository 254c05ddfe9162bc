"""Relu with learned slopes below zero (``prelu``): kernels and op. Layouts: see ``buffers``."""

from __future__ import annotations

from functools import cache

import numpy as np

from . import elementwise
from .blocks import Slopes
from .buffers import Access, BatchInfo, Buffer, Floats, Mode
from .commands import CommandList
from .compiler import Kernel, compiled

# A slope's place is pixel * pixel_step + channel * channel_step; the padding of an odd number of channels has the last
# channel's, whatever that is: its values are zeros.
_SIZES = "blocks height width channels num pixel_step channel_step"


def _place(access: Access, channel: int) -> str:
    return f"(i * width + j) * pixel_step + min(k * {access.channels} + {channel}, num - 1) * channel_step"


@cache
def forward(mode: Mode) -> Kernel:
    """z = max(y, 0) - max(-y, 0) * alpha.

    Arguments: part, parts, y, z, alpha, number of blocks, y height and width, vectors a pixel, channels, how far apart
    the slopes of two pixels and of two channels are, z height and width (with margin), z margins at top and left.
    """
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 20
    body = access.load("y", "here + k", [f"y{c}" for c in channels], place)
    for c in channels:
        body += f"{place}below{c} = mul(maximum(nothing, mul(minus, y{c})), broadcast_f(alpha, {_place(access, c)}))\n"
        body += f"{place}y{c} = sub(maximum(nothing, y{c}), below{c})\n"
    body += access.store("z", "there + k", [f"y{c}" for c in channels], place)
    return compiled(
        "slopes",
        f"y[] z[] alpha[] {_SIZES} z_height z_width z_top z_left",
        f"""    nothing, minus = splat(ZERO), splat(np.float32(-1))
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
            for j in range(width):
                here = ((b * height + i) * width + j) * channels
                there = ((b * z_height + i + z_top) * z_width + j + z_left) * channels
                for k in range(channels):
{body}""",
    )


@cache
def backward(mode: Mode) -> Kernel:
    """dy from dz, and the gradient of alpha over a block of images. At zero neither part has one, as in Keras.

    Arguments: part, parts, y, dz, dy, alpha, sums (float64 [blocks, slopes]), slopes, sizes as in ``forward``.
    """
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 20
    body = access.load("y", "here + k", [f"y{c}" for c in channels], place)
    body += access.load("dz", "here + k", [f"d{c}" for c in channels], place)
    for c in channels:
        body += f"{place}at{c} = {_place(access, c)}\n"
        # Lanes without an image have no gradient, so they add nothing.
        body += f"{place}if k * {access.channels} + {c} < num:\n"
        body += f"{place}    below = mul(mul(maximum(nothing, mul(minus, y{c})), minus), d{c})\n"
        body += f"{place}    sums[b * size + at{c}] += sum_lanes(below)\n"
        body += f"{place}bent{c} = mul(d{c}, broadcast_f(alpha, at{c}))\n"
        body += f"{place}bent{c} = select(greater(nothing, y{c}), bent{c}, nothing)\n"
        body += f"{place}d{c} = select(greater(y{c}, nothing), d{c}, bent{c})\n"
    body += access.store("dy", "here + k", [f"d{c}" for c in channels], place)
    return compiled(
        "slopes_gradient",
        f"y[] dz[] dy[] alpha[] sums[double] size {_SIZES}",
        f"""    nothing, minus = splat(ZERO), splat(np.float32(-1))
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for t in range(size):
            sums[b * size + t] = 0
        for i in range(height):
            for j in range(width):
                here = ((b * height + i) * width + j) * channels
                for k in range(channels):
{body}""",
    )


class SlopesOp:
    """A relu with learned slopes, as one pass forward and one backward.

    Args:
        plan: How many slopes there are.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.

    Attributes:
        alpha, alpha_gradient: Views of the network's flat vectors.
    """

    def __init__(self, plan: Slopes, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.alpha: Floats = np.empty(0, np.float32)
        self.alpha_gradient: Floats = np.empty(0, np.float32)
        self._forward, self._backward = forward(source.mode), backward(source.mode)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def _sizes(self, batch: BatchInfo) -> tuple[int, ...]:
        y, (_, _, channels), (rows, columns, kinds) = self.y, self.plan.inputs, self.plan.slopes
        pixel_step, channel_step = kinds if rows * columns > 1 else 0, 1 if kinds > 1 else 0
        return batch.blocks, y.height, y.width, y.vectors, channels, pixel_step, channel_step

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        y, z = self.y, self.z
        commands.add(
            batch.blocks * y.pass_work, self._forward, y.data, z.data, self.alpha, *self._sizes(batch), z.full_height,
            z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin, and to alpha's gradient."""
        y, blocks, size = self.y, batch.blocks, self.plan.size
        sums = np.zeros(blocks * size)
        commands.add(
            2 * blocks * y.pass_work, self._backward, y.data, self.dz.data, dy.data, self.alpha, sums, size,
            *self._sizes(batch),
        )  # fmt: skip
        commands.add(0, elementwise.add_blocks(), sums, blocks, self.alpha_gradient)
