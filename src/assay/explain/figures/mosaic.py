"""Arranges many small pictures in one array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mosaic(tiles: NDArray[Any], columns: int, gap: int = 1) -> NDArray[np.float64]:
    """Tiles in rows, not a number between them and where there are none.

    Args:
        tiles: [n, height, width] or [n, height, width, channels].
        columns: Tiles in a row.
        gap: Pixels between neighbours.

    Returns:
        float64 [rows * (height + gap) - gap, columns * (width + gap) - gap, ...].
    """
    n, height, width, *channels = tiles.shape
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *channels), np.nan)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def highest(values: NDArray[Any]) -> float:
    """The largest absolute value: the end of a symmetric scale; 1 where all are 0."""
    return float(np.abs(values).max(initial=0)) or 1.0
