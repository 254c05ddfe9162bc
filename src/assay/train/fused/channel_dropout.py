"""Dropout of whole channels (``spatialdropout``): kernel and op. Layouts: see ``buffers``.

The worked example of docs/development/engine-internals.md: a layer from its plan to its kernel and its tests.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...nets.masks import halves, threshold
from ...seeds import Streams
from .blocks import ChannelDropout
from .buffers import Access, BatchInfo, Buffer, Mode
from .commands import CommandList
from .compiler import Kernel, compiled


@cache
def channel_dropout(mode: Mode) -> Kernel:
    """z = y * factor, where the factor of an (image, channel) is ``keep_scale`` or 0.

    The mask's element number is image * channels + channel, as on the plain path. With a threshold of 0 every channel
    is kept, which is how evaluation copies y.

    Arguments: part, parts, y (no margin), z, dropout key (int64: low and high half), number of blocks, y height and
    width, vectors a pixel, z height and width (with margin), z margins at top and left, channels without padding,
    threshold of dropout, factor of kept channels.
    """
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 20
    body = access.load("y", "here + k", [f"y{c}" for c in channels], place)
    # Multiplied rather than selected, as on the plain path: NaN in a dropped channel must reach the loss.
    body += "".join(f"{place}y{c} = mul(y{c}, load_f(factors, (k * {access.channels} + {c}) * 16))\n" for c in channels)
    body += access.store("z", "there + k", [f"y{c}" for c in channels], place)
    # A block's factors are hashed once and read again for every pixel. The padding channel of an odd number gets the
    # factor of another element; what it multiplies is zero.
    return compiled(
        "channel_dropout",
        "y[] z[] key[long] blocks height width channels z_height z_width z_top z_left num threshold keep_scale:real",
        f"""    nothing, scale_up = splat(ZERO), splat(np.float32(keep_scale))
    stored = channels * {access.channels}
    factors = np.empty(stored * 16, np.float32)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for c in range(stored):
            elements = ramp(np.uint32(b * 16 * num + c), np.uint32(num))
            hashes = dropout_hash(elements, np.uint32(key[0]), np.uint32(key[1]))
            store_f(factors, c * 16, select(at_least(hashes, np.uint32(threshold)), scale_up, nothing))
        for i in range(height):
            for j in range(width):
                here = ((b * height + i) * width + j) * channels
                there = ((b * z_height + i + z_top) * z_width + j + z_left) * channels
                for k in range(channels):
{body}""",
    )


class ChannelDropoutOp:
    """Dropout of whole channels, forward and backward by the same kernel.

    Args:
        plan: Its rate, shape and place among the network's dropout layers.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.
        streams: Of the run; ``dropout`` draws the masks.
    """

    def __init__(self, plan: ChannelDropout, *, source: Buffer, target: Buffer, dz: Buffer, streams: Streams) -> None:
        self.plan, self.y, self.z, self.dz, self.streams = plan, source, target, dz, streams
        self.key = np.zeros(2, np.int64)  # read by recorded calls, set before each step
        self._kernel = channel_dropout(source.mode)

    def set_step(self, step: int) -> None:
        """Choose the mask of a step."""
        self.key[:] = halves(self.streams.key("dropout", self.plan.dropout, step))

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        self._record(commands, batch, self.y, self.z, drops=batch.is_training)

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin."""
        self._record(commands, batch, self.dz, dy, drops=True)

    def _record(self, commands: CommandList, batch: BatchInfo, source: Buffer, target: Buffer, *, drops: bool) -> None:
        y, rate = self.y, self.plan.rate
        commands.add(
            batch.blocks * y.pass_work, self._kernel, source.data, target.data, self.key, batch.blocks, y.height,
            y.width, y.vectors, target.full_height, target.full_width, target.top, target.left, self.plan.inputs[2],
            *((threshold(rate), 1 / (1 - rate)) if drops else (0, 1.0)),
        )  # fmt: skip
