"""What the numbers of a file stand for: bytes, black and white, shares of white in steps or fine ones, or 16 bits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem

Kind = Literal["bytes", "binary", "255", "256", "float", "16-bit"]

# Shares printed with 4 decimals come this close to a whole number of levels.
_TOLERANCE = 0.02
_STEPS: tuple[tuple[Kind, int], ...] = (("255", 255), ("256", 256))


class Scale:
    """Decided by all numbers of a file together, batch by batch.

    Whole numbers 0 to 255 are bytes, zeros and ones alone are black and white. Numbers 0 to 1 are shares of white:
    bytes / 255 or bytes / 256 where every one of them is such a fraction, else float32. Integers above 255 are 16-bit.

    Args:
        place: The file, for messages.
        noun: What one image is in it, for messages.
    """

    def __init__(self, place: str, noun: str) -> None:
        self.place = place
        self.noun = noun
        self._kinds: set[Kind] = set()

    @property
    def kind(self) -> Kind:
        """What the numbers of all batches stand for."""
        kinds = self._kinds
        if "16-bit" in kinds or "bytes" in kinds:
            return "16-bit" if "16-bit" in kinds else "bytes"
        if "float" in kinds or {"255", "256"} <= kinds:
            return "float"
        return next(iter(kinds - {"binary"}), "binary")

    @property
    def note(self) -> str:
        """What they stand for, as a sentence."""
        return {
            "bytes": "Values are bytes, 0 to 255.",
            "binary": "Values are 0 and 1 only, taken as black and white.",
            "float": "Values are shares 0 to 1 in finer steps than bytes, kept as float32.",
            "16-bit": "Values are 16-bit, kept as float32 in 0 to 1.",
        }.get(self.kind, f"Values are shares 0 to 1 in steps of 1/{self.kind}, kept as bytes.")

    def see(self, values: npt.NDArray[Any], row: int) -> tuple[Kind, npt.NDArray[Any]]:
        """Takes a batch into account; what it stands for alone, and its values as small as that allows.

        Args:
            values: Numbers [n, ...], n at least 1.
            row: The number of the first image, for messages.

        Raises:
            DataError: A value lies outside 0 to 255 (of integers, 0 to 65,535), or bytes and fractions are mixed.
        """
        low, high = float(values.min()), float(values.max())
        most = 65535 if values.dtype.kind in "ui" else 255
        if not (low >= 0 and high <= most):  # or there is one that is no number
            wrong = ~((values >= 0) & (values <= most))
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            ranges = "0 to 255, 0 to 65,535 or 0 to 1" if most > 255 else "0 to 255 or 0 to 1"
            what = f"{self.noun} {row + at[0]:,} holds {values[at]:g}, and pixels are {ranges}"
            raise DataError(Problem(what, "scale the values", file=self.place))
        if high > 255:
            self._kinds.add("16-bit")
            return "16-bit", values
        kind, packed = _packed(values)
        kinds = self._kinds | {kind}
        if kinds & {"255", "256", "float"} and ("bytes" in kinds or high > 1):
            what = f"some values are fractions and some are above 1 (up to {self.noun} {row + len(values) - 1})"
            raise DataError(Problem(what, "give pixels as whole numbers 0 to 255, or all as 0 to 1", file=self.place))
        self._kinds = kinds
        return kind, packed

    def apply(self, values: npt.NDArray[Any], row: int) -> npt.NDArray[Any]:
        """A batch as uint8 (0 to 255) or float32 (0 to 1), once all have been seen.

        Raises:
            DataError: As in ``see``, for a batch that has not been seen.
        """
        if values.dtype == np.uint8 and self.kind == "bytes":
            return values
        kind, packed = self.see(values, row)
        match self.kind:
            case "16-bit":
                return values.astype(np.float32) / np.float32(65535)
            case "float":
                return shares(kind, packed)
            case "bytes":
                return packed
            case _:
                return packed * np.uint8(255) if kind == "binary" else packed


def shares(kind: Kind, packed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """A batch as ``Scale.see`` packed it, as float32 in 0 to 1."""
    levels = {"255": 255, "256": 256}.get(kind, 1)
    values: npt.NDArray[np.float32] = np.divide(packed, np.float32(levels), dtype=np.float32)
    return values


def _packed(values: npt.NDArray[Any]) -> tuple[Kind, npt.NDArray[Any]]:
    whole = values.astype(np.uint8)
    if (whole == values).all():
        return ("bytes" if whole.max() > 1 else "binary"), whole
    for kind, levels in _STEPS:
        scaled = values * np.float32(levels)
        nearest = np.rint(scaled)
        if nearest.max() <= 255 and (np.abs(np.subtract(scaled, nearest, out=scaled), out=scaled) <= _TOLERANCE).all():
            return kind, nearest.astype(np.uint8)
    return "float", values.astype(np.float32)


def in_type(images: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Images in the type of those that networks learned from: bytes become shares, shares the nearest bytes.

    Args:
        images: uint8 (0 to 255) or float32 (0 to 1).
        dtype: ``uint8`` or ``float32``.
    """
    if images.dtype == dtype:
        return images
    return images / np.float32(255) if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)
