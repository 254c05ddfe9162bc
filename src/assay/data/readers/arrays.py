"""Reads data sets from NumPy's files, and checks arrays and datasets that Python code passes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .content import Part, RawSplits
from .labels import texts_to_labels
from .npy import load
from .pixels import images_of

# (images, labels) of training and test, under the names that people give them; the first that is there is taken.
_TRAINING = (
    ("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels"), ("train_x", "train_y"),
    ("train_data", "train_labels"), ("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"),
    ("data", "target"), ("image", "label"), ("arr_0", "arr_1"),
)  # fmt: skip
_TEST = (
    ("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels"), ("test_x", "test_y"),
    ("test_data", "test_labels"),
)  # fmt: skip
# Under which names images are looked for that shall be predicted: those of a test split first.
IMAGES = tuple(dict.fromkeys(images for images, _ in (*_TEST, *_TRAINING[5:], *_TRAINING[:5])))
_VALIDATION = (("x_val", "y_val"), ("X_val", "y_val"), ("val_images", "val_labels"), ("x_valid", "y_valid"))


def read_npz(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """An ``.npz`` file with named arrays, or an ``.npy`` file of images; labels may lie in a file of their own.

    Groups are an array of that name, one for each training image.

    A validation part is read as training images: Assay draws its own validation splits, one for each seed.

    Raises:
        DataError: The file is damaged, holds no arrays under known names, pickled objects, or more than fits memory.
    """
    arrays = load(path)
    place = str(path)
    notes: list[str] = []
    watched = [place]
    if reading.labels is not None:
        labels_path = path.parent / Path(reading.labels).expanduser()
        watched.append(str(labels_path))
        other = load(labels_path)
        if len(arrays) != 1 or len(other) != 1:
            raise DataError(Problem("read.labels is for files of one array each", "leave it out", file=place))
        pair = (*arrays.values(), *other.values())
        return RawSplits(_part(pair[0], pair[1], place, reading, notes), notes=tuple(notes), watched=tuple(watched))
    if reading.image is not None:
        names: tuple[tuple[str, str], ...] = ((reading.image, reading.label or "labels"),)
    else:
        names = _TRAINING
    training_names = _pick(arrays, names)
    if training_names is None:
        what = f"it holds {', '.join(arrays) or 'no array'}"
        fix = 'name the arrays x_train, y_train, or give read = { image = "...", label = "..." }'
        raise DataError(Problem(what, fix, file=place))
    training = _part(arrays.pop(training_names[0]), arrays.pop(training_names[1]), place, reading, notes)
    if groups is not None and groups.column is not None:
        if groups.column not in arrays:
            what = (
                f'there is no array "{groups.column}", beside images and labels it holds {", ".join(arrays) or "none"}'
            )
            raise DataError(
                Problem(what, "name the array that says which images belong together", "data.groups", place)
            )
        training = replace(training, groups=groups_of(arrays.pop(groups.column), len(training.images), place))
    val_names = _pick(arrays, _VALIDATION)
    if val_names is not None:
        validation = _part(
            arrays.pop(val_names[0]),
            arrays.pop(val_names[1]),
            f"{place}, {val_names[0]}",
            reading,
            notes,
        )
        training = joined(training, validation)
        notes.append(f"{val_names[0]} is part of the training split: each seed draws its own validation images.")
    test_names = _pick(arrays, _TEST)
    test = None
    bare = next((images for images, _ in _TEST if images in arrays), None)
    if test_names is None and bare is not None:
        test, more_notes = part_of(arrays[bare], None, f"{place}, {bare}", shape=reading.shape)
        notes += more_notes
    elif test_names is not None:
        test = _part(arrays[test_names[0]], arrays[test_names[1]], f"{place}, {test_names[0]}", reading, notes)
    return RawSplits(training, test, None, tuple(dict.fromkeys(notes)), tuple(watched))


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
    """Two parts as one.

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
    return Part(np.concatenate([first.images, other.images]), labels, first.place, groups)


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


def _pick(arrays: Mapping[str, Any], names: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next(((images, labels) for images, labels in names if images in arrays and labels in arrays), None)


def _part(images: Any, labels: Any, place: str, reading: Reading, notes: list[str]) -> Part:
    part, more = part_of(images, labels, place, shape=reading.shape)
    notes += more
    return part


def _is_one_hot(labels: npt.NDArray[Any]) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())
