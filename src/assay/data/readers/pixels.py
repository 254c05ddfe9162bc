"""Stores pixel values as bytes where that loses nothing, and as float32 in 0 to 1 where it would."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from .scale import Kind, Scale, shares


class Pixels:
    """Collects rows of numbers, keeps them as small as their ``Scale`` allows, and says what they were.

    Args:
        shape: Height, width, channels of a row.
        place: The file, for messages.
        noun: What one image is in it, for messages.
    """

    def __init__(self, shape: tuple[int, int, int], place: str, noun: str = "row") -> None:
        self.shape = shape
        self._scale = Scale(place, noun)
        self._batches: list[tuple[Kind, int, int]] = []  # what each is, from which row to which
        self._rows: npt.NDArray[Any] = np.empty((0, math.prod(shape)), np.uint8)
        self._count = 0

    @property
    def num_bytes(self) -> int:
        return self._count * self._rows[:1].nbytes

    def add(self, values: npt.NDArray[Any], row: int, *, expected: int = 0) -> None:
        """Takes rows over.

        Args:
            values: float32 or uint8 [n, pixels].
            row: The number of the first, for messages.
            expected: How many rows there will be in the end, about.

        Raises:
            DataError: A value lies outside 0 to 255, or bytes and fractions are mixed.
        """
        if not len(values):
            return
        kind, packed = self._scale.see(values, row)
        end = self._count + len(values)
        if self._scale.kind == "float" and self._rows.dtype == np.uint8:
            self._make_fine(max(end, len(self._rows)))
        if end > len(self._rows):
            # Memory that is not written to is not taken, so that reserving some more than expected costs nothing.
            self._reserve(max(end + end // 4, min(expected + expected // 32, _MOST_AHEAD * end)))
        self._rows[self._count : end] = packed if self._rows.dtype == np.uint8 else shares(kind, packed)
        self._batches.append((kind, self._count, end))
        self._count = end

    def images(self) -> tuple[npt.NDArray[Any], str]:
        """uint8 or float32 [n, height, width, channels], and a sentence on what the values were."""
        if self._scale.kind not in ("bytes", "float"):
            for kind, start, end in self._batches:
                if kind == "binary":
                    self._rows[start:end] *= np.uint8(255)
        return self._rows[: self._count].reshape(self._count, *self.shape), self._scale.note

    def _reserve(self, rows: int) -> None:
        larger = np.empty((rows, self._rows.shape[1]), self._rows.dtype)
        larger[: self._count] = self._rows[: self._count]
        self._rows = larger

    def _make_fine(self, rows: int) -> None:
        fine = np.empty((rows, self._rows.shape[1]), np.float32)
        for kind, start, end in self._batches:
            fine[start:end] = shares(kind, self._rows[start:end])
        self._rows = fine


_MOST_AHEAD = 1 << 16


def images_of(
    array: npt.NDArray[Any], place: str, shape: tuple[int, ...] | None = None
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """An array of images as uint8 or float32 [n, height, width, channels], with a note on everything inferred.

    Args:
        array: Numbers [n, height, width], [n, height, width, channels], [n, channels, height, width] or [n, pixels];
            whole 0 to 255, shares 0 to 1, or 16-bit.
        place: The file or argument, for messages.
        shape: Height, width and channels of a flat row; a square unless given.

    Raises:
        DataError: The array has another shape, holds no numbers or values out of range.
    """
    array, notes = laid_out(array, place, shape)
    if array.dtype == np.uint8 and array.max() > 1:
        return array, notes
    if array.dtype.kind in "ui" and array.max() > 255:
        scale = Scale(place, "image")
        scale.see(array, 1)
        return scale.apply(array, 1), (*notes, scale.note)
    pixels = Pixels(array.shape[1:], place, "image")
    step = max(1, (1 << 20) // array[:1].size)
    for start in range(0, len(array), step):
        values = array[start : start + step].reshape(-1, array[:1].size).astype(np.float32)
        if not np.isfinite(values).all():
            at = start + int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(Problem(f"image {at + 1} holds a value that is no number", "correct it", file=place))
        pixels.add(values, start + 1, expected=len(array))
    images, note = pixels.images()
    return images, (*notes, note)


def laid_out(
    array: npt.NDArray[Any], place: str, shape: tuple[int, ...] | None = None
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The same array as [n, height, width, channels], with a sentence where its axes were moved.

    Args:
        array, place, shape: As ``images_of`` takes them.

    Raises:
        DataError: The array has another shape, or holds no numbers.
    """
    notes: tuple[str, ...] = ()
    if array.dtype.kind not in "buif":
        what = f"images are {array.dtype}, and numbers are expected"
        raise DataError(Problem(what, "give uint8 [image, height, width]", file=place))
    if array.ndim == 2:
        array = array.reshape(len(array), *_square(array.shape[1], shape, place))
    if array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
        notes = ("Channels stood before height and width.",)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim == 5 or (array.ndim == 4 and min(array.shape[1:]) > 4):
        what = f"images have the shape {_by(array.shape)}, which are volumes (3-D)"
        raise DataError(Problem(what, f"give slices [image, height, width]: {NO_VOLUMES}", file=place))
    if array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
        what = f"images have the shape {_by(array.shape)}"
        raise DataError(Problem(what, "give [image, height, width] or [image, height, width, 1 or 3]", file=place))
    return array, notes


NO_VOLUMES = "Assay classifies images of two dimensions"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _square(size: int, shape: tuple[int, ...] | None, place: str) -> tuple[int, ...]:
    if shape is not None and math.prod(shape) == size:
        return shape
    if shape is not None:
        what = f"a row has {size:,} values, and {' x '.join(map(str, shape))} are {math.prod(shape):,}"
        raise DataError(Problem(what, "give one image a row, or correct read.shape", file=place))
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if side > 1 and side * side * channels == size:
            return (side, side, channels)
    raise DataError(Problem(f"a row has {size} values", "give read = { shape = [height, width] }", file=place))
