"""A sheet of corruptions: one row each, as the image is and in its severities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .mosaic import mosaic
from .style import Theme, bare, canvas, of, pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.2


def corruption_sheet(
    views: Mapping[str, NDArray[np.uint8]], *, theme: Theme = "light", ax: Axes | None = None
) -> Figure:
    """An image under every corruption, in two columns of rows, each with its name above it.

    Args:
        views: By the corruption's name, the image as it is and in each severity [1 + severities, height, width,
            channels].
        theme: Of a figure of our own.
        ax: Axes to draw on.
    """
    names = list(views)
    _, height, width, _ = next(iter(views.values())).shape
    rows, head, gap = math.ceil(len(names) / 2), max(5, round(0.5 * height)), max(1, width // 14)
    strips: list[NDArray[Any]] = [
        mosaic(np.stack([pixels(image) / 255 for image in views[name]]), len(views[name]), gap) for name in names
    ]
    across = strips[0].shape[1]
    pitch, line = across + max(2, width // 2), height + head
    sheet = np.full((rows * line, pitch + across, 3), np.nan)
    for index, strip in enumerate(strips):
        block, row = divmod(index, rows)
        top = row * line + head
        sheet[top : top + height, block * pitch : block * pitch + across] = strip
    empty = np.isnan(sheet[..., :1])
    shown = np.concatenate([np.where(empty, 0, sheet), ~empty], axis=2)
    with canvas(_WIDTH, _WIDTH * sheet.shape[0] / sheet.shape[1] + 0.1, theme, ax) as (axes, palette):
        axes.imshow(shown, interpolation="none")
        bare(axes)
        for index, name in enumerate(names):
            block, row = divmod(index, rows)
            at = (block * pitch - 0.5, row * line + head - 0.5 - 0.06 * height)
            axes.text(*at, name.replace("_", " "), ha="left", va="bottom", fontsize=8, color=palette.ink)
    return of(axes)
