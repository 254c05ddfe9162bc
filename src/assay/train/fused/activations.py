"""Activations in passes of their own, for all but a weighted layer's own relu. Layouts: see ``buffers``."""

from __future__ import annotations

from functools import cache

from .activation_functions import OPERATIONS
from .blocks import Activation
from .buffers import Access, BatchInfo, Buffer, Mode
from .commands import CommandList
from .compiler import Kernel, compiled

_COST = 4  # how much longer than a pass that only streams: exponentials are polynomials of some ten operations


@cache
def activation(mode: Mode, name: str) -> Kernel:
    """z = f(y).

    Arguments: part, parts, y, z, number of blocks, y height and width, vectors a pixel, z height and width (with
    margin), z margins at top and left.
    """
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 16
    body = access.load("y", "here + t", [f"y{c}" for c in channels], place)
    body += "".join(f"{place}y{c} = function(y{c})\n" for c in channels)
    body += access.store("z", "there + t", [f"y{c}" for c in channels], place)
    return compiled(
        "activation",
        "y[] z[] blocks height width channels z_height z_width z_top z_left",
        f"""    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
            here = (b * height + i) * width * channels
            there = ((b * z_height + i + z_top) * z_width + z_left) * channels
            for t in range(width * channels):
{body}""",
        function=OPERATIONS[f"{name}_value"],
    )


@cache
def activation_gradient(mode: Mode, name: str) -> Kernel:
    """dy = dz * f'(y). Arguments: part, parts, y, dz, dy, number of blocks, vectors a block."""
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 8
    body = access.load("y", "t", [f"y{c}" for c in channels], place)
    body += access.load("dz", "t", [f"d{c}" for c in channels], place)
    body += "".join(f"{place}d{c} = mul(d{c}, function(y{c}))\n" for c in channels)
    body += access.store("dy", "t", [f"d{c}" for c in channels], place)
    return compiled(
        "activation_gradient",
        "y[] dz[] dy[] blocks size",
        f"""    for t in range(blocks * part // parts * size, blocks * (part + 1) // parts * size):
{body}""",
        function=OPERATIONS[f"{name}_derivative"],
    )


class ActivationOp:
    """An activation as one pass forward and one backward, which computes the derivative from the values before it.

    Args:
        plan: Its name and shape.
        source, target: Input without a margin, and output, which may have one.
        dz: The gradient of ``target``, without a margin.
    """

    def __init__(self, plan: Activation, *, source: Buffer, target: Buffer, dz: Buffer) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self._forward = activation(source.mode, plan.name)
        self._backward = activation_gradient(source.mode, plan.name)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        y, z = self.y, self.z
        commands.add(
            _COST * batch.blocks * y.pass_work, self._forward, y.data, z.data, batch.blocks, y.height, y.width,
            y.vectors, z.full_height, z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo, *, dy: Buffer) -> None:
        """Record the way from ``dz`` to ``dy``, neither of which has a margin."""
        y = self.y
        size = y.height * y.width * y.vectors
        commands.add(
            _COST * batch.blocks * y.pass_work, self._backward, y.data, self.dz.data, dy.data, batch.blocks, size
        )
