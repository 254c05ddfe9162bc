"""Checks arrays of images and labels, from files or from Python code, and joins them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from .content import Part
from .labels import texts_to_labels
from .pixels import images_of
from .room import room


def groups_of(groups: npt.ArrayLike, count: int, place: str) -> npt.NDArray[Any]:
    """Whole numbers or texts [n] that are equal for images that belong together.

    Raises:
        DataError: They are something else, or another number.
    """
    values = np.asarray(groups)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,):
        what = f"there are {count:,} images, and the groups are {' x '.join(map(str, values.shape)) or 'one value'}"
        raise DataError(Problem(what, "give one group for each image", file=place))
    if values.dtype.kind not in "iuSU":
        raise DataError(Problem(f"groups are {values.dtype}", "give whole numbers or texts", file=place))
    return values


def joined(first: Part, other: Part) -> Part:
    """Training images and the source's own validation images as one part.

    Raises:
        DataError: They have other shapes, types or kinds of labels.
    """
    shapes = [part.images.shape[1:] for part in (first, other)]
    if (
        shapes[0] != shapes[1]
        or first.images.dtype != other.images.dtype
        or first.labels is None
        or other.labels is None
    ):
        types = [part.images.dtype for part in (first, other)]
        what = f"its images are {types[1]} {shapes[1]}, and those of {first.place} {types[0]} {shapes[0]}"
        raise DataError(Problem(what, "make them alike", file=other.place))
    groups = None
    if first.groups is not None or other.groups is not None:
        if first.groups is None or other.groups is None:
            lacking = other if other.groups is None else first
            raise DataError(
                Problem("nothing says which of its images belong together", "join them", file=lacking.place)
            )
        groups = np.concatenate([first.groups, other.groups])
    labels = np.concatenate([first.labels, other.labels])
    is_validation = np.arange(len(labels)) >= len(first.labels)
    images = room((len(labels), *shapes[0]), first.images.dtype, first.place)
    images[: len(first.images)], images[len(first.images) :] = first.images, other.images
    names = None if first.names is None or other.names is None else (*first.names, *other.names)
    return Part(images, labels, first.place, groups, is_validation, names)


def part_of(
    images: npt.NDArray[Any], labels: npt.NDArray[Any] | None, place: str, *, shape: tuple[int, ...] | None = None
) -> tuple[Part, tuple[str, ...]]:
    """Arrays of images and labels as one split, with a note on everything that was inferred.

    Args:
        images: As ``pixels.images_of`` takes them.
        labels: Numbers or texts [n] or [n, 1], or one-hot [n, classes].
        place: The file or argument, for messages.
        shape: Of a flat row.

    Raises:
        DataError: Shapes, types or lengths do not go together.
    """
    pixels, notes = images_of(np.asarray(images), place, shape)
    if labels is None:
        return Part(pixels, None, place), notes
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        labels = labels.argmax(1)
        notes = (*notes, "Labels were one-hot.")
    if labels.ndim == 2 and len(labels) == len(pixels) and labels.dtype.kind in "buif" and _are_marks(labels):
        what = f"its labels mark several of {labels.shape[1]} classes for an image, or none (multi-label)"
        raise DataError(Problem(what, NO_MULTI_LABEL, file=place))
    if labels.ndim != 1 or len(labels) != len(pixels):
        shown = " x ".join(map(str, labels.shape)) or "one value"
        what = f"there are {len(pixels):,} images, and the labels are {shown}"
        raise DataError(Problem(what, "give one label for each image", file=place))
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
        at = int(np.flatnonzero(~np.isfinite(labels) | (labels != np.rint(labels)))[0])
        raise DataError(Problem(f"label {at + 1} is {labels[at]}", "give whole numbers or texts", file=place))
    if labels.dtype.kind not in "buifU":
        raise DataError(Problem(f"labels are {labels.dtype}", "give whole numbers or texts", file=place))
    label_values = texts_to_labels(labels) if labels.dtype.kind == "U" else labels.astype(np.int64)
    return Part(pixels, label_values, place), notes


NO_MULTI_LABEL = "give one class for each image; several labels an image (multi-label) are not read"


def _are_marks(labels: npt.NDArray[Any]) -> bool:
    """Whether each column says of each image whether it has a label: 0 or 1, -1 or 1."""
    return bool(((labels == 0) | (labels == 1)).all() or ((labels == -1) | (labels == 1)).all())


def _is_one_hot(labels: npt.NDArray[Any]) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())
