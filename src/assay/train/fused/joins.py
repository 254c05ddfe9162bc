"""Where paths meet: sums, and channels side by side. Layouts: see ``buffers``.

The values that meet still lie where other layers read them, with those layers' margins, so nothing is kept for a join.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from . import elementwise
from .blocks import Concatenate, Sum
from .buffers import BatchInfo, Buffer, Mode
from .commands import CommandList
from .compiler import Kernel, compiled
from .vectors import LANES

T = TypeVar("T")
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


@cache
def move_channels(mode: Mode) -> Kernel:
    """Copies some channels of x to some channels of z, and leaves the others of z as they are.

    Arguments: part, parts, x, z, number of blocks, height and width of the pictures, first channel in x and in z,
    number of channels, and of x and z each: height and width (with margin), margins at top and left, vectors a pixel.
    """
    places = " ".join(f"{name}_{part}" for name in "xz" for part in (*_PLACE.split(), "vectors"))
    parameters = f"x[] z[] blocks height width x_start z_start channels {places}"
    rows = "".join(
        f"            {name}_row = ((b * {name}_height + i + {name}_top) * {name}_width + {name}_left)"
        f" * {name}_vectors\n"
        for name in "xz"
    )
    head = f"""    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
{rows}            for j in range(width):
                x_at = x_row + j * x_vectors
                z_at = z_row + j * z_vectors
"""
    if mode == "f":
        body = """                for k in range(channels):
                    store_i(z, (z_at + z_start + k) * 16, load_i(x, (x_at + x_start + k) * 16))
"""
        return compiled("move_channels", parameters, head + body)
    # Whole words where both slices fill them; else words are taken apart, and a half beside the slice stays as it is.
    body = """                if x_start % 2 == 0 and z_start % 2 == 0 and channels % 2 == 0:
                    for k in range(channels // 2):
                        store_i(z, (z_at + z_start // 2 + k) * 16, load_i(x, (x_at + x_start // 2 + k) * 16))
                else:
                    for k in range(z_start // 2, (z_start + channels + 1) // 2):
                        words = load_i(z, (z_at + k) * 16)
                        first, second = low(words), high(words)
                        c = 2 * k - z_start
                        if c >= 0:
                            words = load_i(x, (x_at + (x_start + c) // 2) * 16)
                            first = low(words) if (x_start + c) % 2 == 0 else high(words)
                        if c + 1 < channels:
                            words = load_i(x, (x_at + (x_start + c + 1) // 2) * 16)
                            second = low(words) if (x_start + c + 1) % 2 == 0 else high(words)
                        store_i(z, (z_at + k) * 16, pair(first, second))
"""
    return compiled("move_channels", parameters, head + body)


def record_sum(commands: CommandList, batch: BatchInfo, x: Buffer, y: Buffer, z: Buffer) -> None:
    """Add the call of ``residual_add``."""
    places = [number for grid in (x, y, z) for number in (grid.full_height, grid.full_width, grid.top, grid.left)]
    channels = min(x.vectors, y.vectors)  # in pairs, where one of them has pairs
    kernel = residual_add(x.mode, y.mode)
    commands.add(
        batch.blocks * x.pass_work, kernel, x.data, y.data, z.data, batch.blocks, x.height, x.width, channels, *places
    )  # fmt: skip


class SumOp:
    """The sum of the block's own value and other tensors.

    Args:
        plan: Its plan.
        source, target: The block's own value without a margin, and the sum, which may have one.
        dz: The gradient of ``target``, which is that of every term too.
        terms: The other tensors.
    """

    def __init__(self, plan: Sum, *, source: Buffer, target: Buffer, dz: Buffer, terms: Sequence[Buffer]) -> None:
        self.plan, self.y, self.z, self.dz, self.terms = plan, source, target, dz, terms

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        total = self.y
        for term in self.terms:
            record_sum(commands, batch, total, term, self.z)
            total = self.z

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the copy of ``dz`` to ``dy``, unless they are the same. Neither has a margin."""
        if dy.data is not self.dz.data:
            y = self.y
            size = batch.blocks * y.height * y.width * y.vectors * LANES
            commands.add(batch.blocks * y.pass_work, elementwise.copy(), self.dz.data[:size], dy.data)


class ConcatenateOp:
    """The channels of the block's own value and of other tensors, one path after another.

    Args:
        plan: Its plan.
        source, target: The block's own value without a margin, and the output, which may have one.
        dz: The gradient of ``target``, without a margin.
        terms: The other tensors.
        gradients: Where the terms' gradients go, without a margin; ``None`` for one that nobody reads.
    """

    def __init__(
        self,
        plan: Concatenate,
        *,
        source: Buffer,
        target: Buffer,
        dz: Buffer,
        terms: Sequence[Buffer],
        gradients: Sequence[Buffer | None],
    ) -> None:
        self.plan, self.y, self.z, self.dz, self.terms, self.gradients = plan, source, target, dz, terms, gradients
        self._kernel = move_channels(source.mode)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        for part, start, count in self._parts(self.y, self.terms):
            self._move(commands, batch, part, self.z, starts=(0, start), count=count)

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy`` and to the terms' gradients."""
        for part, start, count in self._parts(dy, self.gradients):
            if part is not None:
                self._move(commands, batch, self.dz, part, starts=(start, 0), count=count)

    def _parts(self, own: T, terms: Sequence[T]) -> list[tuple[T, int, int]]:
        """Buffers of all paths in order, with the first channel and the number of channels of each."""
        paths = [*terms[: self.plan.place], own, *terms[self.plan.place :]]
        return list(zip(paths, self.plan.starts, self.plan.channels, strict=True))

    def _move(
        self, commands: CommandList, batch: BatchInfo, x: Buffer, z: Buffer, *, starts: tuple[int, int], count: int
    ) -> None:
        places = [
            number
            for grid in (x, z)
            for number in (grid.full_height, grid.full_width, grid.top, grid.left, grid.vectors)
        ]
        work = batch.blocks * min(x.pass_work, z.pass_work)
        commands.add(work, self._kernel, x.data, z.data, batch.blocks, z.height, z.width, *starts, count, *places)
