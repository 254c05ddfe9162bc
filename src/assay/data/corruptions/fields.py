"""Smooth random fields: a coarse grid of draws, brought to an image's size by two matrix products."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .ground import Floats


def smooth_field(count: int, height: int, width: int, cells: int, generator: np.random.Generator) -> Floats:
    """Random fields with so many cells across, uniform in 0 to 1 at the cells' corners, cubic between them
    [count, height, width]."""
    draws = generator.random((count, cells + 3, cells + 3), np.float32)
    return np.asarray(_splines(height, cells) @ draws @ _splines(width, cells).T, np.float32)


@lru_cache(maxsize=64)
def _splines(size: int, cells: int) -> Floats:
    """What each of ``size`` pixels takes from ``cells`` + 3 values: uniform cubic B-splines (de Boor 1978)."""
    places = (np.arange(size) + 0.5) / size * cells
    first = np.minimum(places.astype(np.int64), cells - 1)
    t = places - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    matrix = np.zeros((size, cells + 3), np.float32)
    for offset in range(4):
        matrix[np.arange(size), first + offset] = weights[:, offset]
    return matrix
