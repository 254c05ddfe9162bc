"""Things in front of the picture: patches, bands, lines, splashes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .fields import smooth_field
from .ground import Floats, Ground

_MUD = (0.25, 0.18, 0.10)
_THICK_FROM = 24  # pixels of a side from which on a line may be two pixels wide


def occlusion(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """A square of middle grey, its side this share of the shorter side, somewhere within the image.

    Source: DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout".
    """
    count, height, width, _ = images.shape
    side = max(1, round(amount * min(height, width)))
    tops = generator.integers(0, height - side + 1, count)[:, None]
    lefts = generator.integers(0, width - side + 1, count)[:, None]
    rows, columns = np.arange(height), np.arange(width)
    down = (rows >= tops) & (rows < tops + side)
    right = (columns >= lefts) & (columns < lefts + side)
    return np.where((down[:, :, None] & right[:, None])[..., None], np.float32(0.5), images)


def stripe(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """A band across the image, upright or lying, as wide as this share of it, in which levels are inverted."""
    count, height, width, _ = images.shape
    is_upright = generator.random(count) < 0.5
    place: npt.NDArray[np.float64] = generator.random((count,))
    in_band = np.zeros((count, height, width), bool)
    for chosen, size, is_column in ((is_upright, width, True), (~is_upright, height, False)):
        wide = max(1, round(amount * size))
        starts = (place[chosen] * (size - wide + 1)).astype(np.int64)[:, None]
        inside = (np.arange(size) >= starts) & (np.arange(size) < starts + wide)
        in_band[chosen] = inside[:, None, :] if is_column else inside[:, :, None]
    return np.where(in_band[..., None], 1 - images, images)


def dotted_line(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """So many straight lines of dots from one side of the image to the other."""
    return _lines(images, amount, generator, ground, is_dotted=True)


def zigzag(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """So many lines across the image that turn back and forth."""
    return _lines(images, amount, generator, ground, is_dotted=False)


def spatter(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Drops and splashes over this share of the image: mud on a scene, ink on a plain ground."""
    count, height, width, channels = images.shape
    field = smooth_field(count, height, width, max(4, max(height, width) // 3), generator)
    level: Floats = np.asarray(np.quantile(field, 1 - amount, axis=(1, 2), keepdims=True), np.float32)
    cover: Floats = np.clip((field - level)[..., None] / np.float32(0.03), 0, 1)
    mud = np.array(_MUD if channels == 3 else [np.mean(_MUD)], np.float32)
    return np.asarray(images * (1 - cover) + (ground.ink if ground.is_plain else mud) * cover)


def _lines(images: Floats, amount: float, generator: np.random.Generator, ground: Ground, *, is_dotted: bool) -> Floats:
    count, height, width, _ = images.shape
    number, thick = max(1, int(amount)), 1 + (amount % 1 >= 0.5 and min(height, width) >= _THICK_FROM)
    steps = 2 * max(height, width)
    along = np.linspace(0, 1, steps)
    is_inked = np.zeros((count, height, width), bool)
    for _ in range(number):
        start, end, phase = generator.random((3, count, 1))
        place = start + (end - start) * along
        if not is_dotted:
            place = place + 0.12 * (2 * np.abs(2 * np.mod(3.5 * along + phase, 1) - 1) - 1)
        is_shown = np.mod(np.arange(steps), 8) < 3 if is_dotted else np.ones(steps, bool)
        is_lying = generator.random((count, 1)) < 0.5
        rows = np.where(is_lying, place * (height - 1), along * (height - 1))[:, is_shown]
        columns = np.where(is_lying, along * (width - 1), place * (width - 1))[:, is_shown]
        _stamp(is_inked, np.rint(rows).astype(np.int64), np.rint(columns).astype(np.int64), thick)
    return np.where(is_inked[..., None], ground.ink, images)


def _stamp(
    is_inked: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], thick: int
) -> None:
    """Mark squares of ``thick`` pixels at rows and columns [n, points]."""
    count, height, width = is_inked.shape
    number = np.arange(count)[:, None]
    for down in range(thick):
        for right in range(thick):
            places = np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)
            is_inked[number, places[0], places[1]] = True
