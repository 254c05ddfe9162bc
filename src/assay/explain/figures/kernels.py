"""Figures of kernels, and of the images and inputs that excite filters most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..activations import Strongest
from .mosaic import highest, mosaic
from .style import Theme, bare, canvas, of, pixels, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FILTERS, MOST_INPUTS = 32, 32
MOST_STRONGEST = 16  # filters with their images
_WIDTH = 7.2


def kernel_grid(
    kernels: NDArray[np.float32],
    *,
    theme: Theme = "light",
    ax: Axes | None = None,
) -> Figure:
    """A convolution's kernels: rows are filters, columns are inputs, one scale for all, as far above zero as below.

    The first ``MOST_FILTERS`` filters and ``MOST_INPUTS`` inputs are shown.

    Filters of few inputs stand in several columns of rows, each kernel row with its filter's number.

    Args:
        kernels: [filters, inputs, height, width].
        theme: Of a figure of our own.
        ax: Axes to draw on.
    """
    shown = kernels[:MOST_FILTERS, :MOST_INPUTS]
    count, width_in, height, width = shown.shape
    blocks = 1 if width_in > 4 else min(count, max(1, (16 if count > 32 else 8) // width_in))
    rows = math.ceil(count / blocks)
    gap = max(1, height // 4)
    across = width_in * (width + gap) - gap
    cell = min(0.5 / width, (_WIDTH - 1.2) / (blocks * (across + 2 * gap)))
    # Room for the number of its filter stands left of every row of kernels.
    label = math.ceil(0.2 / cell) if blocks > 1 else 0
    pitch = across + label + (gap if blocks > 1 else 0)
    sheet = np.full((rows * (height + gap) - gap, blocks * pitch - (gap if blocks > 1 else 0)), np.nan)
    cell = min(cell, (_WIDTH - 1.0) / sheet.shape[1])
    for index, kernel in enumerate(shown):
        block, row = divmod(index, rows) if width_in > 1 else (index % blocks, index // blocks)
        left, top = block * pitch + label, row * (height + gap)
        sheet[top : top + height, left : left + across] = mosaic(kernel, width_in, gap)
    limit = highest(shown)
    size = (max(2.6, sheet.shape[1] * cell + 1.3), sheet.shape[0] * cell + (0.75 if blocks == 1 else 0.25))
    with canvas(*size, theme, ax) as (axes, palette):
        picture = axes.imshow(sheet, cmap=signed(theme), vmin=-limit, vmax=limit, interpolation="none")
        bare(axes)
        if blocks == 1:
            _number(axes, "y", rows, height, gap, f"filter{_of(count, kernels.shape[0])}")
            _number(axes, "x", width_in, width, gap, f"input channel{_of(width_in, kernels.shape[1])}")
        else:
            for index in range(count):
                block, row = divmod(index, rows) if width_in > 1 else (index % blocks, index // blocks)
                at = (block * pitch + label - 0.5 - 0.35 * gap, row * (height + gap) + (height - 1) / 2)
                axes.text(*at, str(index), ha="right", va="center", fontsize=7, color=palette.soft)
        bar = of(axes).colorbar(picture, ax=axes, shrink=min(1.0, 1.6 / size[1]), aspect=12, pad=0.02)
        bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"{limit:.2g}"])
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7)
    return of(axes)


def filters_at_best(pictures: NDArray[np.float32], *, theme: Theme = "light", ax: Axes | None = None) -> Figure:
    """The picture that excites each filter most, with the filter's number.

    Args:
        pictures: As ``maximize_filters`` draws them, [filters, height, width, channels] in 0 to 1.
        theme: Of a figure of our own.
        ax: Axes to draw on.
    """
    from matplotlib.patches import Rectangle

    count, height, width, _ = pictures.shape
    columns = min(count, 8)
    rows = math.ceil(count / columns)
    head = max(1, round(0.28 * height))
    tiles = np.full((count, height + head, width, 3), np.nan)
    tiles[:, head:] = np.stack([pixels(picture) for picture in pictures])
    gap = max(1, round(0.12 * width))
    sheet = mosaic(tiles, columns, gap)
    cell = min(0.82, (_WIDTH - 0.2) / columns)
    with canvas(columns * cell + 0.2, rows * cell * (height + head + gap) / (width + gap) + 0.1, theme, ax) as (
        axes,
        palette,
    ):
        axes.imshow(_over(sheet), interpolation="none")
        bare(axes)
        for index in range(count):
            row, column = divmod(index, columns)
            at = (column * (width + gap) - 0.5, row * (height + head + gap) + head - 0.5 - 0.06 * height)
            axes.text(*at, str(index), ha="left", va="bottom", fontsize=7, color=palette.soft)
            corner = (column * (width + gap) - 0.5, row * (height + head + gap) + head - 0.5)
            axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=palette.line, linewidth=0.6))
    return of(axes)


def strongest_grid(images: NDArray[Any], strongest: Strongest, *, theme: Theme = "light") -> Figure:
    """The images that excite each filter most, each with a frame around what the filter saw there.

    Args:
        images: The images that ``strongest`` indexes, as stored [n, height, width, channels].
        strongest: As ``strongest_images`` returns them.
        theme: Of the figure.
    """
    from matplotlib.patches import Rectangle

    count, per_filter = min(MOST_STRONGEST, len(strongest.images)), strongest.images.shape[1]
    height, width = images.shape[1:3]
    blocks = 2 if count > 1 else 1
    rows = math.ceil(count / blocks)
    gap = max(1, round(0.07 * width))
    across = per_filter * (width + gap) - gap
    cell = (_WIDTH - 0.1) / (blocks * across * 1.06)
    label = math.ceil(0.28 / cell)
    pitch = across + label + gap
    sheet = np.full((rows * (height + gap) - gap, blocks * pitch - gap, 3), np.nan)
    for index in range(count):
        block, row = divmod(index, rows)
        tiles = np.stack([pixels(image) for image in images[strongest.images[index]]]) / (
            255 if images.dtype == np.uint8 else 1
        )
        top, left = row * (height + gap), block * pitch + label
        sheet[top : top + height, left : left + across] = mosaic(tiles, per_filter, gap)
    cell = (_WIDTH - 0.1) / sheet.shape[1]
    with canvas(_WIDTH, sheet.shape[0] * cell + 0.1, theme) as (axes, palette):
        axes.imshow(_over(sheet), interpolation="none")
        bare(axes)
        for index in range(count):
            block, row = divmod(index, rows)
            corner = np.array([row * (height + gap), block * pitch + label])
            at = (corner[1] - 0.5 - 0.06 / cell, corner[0] + (height - 1) / 2)
            axes.text(*at, str(index), ha="right", va="center", color=palette.soft)
            for place, box in enumerate(strongest.boxes[index]):
                top, left, bottom, right = np.clip(box, 0, [height, width] * 2)
                x, y = corner[1] + place * (width + gap) + left - 0.5, corner[0] + top - 0.5
                frame = Rectangle(
                    (x, y), right - left, bottom - top, fill=False, edgecolor=palette.orange, linewidth=1.3
                )
                axes.add_patch(frame)
    return of(axes)


def _over(sheet: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours with what is not a number transparent."""
    empty = np.isnan(sheet[..., :1])
    return np.concatenate([np.where(empty, 0, sheet), ~empty], axis=2)


def _number(axes: Axes, which: str, count: int, size: int, gap: int, title: str) -> None:
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64) if count / step <= 16)
    places = [at * (size + gap) + (size - 1) / 2 for at in range(0, count, step)]
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_ticks(places, labels=[str(at) for at in range(0, count, step)])
    axes.tick_params(axis=which, length=0)  # type: ignore[arg-type]
    axis.set_label_text(title)


def _of(shown: int, all_: int) -> str:
    return "" if shown == all_ else f" (the first {shown} of {all_})"
