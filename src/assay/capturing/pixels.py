"""Captured images and labels brought to the forms that a study's data have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from .feed import as_array
from .known import Bytes, as_bytes


def class_numbers(labels: Any, place: str) -> NDArray[np.int64]:
    """Labels as whole numbers [n]: one-hot rows by their place.

    Raises:
        DataError: They are numbers of another kind, several for an image, or texts.
    """
    if labels is None:
        raise DataError(Problem("fit gets images without labels", "classes are learned from labels here", place))
    values = as_array(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        is_one_hot = ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all()
        if not is_one_hot:
            raise DataError(Problem("its labels are several numbers for an image", "give one class for each", place))
        return np.asarray(values.argmax(1), np.int64)
    if values.ndim != 1:
        shown = " x ".join(map(str, values.shape))
        raise DataError(Problem(f"its labels are {shown}", "give one class for each image", place))
    if values.dtype.kind in "US":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    if values.dtype.kind not in "biuf" or not np.isfinite(values.astype(float)).all():
        raise DataError(Problem(f"its labels are {values.dtype}", "give classes as whole numbers", place))
    if (values != np.rint(values)).any() or len(np.unique(values)) > max(1000, len(values) // 2):
        raise DataError(Problem("its labels are numbers on a scale, not classes", "give whole numbers", place))
    return values.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images as a study stores them.

    Args:
        images: uint8 [n, height, width, channels], or float32 in 0 to 1.
        stored: The same as bytes, with what they were scaled to; ``None`` where they are finer than bytes.
        scaling: As ``Bytes.scaling``; ``other`` where that is not known.
        notes: A sentence each.
    """

    images: NDArray[Any]
    stored: Bytes | None
    scaling: str
    notes: tuple[str, ...] = ()


def shape_of(images: NDArray[Any], hint: Sequence[int | None] | None, place: str) -> tuple[int, int, int]:
    """Height, width and channels of one image.

    Args:
        images: [n, ...].
        hint: The shape that the model makes of a vector, where it does.
        place: For messages.

    Raises:
        DataError: They are no images.
    """
    own: tuple[int, ...] = tuple(images.shape[1:])
    if len(own) == 1 and hint is not None and len(hint) in (2, 3):
        own = tuple(int(side or 1) for side in hint)
    if len(own) == 2:
        return own[0], own[1], 1
    if len(own) == 3 and own[2] in (1, 3):
        return own[0], own[1], own[2]
    if len(own) == 3 and own[0] in (1, 3):
        return own[1], own[2], own[0]
    if len(own) == 1:
        for channels in (1, 3):
            side = math.isqrt(own[0] // channels)
            if side >= 4 and channels * side * side == own[0]:
                return side, side, channels
    shown = " x ".join(map(str, own)) or "one number"
    fix = "images are height x width, with 1 or 3 channels"
    raise DataError(Problem(f"its inputs are {shown}, which are no images", fix, place))


def pixels_of(images: NDArray[Any], shape: tuple[int, int, int], place: str) -> Pixels:
    """Images as bytes, or as floats in 0 to 1 where bytes would lose what they hold."""
    if images.ndim == 4 and images.shape[1] == shape[2] and images.shape[3] != shape[2]:
        images = images.transpose(0, 2, 3, 1)
    stored = as_bytes(images)
    if stored is not None:
        return Pixels(stored.images.reshape(-1, *shape), stored, stored.scaling)
    values = np.asarray(images, np.float32).reshape(-1, *shape)
    if not np.isfinite(values).all():
        raise DataError(Problem("its images hold values that are no numbers", "clean them first", place))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return Pixels(values, None, "unit")
    note = f"{place}: images from {low:.4g} to {high:.4g} are kept as 0 to 1."
    return Pixels((values - low) / max(high - low, 1e-12), None, "other", (note,))
