"""Images as they come, made what a network takes: its size, its channels, its kind of values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.readers.pixels import Pixels
from ..errors import DataError, Problem
from .inputs import Chunk

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow turns colour grey


class Fitting:
    """Takes chunks of one source after another, and counts what it had to do to them.

    Whether numbers are bytes or shares of white is decided by the first that tell, and holds for all of them.

    Args:
        shape: Height, width and channels that the network takes.
        dtype: Of the values that it was trained on: ``uint8`` (0 to 255) or ``float32`` (0 to 1); ``any`` for a network
            on a base, which takes both.
        resize: Whether images of another size are resized (bilinear) instead of refused.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: str, *, resize: bool = False) -> None:
        self.shape = shape
        self.dtype = dtype
        self.resize = resize
        self._are_shares: bool | None = None
        self._done: Counter[str] = Counter()
        self._before = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, a sentence each."""
        return tuple(f"{count:,} {what}." for what, count in self._done.items())

    def fit(self, chunk: Chunk) -> npt.NDArray[Any]:
        """uint8 or float32 [n, height, width, channels], as a ``Predictor`` takes them.

        Raises:
            DataError: Sizes differ and may not be changed, or values are out of range.
        """
        values = self._scaled(chunk)
        count, height, width, channels = values.shape
        if (height, width) != self.shape[:2]:
            if not self.resize:
                wanted, got = (" x ".join(map(str, size)) for size in (self.shape[:2], (height, width)))
                who = chunk.names[0] if chunk.names else f"{chunk.kind} {self._before + 1}"
                fix = f"the network takes {wanted}: give --resize to have them resized"
                raise DataError(Problem(f"{who} is {got}", fix, file=chunk.place))
            values = np.stack([_resized(image, self.shape[:2]) for image in values])
            self._done[f"images were resized to {self.shape[0]} x {self.shape[1]} (bilinear)"] += count
        if channels != self.shape[2]:
            values = _recoloured(values, self.shape[2])
            turned = "colour images were made grey" if channels == 3 else "grey images were taken as colour"
            self._done[f"{turned}, as the network was trained on {'grey' if channels == 3 else 'colour'} ones"] += count
        self._before += count
        return np.ascontiguousarray(values)

    def _scaled(self, chunk: Chunk) -> npt.NDArray[Any]:
        """In the kind of values that the network was trained on, finer than bytes where they are."""
        values = chunk.values
        if not len(values):
            return values.astype(np.uint8)
        if chunk.is_picture:
            found = values  # decoded: bytes, or float32 in 0 to 1
        elif values.dtype == np.uint8 and (self._are_shares is False or values.max() > 1):
            self._settle(False, chunk)
            found = values
        elif values.dtype.kind in "ui" and values.max() > 255:
            self._check(values, chunk, 65535)
            found = values.astype(np.float32) / np.float32(65535)
        else:
            self._check(values, chunk, 255)
            found = self._numbers(values.astype(np.float32), chunk)
        if self.dtype == "any":
            return found
        if self.dtype == "uint8":
            return found if found.dtype == np.uint8 else found * np.float32(255)
        return found if found.dtype == np.float32 else found / np.float32(255)

    def _numbers(self, values: npt.NDArray[np.float32], chunk: Chunk) -> npt.NDArray[Any]:
        high = float(values.max())
        is_whole = bool((values == np.rint(values)).all())
        if high > 1 or (is_whole and self._are_shares is False):
            if not is_whole:
                what = f"some values are fractions and some are above 1 (among {chunk.kind}s {self._range(values)})"
                raise DataError(
                    Problem(what, "give pixels as whole numbers 0 to 255, or all as 0 to 1", file=chunk.place)
                )
            self._settle(False, chunk)
            return values.astype(np.uint8)
        if high > 0:  # zeros are black in either way
            self._settle(True, chunk)
        pixels = Pixels(values.shape[1:], chunk.place, chunk.kind)
        pixels.add(values.reshape(len(values), -1), self._before + 1)
        return pixels.images()[0]

    def _settle(self, are_shares: bool, chunk: Chunk) -> None:
        if self._are_shares not in (None, are_shares):
            what = f"{chunk.kind}s from number {self._before + 1:,} on are {'0 to 1' if are_shares else '0 to 255'}"
            fix = f"those before are {'0 to 255' if are_shares else '0 to 1'}: give all alike"
            raise DataError(Problem(what, fix, file=chunk.place))
        self._are_shares = are_shares

    def _range(self, values: npt.NDArray[Any]) -> str:
        return f"{self._before + 1:,} to {self._before + len(values):,}"

    def _check(self, values: npt.NDArray[Any], chunk: Chunk, most: int) -> None:
        wrong = ~np.isfinite(values) | (values < 0) | (values > most)
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            what = f"{chunk.kind} {self._before + at[0] + 1:,} holds {values[at]:g}, and pixels are 0 to 255 or 0 to 1"
            raise DataError(Problem(what, "scale the values", file=chunk.place))


def _resized(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    from PIL import Image

    def one(channel: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR))

    return np.stack([one(np.ascontiguousarray(image[..., k])) for k in range(image.shape[2])], axis=2)


def _recoloured(values: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    if channels == 3:
        return np.repeat(values, 3, axis=3)
    grey = values.astype(np.float32) @ np.array(_LUMA, np.float32)
    return (np.rint(grey).astype(np.uint8) if values.dtype == np.uint8 else grey)[..., None]
