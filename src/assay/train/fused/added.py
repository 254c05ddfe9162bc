"""Sums of two paths: what a residual block ends with. How arrays lie: see ``tails``."""

from __future__ import annotations

from functools import cache

from . import edges
from .compiler import Kernel, compiled
from .grid import Grid, Run
from .plan import Sum
from .tails import Mode
from .tape import Tape
from .vectors import LANES

_PLACE = "height width top left"


@cache
def sum_of(first: Mode, second: Mode) -> Kernel:
    """z = x + y, where z has the mode of x and may be x.

    Arguments: part, parts, x, y, z, number of blocks, height and width of the pictures, channels (pairs of them, if a
    mode has pairs), and of x, y and z each: height and width (with margin), margins at top and left.
    """
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
        "sum_of",
        f"x[] y[] z[] blocks height width channels {places}",
        f"""    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
{rows}            for k in range(width * channels):
{body}""",
    )


def _record(tape: Tape, run: Run, x: Grid, y: Grid, z: Grid) -> None:
    places = [number for grid in (x, y, z) for number in (grid.full_height, grid.full_width, grid.top, grid.left)]
    channels = min(x.vectors, y.vectors)
    kernel = sum_of(x.mode, y.mode)
    tape(
        run.blocks * x.passing, kernel, x.data, y.data, z.data, run.blocks, x.height, x.width, channels, *places
    )  # fmt: skip


class SumOp:
    """The sum of what a chain of layers made and what it began with.

    Args:
        plan: Its plan.
        source, target: The buffers before and behind it.
        dz: The gradient of ``target``.
        start: What the chain began with: what its first weighted layer reads.
    """

    def __init__(self, plan: Sum, *, source: Grid, target: Grid, dz: Grid, start: Grid) -> None:
        self.plan, self.y, self.z, self.dz, self.start = plan, source, target, dz, start

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, tape: Tape, run: Run) -> None:
        _record(tape, run, self.y, self.start, self.z)

    def backward(self, tape: Tape, run: Run, *, dy: Grid) -> None:
        """From ``dz`` to ``dy``, which is the same; neither has a margin."""
        y = self.y
        size = run.blocks * y.height * y.width * y.vectors * LANES
        tape(run.blocks * y.passing, edges.copy(), self.dz.data[:size], dy.data)

    def add_gradient(self, tape: Tape, run: Run, dx: Grid) -> None:
        """Add ``dz`` to the gradient of ``start``, once the chain's first layer has written that."""
        _record(tape, run, dx, self.dz, dx)
