"""From a drawing to the image that a network was trained on: scaled to a box, centred in the field.

MNIST's digits were "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio" and "centered in a
28x28 image by computing the center of mass of the pixels, and translating the image so as to position this point at the
center of the 28x28 field" (LeCun, Cortes and Burges, the MNIST database). Other data sets of characters frame theirs
alike, with another box; which, is read off their images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.readers.pictures import decode
from ..data.readers.scale import in_type
from ..spec import Reading

_LOOKED_AT = 500
_BRIGHT = 127


@dataclass(frozen=True)
class Framing:
    """How characters stand in their field.

    Args:
        box: The longer side of the character's bounding box, in pixels.
        by_mass: The centre of mass is at the field's centre; otherwise the middle of the box is.
    """

    box: int
    by_mass: bool

    @property
    def sentence(self) -> str:
        """What is done to a drawing, without a full stop."""
        how = "its centre of mass" if self.by_mass else "its box"
        return f"scaled to fit {self.box} x {self.box} pixels, then placed with {how} at the centre"


def framing_of(images: NDArray[Any]) -> Framing:
    """How the characters of these images, uint8 [n, height, width, 1], bright on dark, are framed."""
    some = images[:_LOOKED_AT, :, :, 0].astype(np.float64)
    some = some[some.any((1, 2))]
    height, width = images.shape[1:3]
    if not len(some):
        return Framing(max(1, round(min(height, width) * 20 / 28)), by_mass=True)
    longer = [max(part.stop - part.start for part in _box(image)) for image in some]
    off = np.array([np.subtract(_mass(image), (height / 2, width / 2)) for image in some])
    return Framing(int(np.median(longer)), by_mass=bool((np.abs(off) < 0.51).all(1).mean() > 0.9))


def is_drawable(classes: Sequence[str], images: NDArray[Any]) -> bool:
    """Whether these are images of single characters, bright on dark, so that a drawing can stand in for one."""
    if images.shape[3] != 1 or images.dtype != np.uint8 or any(len(name) != 1 for name in classes):
        return False
    return bool(np.median(_rim(images[:_LOOKED_AT, :, :, 0])) < _BRIGHT / 2)


def framed(ink: NDArray[np.uint8], framing: Framing, height: int, width: int) -> NDArray[np.uint8]:
    """A drawing as an image of the data set.

    Args:
        ink: uint8 [any height, any width]: 255 where there is ink, 0 where there is none.
        framing: How the data set's own images are framed.
        height, width: Of its images.

    Returns:
        uint8 [height, width]; black for a drawing without ink.
    """
    image = np.zeros((height, width), np.uint8)
    if not ink.any():
        return image
    drawn = Image.fromarray(np.ascontiguousarray(ink[_box(ink)]))
    scale = min(framing.box, height, width) / max(drawn.size)
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    small = np.asarray(drawn.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
    centre = _mass(small) if framing.by_mass and small.any() else ((small.shape[0] - 1) / 2, (small.shape[1] - 1) / 2)
    middle = (height / 2, width / 2) if framing.by_mass else ((height - 1) / 2, (width - 1) / 2)
    top, left = (
        int(np.clip(np.floor(at - mass + 0.5), 0, room - extent))
        for at, mass, room, extent in zip(middle, centre, (height, width), small.shape, strict=True)
    )
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def framed_picture(
    content: bytes, framing: Framing, shape: tuple[int, int, int], *, is_drawing: bool
) -> NDArray[np.uint8]:
    """A picture of one character as an image of the data set: uint8 [height, width, 1].

    Args:
        content: The encoded picture; what is transparent is paper.
        framing: How the data set's own images are framed.
        shape: Of its images.
        is_drawing: White ink on black; otherwise ink is whatever stands out from the picture's rim.

    Raises:
        DataError: It is no picture.
    """
    images, _, _ = decode(lambda: [(0, content)], ["the picture"], Reading(channels=1), "the picture")
    grey = in_type(images[0, :, :, 0], "uint8")
    return framed(grey if is_drawing else ink_of(grey), framing, *shape[:2])[..., None]


def ink_of(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of a character as ink: whatever stands out from its rim, paper or slate, noise of the rim left out.

    Args:
        grey: uint8 [height, width].
    """
    rim = _rim(grey[None])
    ground = float(np.median(rim))
    values = grey.astype(np.float64)
    values = 255 - values if ground > _BRIGHT else values
    ground = 255 - ground if ground > _BRIGHT else ground
    above = np.maximum(values - ground, 0)
    above[above <= 3 * rim.std()] = 0
    peak = above.max()
    return np.rint(above * (255 / peak)).astype(np.uint8) if peak else np.zeros_like(grey)


def _rim(images: NDArray[Any]) -> NDArray[Any]:
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return np.concatenate([edge.ravel() for edge in edges])


def _box(image: NDArray[Any]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _mass(image: NDArray[Any]) -> tuple[float, float]:
    """Row and column of the centre of mass."""
    values = image.astype(np.float64)
    total = values.sum()
    return (
        float(values.sum(1) @ np.arange(values.shape[0]) / total),
        float(values.sum(0) @ np.arange(values.shape[1]) / total),
    )
