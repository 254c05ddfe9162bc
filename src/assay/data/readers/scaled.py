"""Brings pictures to a size, and decodes large JPEGs at the fraction of their size that this needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...spec import Reading

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that is still so many times the wanted one. The mean difference
# from decoding it whole is then about one level of 255 at most: tests/data/test_scaled.py measures it.
LEAST_OVERSAMPLING = 3
_TURNED = (5, 6, 7, 8)  # values of EXIF's orientation that exchange height and width
_ORIENTATION = 0x0112

Box = tuple[float, float, float, float]


def reduce(picture: Picture, size: tuple[int, int]) -> tuple[int, int]:
    """Has an opened JPEG that is not yet decoded be decoded at a fraction of its size, where that is enough.

    Args:
        picture: As ``Image.open`` gives it; others than JPEGs stay as they are.
        size: Height and width that it will be brought to, standing upright.

    Returns:
        Width and height as they are in the file.
    """
    own = picture.size
    if picture.format == "JPEG" and min(own) >= 2 * LEAST_OVERSAMPLING * min(size):
        is_turned = picture.getexif().get(_ORIENTATION) in _TURNED
        height, width = size[::-1] if is_turned else size
        picture.draft(picture.mode, (LEAST_OVERSAMPLING * width, LEAST_OVERSAMPLING * height))
    return own


def upright(picture: Picture, full: tuple[int, int]) -> tuple[Picture, tuple[int, int], Box | None]:
    """A decoded picture as EXIF turns it, its height and width before it was reduced, and what of it is image.

    Reduced pictures are rounded up: a JPEG of 1207 pixels has 151 at an eighth, of which 150.875 are image.

    Args:
        picture: Decoded, perhaps at a fraction of its size.
        full: Its width and height in the file.
    """
    from PIL import ImageOps

    scale = max(1, round(full[0] / picture.width))
    left, top, right, bottom = 0.0, 0.0, full[0] / scale, full[1] / scale
    if picture.format == "JPEG" and "exif" in picture.info:
        orientation = picture.getexif().get(_ORIENTATION, 1)
        width, height = picture.size
        picture = ImageOps.exif_transpose(picture)
        if orientation in (2, 3):
            left, right = width - right, float(width)
        if orientation in (3, 4):
            top, bottom = height - bottom, float(height)
        if orientation in _TURNED:
            full = full[::-1]
            left, top, right, bottom = 0.0, 0.0, bottom, right
            if orientation in (6, 7):
                left, right = height - right, float(height)
            if orientation in (7, 8):
                top, bottom = width - bottom, float(width)
    return picture, full[::-1], (left, top, right, bottom) if scale > 1 else None


def to_size(picture: Picture, size: tuple[int, int], reading: Reading, box: Box | None = None) -> Picture:
    """A picture in grey, colour or float32 at a height and width: bilinear, by ``reading.fit``.

    Args:
        picture: Its pixels.
        size: Height and width.
        reading: ``fit`` and ``background`` count.
        box: What of it is image; all of it if ``None``.
    """
    from PIL import Image, ImageOps

    wanted, bilinear = size[::-1], Image.Resampling.BILINEAR
    if picture.size == wanted and box is None:
        return picture
    if reading.fit == "crop":
        if box is None:
            return ImageOps.fit(picture, wanted, bilinear)
        return picture.resize(wanted, bilinear, box=_centre(box, wanted))
    if reading.fit == "stretch":
        return picture.resize(wanted, bilinear, box=box)
    width, height = picture.size if box is None else (box[2] - box[0], box[3] - box[1])
    scale = min(wanted[0] / width, wanted[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    ground: Any = reading.background / 255 if picture.mode == "F" else (reading.background,) * len(picture.getbands())
    padded = Image.new(picture.mode, wanted, ground)
    resized = picture.resize(inner, bilinear, box=box)
    padded.paste(resized, ((wanted[0] - inner[0]) // 2, (wanted[1] - inner[1]) // 2))
    return padded


def _centre(box: Box, wanted: tuple[int, int]) -> Box:
    """The largest part of a box around its centre that has the proportions of a width and height."""
    left, top, right, bottom = box
    scale = min((right - left) / wanted[0], (bottom - top) / wanted[1])
    across, down = wanted[0] * scale, wanted[1] * scale
    left, top = (left + right - across) / 2, (top + bottom - down) / 2
    return (left, top, left + across, top + down)


def typical_size(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """The height and width to propose for images of these sizes: that of most of them if it is small, else a square.

    The square is 96 or 64 pixels wide where images have that many: what small networks take.
    """
    from collections import Counter

    (most, count), *_ = Counter(sizes).most_common(1)
    if 2 * count >= len(sizes) and max(most) <= _LARGEST:
        return most
    short = int(np.median([min(size) for size in sizes]))
    side = next((side for least, side in ((192, 96), (64, 64), (32, 32)) if short >= least), max(4, short))
    return (side, side)


_LARGEST = 128
