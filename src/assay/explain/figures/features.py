"""The feature map: every image as a point, by its projected penultimate features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...colours import COLOURS
from ..projection import Flat
from .style import Theme, canvas, of, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = ("o", "^", "s", "D")


def feature_map(
    flat: Flat,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    *,
    theme: Theme = "light",
    ax: Axes | None = None,
) -> Figure:
    """Every image as a point, coloured by its class; mistakes are crosses; a class's name stands in its middle."""
    from matplotlib.patheffects import withStroke

    with canvas(6.6, 5.2, theme, ax) as (axes, palette):
        right = labels == predicted
        for label in range(len(classes)):
            colour, mark = COLOURS[label % len(COLOURS)], _MARKS[label // len(COLOURS) % len(_MARKS)]
            chosen = flat.points[(labels == label) & right]
            axes.scatter(chosen[:, 0], chosen[:, 1], s=9, alpha=0.55, linewidths=0, color=colour, marker=mark)
        wrong = flat.points[~right]
        axes.scatter(
            wrong[:, 0], wrong[:, 1], s=14, marker="x", color=palette.ink, linewidths=0.9, zorder=4, label="mistake"
        )
        if len(classes) <= 50:
            middles = {
                label: np.median(flat.points[labels == label], axis=0)
                for label in range(len(classes))
                if (labels == label).any()
            }
            height = float(np.ptp(flat.points[:, 1])) or 1.0
            for (label, (x, _)), y in zip(middles.items(), _apart(middles, 0.045 * height), strict=True):
                axes.text(
                    float(x), y, short(classes[label]), ha="center", va="center", zorder=5, fontweight="bold",
                    path_effects=[withStroke(linewidth=3, foreground=palette.paper)],
                )  # fmt: skip
        if flat.shares is not None:
            first, second = (f"{100 * share:.0f} % of the variance" for share in flat.shares)
            axes.set_xlabel(f"first principal component, {first}")
            axes.set_ylabel(f"second, {second}")
        else:
            axes.set_xlabel("t-SNE: near means alike; axes and distances between groups mean nothing")
        axes.set_xticks([])
        axes.set_yticks([])
        if len(wrong):
            axes.legend(loc="best", handletextpad=0.1, labelcolor=palette.ink)
    return of(axes)


def _apart(middles: dict[int, NDArray[np.float64]], distance: float) -> list[float]:
    """Heights of the names, moved up where one would lie on another."""
    placed: dict[int, float] = {}
    wide = 6 * distance
    for label, (x, y) in sorted(middles.items(), key=lambda item: float(item[1][1])):
        near = [placed[other] for other in placed if abs(float(middles[other][0] - x)) < wide]
        height = float(y)
        for other in sorted(near):
            if abs(height - other) < distance:
                height = other + distance
        placed[label] = height
    return [placed[label] for label in middles]
