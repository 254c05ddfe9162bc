"""Activations of networks that are trained in whole numbers: rounded, computed and rounded again in one pass.

What is rounded is what ``nets.fixed_point.roundings`` says, as ``nets.quantizer`` has it on torch's layers. The scales
are numbers in memory, which recorded calls read and every step changes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .activation_functions import OPERATIONS
from .blocks import LEVELS, SEEN, Activation
from .buffers import Access, BatchInfo, Buffer, Floats, Mode, counted
from .commands import CommandList
from .compiler import Kernel, compiled
from .vectors import LANES

_NAMES = ("per1", "one1", "low1", "high1", "per2", "one2", "low2", "high2", "per_entry", "per_step", "half_step")
_COST = 5  # how much longer than a pass that only streams


def _start(count: int) -> str:
    lines = [f"    {name} = broadcast_f(levels, {place})\n" for place, name in enumerate(_NAMES[:count])]
    return "".join(lines) + "    half, zero = splat(np.float32(0.5)), splat(np.float32(0.0))\n"


def _cut(value: str, number: int, c: int) -> str:
    """Source lines, without indent: r is the value as a whole number, q the same, cut."""
    whole = f"r{c} = floor(add(mul({value}, per{number}), half))\n"
    return f"{whole}q{c} = minimum(high{number}, maximum(low{number}, r{c}))\n"


def _elu(c: int) -> str:
    """Source lines: y becomes elu of itself, as a program's table has it."""
    return (
        f"e{c} = floor(add(mul(value(y{c}), per_entry), half))\n"
        f"e{c} = sub(zero, mul(floor(mul(add(e{c}, half_step), per_step)), one1))\n"
        f"y{c} = select(greater(y{c}, zero), y{c}, e{c})\n"
    )


def _indented(lines: str, indent: str) -> str:
    return "".join(f"{indent}{line}\n" for line in lines.splitlines())


@cache
def rounding(source: Mode, mode: Mode, name: str, *, has_before: bool, has_after: bool, sees: bool) -> Kernel:
    """z = round(f(round(y))), either rounding optional; with ``sees`` also the extremes of what is rounded, by block.

    y may be float32 and z pairs of bfloat16, which hold what is rounded exactly.

    Arguments: part, parts, y, z, levels, seen [blocks, 4, 16], number of blocks, y height and width, vectors of a pixel
    of z, z height and width (with margin), z margins at top and left.
    """
    access = Access(mode)
    channels = range(access.channels)
    is_table = name == "elu" and has_before
    lines = ""
    for c in channels:
        if has_before:
            if sees:
                lines += f"most1 = maximum(y{c}, most1)\nleast1 = minimum(y{c}, least1)\n"
            lines += f"{_cut(f'y{c}', 1, c)}y{c} = mul(q{c}, one1)\n"
        if is_table:
            lines += _elu(c)
        elif name != "linear":
            lines += f"y{c} = value(y{c})\n"
        if has_after and not is_table:
            if sees:
                lines += f"most2 = maximum(y{c}, most2)\nleast2 = minimum(y{c}, least2)\n"
            lines += f"{_cut(f'y{c}', 2, c)}y{c} = mul(q{c}, one2)\n"
    place, block = " " * 16, " " * 8
    names = [f"y{c}" for c in channels]
    body = Access.of(source, mode).load("y", "here + t", names, place) + _indented(lines, place)
    body += access.store("z", "there + t", names, place)
    extremes = ("most1", "least1", "most2", "least2") if sees else ()
    clear = "".join(f"{block}{extreme} = zero\n" for extreme in extremes)
    keep = "".join(
        f"{block}store_f(seen, (b * {SEEN} + {place}) * {LANES}, {extreme})\n" for place, extreme in enumerate(extremes)
    )
    return compiled(
        "rounding",
        "y[] z[] levels[float] seen[float] blocks height width channels z_height z_width z_top z_left",
        f"""{_start(11 if is_table else 8)}    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
{clear}        for i in range(height):
            here = (b * height + i) * width * channels
            there = ((b * z_height + i + z_top) * z_width + z_left) * channels
            for t in range(width * channels):
{body}{keep}""",
        **({} if name == "linear" else {"value": OPERATIONS[f"{name}_value"]}),
    )


@cache
def rounding_gradient(
    source: Mode, mode: Mode, target: Mode, name: str, *, has_before: bool, has_after: bool
) -> Kernel:
    """dy = dz * f'(round(y)) where no rounding cut anything, else 0, in the modes of y, dz and dy.

    Arguments: part, parts, y, dz, dy, levels, number of blocks, vectors of a block of dz.
    """
    access = Access(mode)
    channels = range(access.channels)
    lines = ""
    for c in channels:
        if has_before:
            lines += _cut(f"y{c}", 1, c)
            lines += f"d{c} = select(equal(r{c}, q{c}), d{c}, zero)\ny{c} = mul(q{c}, one1)\n"
        if has_after and not (name == "elu" and has_before):
            lines += f"v{c} = {f'y{c}' if name == 'linear' else f'value(y{c})'}\n"
            lines += f"{_cut(f'v{c}', 2, c)}d{c} = select(equal(r{c}, q{c}), d{c}, zero)\n"
        if name != "linear":
            lines += f"d{c} = mul(d{c}, derivative(y{c}))\n"
    place = " " * 8
    names = [f"d{c}" for c in channels]
    body = Access.of(source, mode).load("y", "t", [f"y{c}" for c in channels], place)
    body += access.load("dz", "t", names, place) + _indented(lines, place)
    body += Access.of(target, mode).store("dy", "t", names, place)
    functions = {} if name == "linear" else {
        "value": OPERATIONS[f"{name}_value"], "derivative": OPERATIONS[f"{name}_derivative"],
    }  # fmt: skip
    return compiled(
        "rounding_gradient",
        "y[] dz[] dy[] levels[float] blocks size",
        f"""{_start(8)}    for t in range(blocks * part // parts * size, blocks * (part + 1) // parts * size):
{body}""",
        **functions,
    )


class RoundingOp:
    """An activation with its roundings as one pass forward and one backward.

    Args:
        plan: Its name, shape and roundings.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.

    Attributes:
        levels: float32 [LEVELS]: the scales, one over them, and the limits; see ``scales``.
        seen: float32 [blocks, SEEN, 16]: the largest and least values of the last step of training.
    """

    def __init__(self, plan: Activation, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.levels: Floats = np.zeros(LEVELS, np.float32)  # replaced by views of the network's
        self.seen: Floats = np.zeros((source.num_blocks, SEEN, LANES), np.float32)
        has = {"has_before": plan.before is not None, "has_after": plan.after is not None}
        modes = source.mode, target.mode
        self._forward = {sees: rounding(*modes, plan.name, sees=sees, **has) for sees in (False, True)}
        self._has = has

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        y, z = self.y, self.z
        commands.add(
            _COST * batch.blocks * y.pass_work, self._forward[batch.is_training], y.data, z.data, self.levels,
            self.seen, batch.blocks, y.height, y.width, counted(y, z), z.full_height, z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin."""
        y = self.y
        size = y.height * y.width * counted(y, self.dz)
        kernel = rounding_gradient(y.mode, self.dz.mode, dy.mode, self.plan.name, **self._has)
        commands.add(
            _COST * batch.blocks * y.pass_work, kernel, y.data, self.dz.data, dy.data, self.levels,
            batch.blocks, size,
        )  # fmt: skip
