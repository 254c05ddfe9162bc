"""Stores pixel values as bytes where that loses nothing, and as float32 in 0 to 1 where it would."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem

# Shares printed with 4 decimals come this close to a whole number of levels.
_TOLERANCE = 0.02


_Kind = Literal["bytes", "binary", "255", "256", "float"]


class Pixels:
    """Collects rows of numbers, keeps them as small as they allow, and says what they were.

    Numbers 0 to 255 that are whole are bytes. Numbers 0 to 1 are shares of white: bytes / 255 or bytes / 256 where
    every one of them is such a fraction, else float32. A table of zeros and ones alone is black and white.

    Args:
        shape: Height, width, channels of a row.
        place: The file, for messages.
        noun: What one image is in it, for messages.
    """

    def __init__(self, shape: tuple[int, int, int], place: str, noun: str = "row") -> None:
        self.shape = shape
        self.place = place
        self.noun = noun
        self._batches: list[tuple[_Kind, int, int]] = []  # what each is, from which row to which
        self._rows: npt.NDArray[Any] = np.empty((0, math.prod(shape)), np.uint8)
        self._count = 0

    @property
    def num_bytes(self) -> int:
        return self._count * self._rows[:1].nbytes

    def add(self, values: npt.NDArray[Any], row: int, *, expected: int = 0) -> None:
        """Takes rows over.

        Args:
            values: float32 [n, pixels].
            row: The number of the first, for messages.
            expected: How many rows there will be in the end, about.

        Raises:
            DataError: A value lies outside 0 to 255, or bytes and fractions are mixed.
        """
        if not len(values):
            return
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255:
            at, column = (int(k) for k in np.argwhere((values < 0) | (values > 255))[0])
            what = f"{self.noun} {row + at} holds {values[at, column]:g}, and pixels are 0 to 255 or 0 to 1"
            raise DataError(Problem(what, "scale the values", file=self.place))
        kind, packed = _pack(values)
        kinds = {kind, *(earlier for earlier, _, _ in self._batches)}
        if kinds & {"255", "256", "float"} and ("bytes" in kinds or high > 1):
            what = f"some values are fractions and some are above 1 (up to {self.noun} {row + len(values) - 1})"
            raise DataError(Problem(what, "give pixels as whole numbers 0 to 255, or all as 0 to 1", file=self.place))
        end = self._count + len(values)
        if self._is_fine(kinds) and self._rows.dtype == np.uint8:
            self._make_fine(max(end, len(self._rows)))
        if end > len(self._rows):
            # Memory that is not written to is not taken, so that reserving some more than expected costs nothing.
            self._reserve(max(end + end // 4, min(expected + expected // 32, _MOST_AHEAD * end)))
        self._rows[self._count : end] = packed if self._rows.dtype == np.uint8 else _shares(kind, packed)
        self._batches.append((kind, self._count, end))
        self._count = end

    def images(self) -> tuple[npt.NDArray[Any], str]:
        """uint8 or float32 [n, height, width, channels], and a sentence on what the values were."""
        kinds = {kind for kind, _, _ in self._batches}
        if "bytes" in kinds:
            note = "Values are bytes, 0 to 255."
        elif self._is_fine(kinds):
            note = "Values are shares 0 to 1 in finer steps than bytes, kept as float32."
        else:
            for kind, start, end in self._batches:
                if kind == "binary":
                    self._rows[start:end] *= np.uint8(255)
            note = "Values are 0 and 1 only, taken as black and white."
            for steps in kinds - {"binary"}:
                note = f"Values are shares 0 to 1 in steps of 1/{steps}, kept as bytes."
        return self._rows[: self._count].reshape(self._count, *self.shape), note

    @staticmethod
    def _is_fine(kinds: set[_Kind]) -> bool:
        return "float" in kinds or {"255", "256"} <= kinds

    def _reserve(self, rows: int) -> None:
        larger = np.empty((rows, self._rows.shape[1]), self._rows.dtype)
        larger[: self._count] = self._rows[: self._count]
        self._rows = larger

    def _make_fine(self, rows: int) -> None:
        fine = np.empty((rows, self._rows.shape[1]), np.float32)
        for kind, start, end in self._batches:
            fine[start:end] = _shares(kind, self._rows[start:end])
        self._rows = fine


_MOST_AHEAD = 1 << 16


def _pack(values: npt.NDArray[Any]) -> tuple[_Kind, npt.NDArray[Any]]:
    whole = values.astype(np.uint8)
    if (whole == values).all():
        return ("bytes" if whole.max() > 1 else "binary"), whole
    kinds: tuple[tuple[_Kind, int], ...] = (("255", 255), ("256", 256))
    for kind, levels in kinds:
        scaled = values * np.float32(levels)
        nearest = np.rint(scaled)
        if nearest.max() <= 255 and (np.abs(np.subtract(scaled, nearest, out=scaled), out=scaled) <= _TOLERANCE).all():
            return kind, nearest.astype(np.uint8)
    return "float", values.astype(np.float32)


def _shares(kind: _Kind, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    levels = {"255": 255, "256": 256}.get(kind, 1)
    shares: npt.NDArray[np.float32] = np.divide(batch, np.float32(levels), dtype=np.float32)
    return shares


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
    if array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
        what = f"images have the shape {' x '.join(map(str, array.shape))}"
        raise DataError(Problem(what, "give [image, height, width] or [image, height, width, 1 or 3]", file=place))
    if array.dtype == np.uint8 and array.max() > 1:
        return array, notes
    if array.dtype.kind in "ui" and array.max() > 255:
        return _sixteen(array, place), (*notes, "Values are 16-bit, kept as float32 in 0 to 1.")
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


def _sixteen(array: npt.NDArray[Any], place: str) -> npt.NDArray[np.float32]:
    if array.min() < 0 or array.max() > 65535:
        what = f"values run from {array.min()} to {array.max()}"
        raise DataError(Problem(what, "give pixels as 0 to 255, 0 to 65535 or 0 to 1", file=place))
    images = array.astype(np.float32)
    images /= 65535
    return images


def _square(size: int, shape: tuple[int, ...] | None, place: str) -> tuple[int, ...]:
    if shape is not None and math.prod(shape) == size:
        return shape
    for channels in (1, 3) if shape is None else ():
        side = math.isqrt(size // channels)
        if side > 1 and side * side * channels == size:
            return (side, side, channels)
    raise DataError(Problem(f"a row has {size} values", "give read = { shape = [height, width] }", file=place))
