"""Pictures out of focus, through rough glass, or taken in motion. Amounts are shares of the longer side."""

from __future__ import annotations

import math

import numpy as np

from .ground import Floats, Ground

_ANGLES = 16  # directions of motion
_LIGHT = 0.6  # pixels: the blur before and after glass moves them


def gaussian_blur(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Out of focus: a Gaussian with this deviation."""
    from scipy import ndimage

    deviation = amount * max(images.shape[1:3])
    blurred: Floats = ndimage.gaussian_filter(images, (0, deviation, deviation, 0), mode="nearest", truncate=3.0)
    return blurred


def glass_blur(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Behind rough glass: pixels exchanged for near ones at random, between two light blurs.

    They come from as many pixels away as the amount says, rounded up, and more seldom where it was rounded.
    """
    count, height, width, channels = images.shape
    longest = max(height, width)
    reach = max(1, math.ceil(amount * longest))
    flat = gaussian_blur(images, _LIGHT / longest, generator, ground).reshape(count, height * width, channels)
    moves = generator.integers(-reach, reach + 1, (2, count, height, width), np.int8)
    moves *= generator.random((count, height, width), np.float32) < amount * longest / reach
    rows = np.clip(np.arange(height)[:, None] + moves[0], 0, height - 1)
    columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
    moved = np.take_along_axis(flat, (rows * width + columns).reshape(count, -1, 1), axis=1)
    return gaussian_blur(moved.reshape(images.shape), _LIGHT / longest, generator, ground)


def motion_blur(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Moved while the picture was taken: the mean along a line of this length, in one of 16 directions."""
    height, width = images.shape[1:3]
    steps = max(2, round(amount * max(height, width))) // 2
    blurred = np.empty_like(images)
    directions = generator.integers(0, _ANGLES, len(images))
    for direction in np.unique(directions):
        chosen = np.flatnonzero(directions == direction)
        framed = np.pad(images[chosen], ((0, 0), (steps, steps), (steps, steps), (0, 0)), mode="edge")
        angle = np.pi * direction / _ANGLES
        total = np.zeros_like(images[chosen])
        for step in range(-steps, steps + 1):
            down, right = steps + round(step * np.sin(angle)), steps + round(step * np.cos(angle))
            total += framed[:, down : down + height, right : right + width]
        blurred[chosen] = total / np.float32(2 * steps + 1)
    return blurred
