"""Copies of tensors: for readers that cannot take them as they lie, and into zeros. Layouts: see ``buffers``.

Most kernels read a tensor in place. Those that want no margin where another reader has one, and those that want the
images or give the logits in bfloat16, get a copy.
"""

from __future__ import annotations

from functools import cache

from .blocks import ZeroPadding
from .buffers import BatchInfo, Buffer, Mode
from .commands import CommandList
from .compiler import Kernel, compiled


@cache
def copied(source: Mode, target: Mode) -> Kernel:
    """y = x, rounded where y is in bfloat16 and x is not. An odd number of float32 channels is padded with a zero.

    Arguments: part, parts, x, y, number of blocks, height and width of the pictures, channels of x in its own vectors,
    and of x and y each: height and width (with margin), margins at top and left, vectors a pixel.
    """
    if source == target:
        body = """                for k in range(channels):
                    store_i(y, (y_at + k) * 16, load_i(x, (x_at + k) * 16))
"""
    elif target == "b":
        body = """                for k in range((channels + 1) // 2):
                    second = nothing
                    if 2 * k + 1 < channels:
                        second = load_f(x, (x_at + 2 * k + 1) * 16)
                    store_i(y, (y_at + k) * 16, pair(load_f(x, (x_at + 2 * k) * 16), second))
"""
    else:
        body = """                for k in range(channels):
                    words = load_i(x, (x_at + k) * 16)
                    store_f(y, (y_at + 2 * k) * 16, low(words))
                    store_f(y, (y_at + 2 * k + 1) * 16, high(words))
"""
    places = " ".join(f"{name}_{part}" for name in "xy" for part in ("height", "width", "top", "left", "vectors"))
    rows = "".join(
        f"            {name}_row = ((b * {name}_height + i + {name}_top) * {name}_width + {name}_left)"
        f" * {name}_vectors\n"
        for name in "xy"
    )
    return compiled(
        "copied",
        f"x[] y[] blocks height width channels {places}",
        f"""    nothing = splat(ZERO)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
{rows}            for j in range(width):
                x_at = x_row + j * x_vectors
                y_at = y_row + j * y_vectors
{body}""",
    )


class CopyOp:
    """A copy of a tensor, with another margin or in another mode.

    Args:
        source, target: From where, and to where.
        dz: The gradient of ``target``, without a margin, where it is to be copied back.
    """

    def __init__(self, *, source: Buffer, target: Buffer, dz: Buffer | None = None) -> None:
        self.y, self.z, self.dz = source, target, dz

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        _record(commands, batch, self.y, self.z)

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``."""
        if self.dz is not None:
            _record(commands, batch, self.dz, dy)


class ZeroPaddingOp:
    """Zeros around an image, which are written once, at allocation.

    Args:
        plan: How many.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.
    """

    def __init__(self, plan: ZeroPadding, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        _record(commands, batch, self.y, self._inside(self.z))

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin."""
        _record(commands, batch, self._inside(self.dz), dy)

    def _inside(self, buffer: Buffer) -> Buffer:
        """The image in an output, whose zeros are then a margin."""
        top, bottom, left, right = (old + new for old, new in zip(buffer.margins, self.plan.margins, strict=True))
        view = Buffer(self.y.height, self.y.width, buffer.channels, buffer.mode, 0, top, bottom, left, right)
        view.num_blocks, view.data = buffer.num_blocks, buffer.data
        return view


def _record(commands: CommandList, batch: BatchInfo, x: Buffer, y: Buffer) -> None:
    places = [
        number for grid in (x, y) for number in (grid.full_height, grid.full_width, grid.top, grid.left, grid.vectors)
    ]
    commands.add(
        batch.blocks * x.pass_work, copied(x.mode, y.mode), x.data, y.data, batch.blocks, y.height, y.width, x.vectors,
        *places,
    )  # fmt: skip
