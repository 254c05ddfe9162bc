"""The figure of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .style import Theme, canvas, of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def rate_lines(
    curves: Sequence[Curve], suggested: float, current: float, *, theme: Theme = "light", ax: Axes | None = None
) -> Figure:
    """Loss beside the learning rate, smoothed and as it was, a line for each seed.

    Args:
        curves: Learning rates, losses and smoothed losses of each seed [steps].
        suggested: The suggested learning rate; ``nan`` for none.
        current: The study's.
        theme: Colours.
        ax: Axes to draw on.
    """
    with canvas(6.4, 3.6, theme, ax) as (axes, palette):
        top = max(float(losses[: max(3, len(losses) // 20)].max()) for _, losses, _ in curves)
        for rates, losses, smoothed in curves:
            axes.plot(rates, losses, color=palette.soft, linewidth=0.6, alpha=0.35)
            axes.plot(rates, smoothed, color=palette.blue, linewidth=1.6)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.6 * top)
        for rate, name, colour, side in (
            (suggested, "falls fastest", palette.orange, "right"),
            (current, "now", palette.soft, "left"),
        ):
            if np.isfinite(rate):
                axes.axvline(rate, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
                axes.annotate(
                    f" {name}: {rate:.2g} ", (rate, 1), xycoords=("data", "axes fraction"), va="top", ha=side,
                    color=palette.ink, fontsize=8, rotation=90,
                )  # fmt: skip
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss, nats an image")
        axes.grid(linewidth=0.7)
        axes.tick_params(length=0)
        return of(axes)
