"""Figures of activations, of attribution maps, and of their sanity check."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..sanity import ALIKE, Sanity
from .mosaic import highest, mosaic
from .style import Theme, bare, canvas, figure, look, of, pixels, plain, short, show, signed, spaced, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.2
_MOST_CHANNELS = 32  # of a layer
_MARKS = ("o", "s", "D", "^")


def activation_sheet(
    image: NDArray[Any],
    maps: Mapping[str, NDArray[np.float32]],
    probabilities: Mapping[str, float],
    *,
    theme: Theme = "light",
) -> Figure:
    """Every layer's maps for one image, a layer after another, each on its own scale, symmetric around zero.

    Args:
        image: As stored [height, width, channels].
        maps: By layer name, [channels, height, width].
        probabilities: The network's output, by class; the highest are drawn beside the image.
        theme: Of the figure.
    """
    across = 16
    cell = (_WIDTH - 1.25) / across
    counts = [min(len(values), _MOST_CHANNELS) for values in maps.values()]
    rows = [math.ceil(count / across) for count in counts]
    heights = [cell * row + 0.08 for row in rows]
    first = 3 * cell
    with styled(theme) as palette:
        fig = figure(_WIDTH, first + sum(heights) + 0.2)
        grid = fig.subplots(
            len(maps) + 1, 2, squeeze=False, width_ratios=[1.1, cell * across], height_ratios=[first, *heights]
        )
        spaced(fig, w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.01)
        grid[0, 0].set_axis_off()
        grid[0, 0].text(1, 0.5, "image", ha="right", va="center")
        show(grid[0, 1], image)
        grid[0, 1].set_anchor("W")
        likely = sorted(probabilities.items(), key=lambda item: item[1])[-5:]
        bars = grid[0, 1].inset_axes((1.75, 0.05, 1.5, 0.9))
        bars.barh(range(len(likely)), [100 * share for _, share in likely], color=palette.blue, height=0.6)
        bars.set_yticks(range(len(likely)), labels=[short(name) for name, _ in likely])
        for place, (_, share) in enumerate(likely):
            bars.text(100 * share + 2, place, f"{100 * share:.1f} %", va="center", fontsize=8)
        bars.set_xlim(0, 130)
        bars.set_xticks([])
        bars.spines["bottom"].set_visible(False)
        bars.tick_params(length=0)
        for (label, axes), (name, values), count in zip(grid[1:], maps.items(), counts, strict=True):
            label.set_axis_off()
            some = f"{count} of {len(values)}" if count < len(values) else f"{count}"
            size = f"{some} maps\n{values.shape[1]} x {values.shape[2]}"
            label.text(1, 0.5, plain(name), ha="right", va="bottom")
            label.text(1, 0.46, size, ha="right", va="top", fontsize=7, color=palette.soft)
            shown = values[:count]
            limit = highest(shown)
            missing = -len(shown) % across if count > across else across - count
            tiles = np.concatenate([shown, np.full((missing, *shown.shape[1:]), np.nan, np.float32)])
            times = math.ceil(36 / values.shape[2])  # so that all layers' columns stand below each other
            tiles = tiles.repeat(times, axis=1).repeat(times, axis=2)
            gap = max(1, round(0.08 * tiles.shape[2]))
            axes.imshow(
                mosaic(tiles, across, gap),
                cmap=signed(theme),
                vmin=-limit,
                vmax=limit,
                interpolation="none",
                aspect="equal",
            )
            bare(axes)
            axes.set_anchor("W")
    return fig


def evidence_panels(
    images: NDArray[Any],
    titles: Sequence[str],
    rows: Mapping[str, Sequence[NDArray[np.float32] | None]],
    *,
    is_signed: bool,
    notes: Mapping[str, Sequence[str]] | None = None,
    theme: Theme = "light",
) -> Figure:
    """Images above maps of the evidence in them, each map on its own scale.

    Args:
        images: As stored [n, height, width, channels].
        titles: Above each image [n].
        rows: By what a row shows, a map for each image [height, width], ``None`` where there is none.
        is_signed: Whether evidence may speak against a class. If not it lies over the image.
        notes: By row, the text above each map.
        theme: Of the figure.
    """
    n = len(images)
    side = min(1.5, (_WIDTH - 0.9) / n)
    ratio = images.shape[1] / images.shape[2]
    with styled(theme) as palette:
        fig = figure(0.9 + n * side, (1 + len(rows)) * (side * ratio + 0.24) + 0.2)
        grid = fig.subplots(1 + len(rows), n + 1, squeeze=False, width_ratios=[0.8, *[side] * n])
        spaced(fig, w_pad=0.02, h_pad=0.03, wspace=0.02, hspace=0.02)
        for axes, image, title in zip(grid[0, 1:], images, titles, strict=True):
            show(axes, image)
            axes.set_title(plain(title), fontsize=8, loc="center")
        for cells, (name, maps) in zip(grid[1:], rows.items(), strict=True):
            row_notes = (notes or {}).get(name, [""] * n)
            for axes, image, heat, note in zip(cells[1:], images, maps, row_notes, strict=True):
                if heat is None:
                    axes.set_axis_off()
                    continue
                draw_evidence(axes, image, heat, is_signed=is_signed, theme=theme)
                axes.set_title(plain(note), fontsize=8, loc="center", color=palette.soft)
        for axes, name in zip(grid[:, 0], ["image,\nits class", *rows], strict=True):
            axes.set_axis_off()
            axes.text(1, 0.5, plain(name), ha="right", va="center", transform=axes.transAxes, linespacing=1.4)
    return fig


def draw_evidence(
    ax: Axes, image: NDArray[Any], heat: NDArray[np.float32], *, is_signed: bool, theme: Theme = "light"
) -> None:
    """A map of evidence on axes: signed in blue and orange, or as orange glow over the grey image."""
    if is_signed:
        limit = float(np.quantile(np.abs(heat), 0.995)) or 1.0
        ax.imshow(heat, cmap=signed(theme), vmin=-limit, vmax=limit, interpolation="none")
    else:
        grey = pixels(image).astype(np.float64).mean(2) / (255 if image.dtype == np.uint8 else 1)
        ax.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="none")
        glow = np.zeros((*heat.shape, 4))
        glow[..., :3] = np.array([255, 122, 26]) / 255
        glow[..., 3] = 0.8 * np.clip(heat, 0, 1)
        ax.imshow(glow, interpolation="none")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.5)


def sanity_lines(checks: Mapping[str, Sanity], *, theme: Theme = "light", ax: Axes | None = None) -> Figure:
    """How alike maps remain as layers are randomised from the top, a line for each method.

    Args:
        checks: By method.
        theme: Of a figure of our own.
        ax: Axes to draw on.
    """
    layers = next(iter(checks.values())).layers
    with canvas(max(5.0, 0.5 * len(layers) + 2.8), 3.0, theme, ax) as (axes, palette):
        colours = (look(theme).blue, look(theme).orange, "#009E73", palette.soft)
        axes.axhline(ALIKE, color=palette.line, linewidth=1, linestyle=(0, (4, 3)))
        ends = _apart([sanity.correlations[-1] for sanity in checks.values()], 0.09)
        for (name, sanity), colour, mark, end in zip(checks.items(), colours, _MARKS, ends, strict=False):
            values = [1.0, *sanity.correlations]
            axes.plot(range(len(values)), values, color=colour, marker=mark, markersize=4.5, linewidth=1.8)
            axes.annotate(
                name,
                (len(layers), end),
                (8, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                annotation_clip=False,
            )
        axes.set_xticks(
            range(len(layers) + 1), labels=["trained", *layers], rotation=35, ha="right", rotation_mode="anchor"
        )
        axes.set_ylim(min(-0.05, *(min(s.correlations) for s in checks.values())) - 0.02, 1.05)
        axes.set_xlim(-0.2, len(layers) + 0.25)
        axes.set_ylabel("rank correlation with\nthe trained network's map")
        axes.set_xlabel("randomised from the top, down to this layer")
        axes.grid(axis="y", linewidth=0.7)
        axes.tick_params(length=0)
    return of(axes)


def _apart(values: Sequence[float], distance: float) -> list[float]:
    """The same values, moved so that texts beside them do not lie on each other."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    placed = list(values)
    for below, at in pairwise(order):
        placed[at] = max(placed[at], placed[below] + distance)
    return placed
