"""Figures of calibration, selective classification, and agreement between runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...stats import share_interval
from ..agreement import Agreement
from ..calibration import Rejection, Reliability
from .style import Theme, canvas, figure, of, plain, show, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.2
_NEAR_AXIS = 0.55  # of the images: a label of a point further left would lie on the axis
_GOALS = (0.99, 0.995, 0.999)


def calibration_curve(result: Reliability, *, theme: Theme = "light", ax: Axes | None = None) -> Figure:
    """Accuracy beside confidence in bins, with Wilson's 95 % intervals and how many images each holds."""
    used = np.flatnonzero(result.counts)
    confidence, accuracy = result.confidence[used], result.accuracy[used]
    intervals = [share_interval(round(a * n), int(n)) for a, n in zip(accuracy, result.counts[used], strict=True)]
    bars = [
        [100 * max(a - i.low, 0) for a, i in zip(accuracy, intervals, strict=True)],
        [100 * max(i.high - a, 0) for a, i in zip(accuracy, intervals, strict=True)],
    ]
    with canvas(4.6, 4.4, theme, ax) as (axes, palette):
        axes.plot([0, 100], [0, 100], color=palette.soft, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.errorbar(
            100 * confidence, 100 * accuracy, bars, fmt="o", color=palette.blue, markersize=5.5, elinewidth=1.4,
            capsize=2.5, zorder=3, clip_on=False,
        )  # fmt: skip
        low = min(float(result.edges[used[0]]), *(i.low for i in intervals)) if len(used) else 0.0
        low = 100 * max(0.0, math.floor(10 * low) / 10)
        axes.set_xlim(low, 100)
        axes.set_ylim(low, 101)
        # Above the axes: a few images put points and bars anywhere within them.
        axes.set_title(f"expected calibration error {100 * result.error:.2g} %, {result.n:,} images", loc="left")
        axes.set_xlabel("confidence, %")
        axes.set_ylabel("accuracy, %")
        axes.grid(linewidth=0.7)
        axes.tick_params(length=0)
        if ax is None:
            counts = axes.inset_axes((0, -0.36, 1, 0.18), sharex=axes)
            widths = 100 * np.diff(result.edges)
            counts.bar(
                100 * result.edges[:-1], result.counts, widths, align="edge", color=palette.soft, alpha=0.6, linewidth=0
            )
            counts.set_yscale("log")
            highest = 10 ** max(1, math.floor(math.log10(max(result.counts.max(), 1))))
            counts.set_ylim(0.7, 1.4 * max(result.counts.max(), highest))
            counts.set_ylabel("images", fontsize=8)
            counts.tick_params(length=0, labelbottom=False)
            counts.set_yticks([1, highest])
            counts.yaxis.set_major_formatter("{x:,.0f}")
            counts.minorticks_off()
    return of(axes)


def rejection_curve(
    result: Rejection,
    *,
    theme: Theme = "light",
    ax: Axes | None = None,
) -> Figure:
    """Accuracy over the most confident images, by the share of images that are kept."""
    step = max(1, len(result.kept) // 1000)
    shown = np.unique([*range(len(result.kept) // 50, len(result.kept), step), len(result.kept) - 1])
    with canvas(5.6, 3.2, theme, ax) as (axes, palette):
        axes.plot(100 * result.kept[shown], 100 * result.accuracy[shown], color=palette.blue, linewidth=2)
        last = float(result.accuracy[-1])
        axes.plot([100], [100 * last], "o", color=palette.blue, markersize=6, clip_on=False, zorder=4)
        box = {"facecolor": palette.paper, "edgecolor": "none", "alpha": 0.8, "pad": 1}
        axes.annotate(
            f"all: {100 * last:.2f} %", (100, 100 * last), (-8, 0), textcoords="offset points", ha="right", va="center",
            bbox=box,
        )  # fmt: skip
        reached = [goal for goal in _GOALS if goal > last and 0 < result.kept_at(goal) < 1][:2]
        for goal in reached:
            share = result.kept_at(goal)
            axes.plot([100 * share], [100 * goal], "D", color=palette.orange, markersize=5, zorder=4)
            # Left of the curve there is room below it, but not where the axis is near: there the text stands above it.
            is_left = share < _NEAR_AXIS
            axes.annotate(
                f"{100 * goal:g} % right on {100 * share:.3g} % of the images", (100 * share, 100 * goal),
                (8, 3) if is_left else (-8, -2), textcoords="offset points", ha="left" if is_left else "right",
                va="bottom" if is_left else "top", bbox=box,
            )  # fmt: skip
        axes.set_xlim(0, 101)
        lowest = min(last, float(result.accuracy[shown].min()))
        head = (
            12 if any(result.kept_at(goal) < _NEAR_AXIS for goal in reached) else 3
        )  # room for a label above the curve
        axes.set_ylim(100 * (lowest - 0.12 * (1 - lowest) - 1e-4), 100 + head * (1 - lowest) + 1e-2)
        low, high = axes.get_ylim()
        axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= min(high, 100.001)])
        axes.set_xlabel("images kept, the most confident first, %")
        axes.set_ylabel("accuracy on them, %")
        axes.grid(linewidth=0.7)
        axes.tick_params(length=0)
    return of(axes)


def agreement_bars(result: Agreement, *, theme: Theme = "light", ax: Axes | None = None) -> Figure:
    """Images that some runs and all runs miss, beside what there would be if runs erred on images of their own."""
    names = ["some runs", "every run"]
    counts, expected = result.counts[1:], result.expected[1:]
    with canvas(3.4, 2.6, theme, ax) as (axes, palette):
        axes.barh([1, 0], counts, height=0.5, color=palette.orange, linewidth=0)
        axes.plot(expected, [1, 0], "|", color=palette.ink, markersize=22, markeredgewidth=1.8)
        most = float(max(*counts, *expected, 1))
        for place, count, chance in zip((1, 0), counts, expected, strict=True):
            axes.text(count + 0.015 * most, place, f"{count:,}", va="center")
            if chance > count + 0.12 * most:
                axes.text(
                    chance + 0.015 * most, place, f"{chance:,.0f} if runs\nerred independently", va="center", fontsize=8
                )
        axes.set_yticks([1, 0], labels=[f"missed by\n{name}" for name in names])
        axes.set_xlim(0, 1.28 * most)
        axes.set_ylim(-0.5, 1.5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(f"of {len(result.images):,} images; the dark line: if runs erred independently")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", linewidth=0.7)
    return of(axes)


def agreement_panels(
    result: Agreement,
    hard: tuple[NDArray[Any], Sequence[str]],
    chancy: tuple[NDArray[Any], Sequence[str]],
    *,
    theme: Theme = "light",
) -> Figure:
    """How many images runs agree on, above examples that all miss and examples on which chance decides.

    Args:
        result: As ``agreement`` counts it.
        hard: Stored images that every run misses, with titles.
        chancy: Stored images that some runs miss, with titles.
        theme: Of the figure.
    """
    columns = 8
    parts = (("Every run misses these", hard), ("Chance decides these", chancy))
    rows = [max(1, math.ceil(len(images) / columns)) for _, (images, _) in parts]
    side = (_WIDTH - 0.1) / columns
    with styled(theme) as palette:
        heights = [1.5, *((side + 0.34) * count + 0.3 for count in rows)]
        fig = figure(_WIDTH, sum(heights))
        parted: Any = fig.subfigures(3, 1, height_ratios=heights)
        above, *below = parted
        agreement_bars(result, theme=theme, ax=above.subplots())
        for part, count, (name, (images, titles)) in zip(below, rows, parts, strict=True):
            part.suptitle(name if len(images) else f"{name}: none", x=0.008, ha="left", fontsize=9)
            grid = part.subplots(count, columns, squeeze=False)
            for axes in grid.flat:
                axes.set_axis_off()
            for axes, image, title in zip(grid.flat, images, titles, strict=False):
                axes.set_axis_on()
                show(axes, image)
                axes.set_title(plain(title), fontsize=7, loc="left", color=palette.soft, pad=3, linespacing=1.15)
    return fig
