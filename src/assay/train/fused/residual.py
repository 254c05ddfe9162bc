"""Sums at the end of residual blocks. Layouts: see ``buffers``.

The block's input still lies in its first layer's input buffer, with that layer's margin, so nothing is kept for the
sum.
"""

from __future__ import annotations

from functools import cache

from . import elementwise
from .blocks import Sum
from .buffers import BatchInfo, Buffer, Mode
from .commands import CommandList
from .compiler import Kernel, compiled
from .vectors import LANES

_PLACE = "height width top left"


@cache
def residual_add(first: Mode, second: Mode) -> Kernel:
    """z = x + y, where z has the mode of x and may be x.

    Arguments: part, parts, x, y, z, number of blocks, height and width of the pictures, channels (pairs of them, if a
    mode has pairs), and of x, y and z each: height and width (with margin), margins at top and left.
    """
    # Modes differ behind the last layer with weights, whose output is float32: forward a bfloat16 start is added to it,
    # and backward a float32 dz to a bfloat16 dx. A step is a pair of channels then, two vectors of the float32 operand.
    is_paired = "b" in (first, second)
    channels = range(2 if is_paired else 1)
    body, inner = "", " " * 16
    for name, mode in (("x", first), ("y", second)):
        at = f"({name}_at + k) * 16"
        if mode == "b":
            body += f"{inner}words = load_i({name}, {at})\n{inner}{name}0 = low(words)\n{inner}{name}1 = high(words)\n"
        else:
            body += "".join(
                f"{inner}{name}{c} = load_f({name}, (({name}_at + k) * {len(channels)} + {c}) * 16)\n" for c in channels
            )
    if first == "b":
        body += f"{inner}store_i(z, (z_at + k) * 16, pair(add(x0, y0), add(x1, y1)))\n"
    else:
        body += "".join(
            f"{inner}store_f(z, ((z_at + k) * {len(channels)} + {c}) * 16, add(x{c}, y{c}))\n" for c in channels
        )
    rows = "".join(
        f"            {name}_at = ((b * {name}_height + i + {name}_top) * {name}_width + {name}_left) * channels\n"
        for name in "xyz"
    )
    places = " ".join(f"{name}_{part}" for name in "xyz" for part in _PLACE.split())
    return compiled(
        "residual_add",
        f"x[] y[] z[] blocks height width channels {places}",
        f"""    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
{rows}            for k in range(width * channels):
{body}""",
    )


def _record(commands: CommandList, batch: BatchInfo, x: Buffer, y: Buffer, z: Buffer) -> None:
    places = [number for grid in (x, y, z) for number in (grid.full_height, grid.full_width, grid.top, grid.left)]
    channels = min(x.vectors, y.vectors)  # in pairs, where one of them has pairs
    kernel = residual_add(x.mode, y.mode)
    commands.add(
        batch.blocks * x.pass_work, kernel, x.data, y.data, z.data, batch.blocks, x.height, x.width, channels, *places
    )  # fmt: skip


class SumOp:
    """The sum of a residual block's output and its input.

    Args:
        plan: Its plan.
        source, target: Input (the chain's output) and output.
        dz: The gradient of ``target``.
        start: The block's input: the buffer that its first weighted layer reads.
    """

    def __init__(self, plan: Sum, *, source: Buffer, target: Buffer, dz: Buffer, start: Buffer) -> None:
        self.plan, self.y, self.z, self.dz, self.start = plan, source, target, dz, start

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        _record(commands, batch, self.y, self.start, self.z)

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the copy of ``dz`` to ``dy``: the sum's gradient is that of either term. Neither has a margin."""
        y = self.y
        size = batch.blocks * y.height * y.width * y.vectors * LANES
        commands.add(batch.blocks * y.pass_work, elementwise.copy(), self.dz.data[:size], dy.data)

    def add_gradient(self, commands: CommandList, batch: BatchInfo, dx: Buffer) -> None:
        """Record the addition of ``dz`` to ``dx``, the gradient of ``start`` that the first layer has written."""
        _record(commands, batch, dx, self.dz, dx)
