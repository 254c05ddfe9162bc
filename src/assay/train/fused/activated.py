"""Activations in a pass of their own: what the layers before them leave out. How arrays lie: see ``tails``."""

from __future__ import annotations

from functools import cache

from .compiler import Kernel, compiled
from .grid import Grid, Run
from .plan import Activation
from .tails import Access, Mode
from .tape import Tape


def _imported(name: str) -> str:
    return f"from assay.train.fused.curves import OPERATIONS\ncurve = OPERATIONS['{name}']\n"


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
    body += "".join(f"{place}y{c} = curve(y{c})\n" for c in channels)
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
        _imported(f"{name}_value"),
    )


@cache
def activation_gradient(mode: Mode, name: str) -> Kernel:
    """dy = dz * f'(y). Arguments: part, parts, y, dz, dy, number of blocks, vectors a block."""
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 8
    body = access.load("y", "t", [f"y{c}" for c in channels], place)
    body += access.load("dz", "t", [f"d{c}" for c in channels], place)
    body += "".join(f"{place}d{c} = mul(d{c}, curve(y{c}))\n" for c in channels)
    body += access.store("dy", "t", [f"d{c}" for c in channels], place)
    return compiled(
        "activation_gradient",
        "y[] dz[] dy[] blocks size",
        f"""    for t in range(blocks * part // parts * size, blocks * (part + 1) // parts * size):
{body}""",
        _imported(f"{name}_slope"),
    )


class ActivationOp:
    """An activation as one pass there and one back, from the values before it."""

    def __init__(self, plan: Activation, *, source: Grid, target: Grid, dz: Grid) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self._forward = activation(source.mode, plan.name)
        self._backward = activation_gradient(source.mode, plan.name)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, tape: Tape, run: Run) -> None:
        y, z = self.y, self.z
        tape(
            4 * run.blocks * y.passing, self._forward, y.data, z.data, run.blocks, y.height, y.width, y.vectors,
            z.full_height, z.full_width, z.top, z.left,
        )  # fmt: skip

    def backward(self, tape: Tape, run: Run, *, dy: Grid) -> None:
        """From ``dz`` to ``dy``, neither of which has a margin."""
        y = self.y
        size = y.height * y.width * y.vectors
        tape(4 * run.blocks * y.passing, self._backward, y.data, self.dz.data, dy.data, run.blocks, size)
