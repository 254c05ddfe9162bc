"""Reads data sets from NumPy's files, and checks arrays and datasets that Python code passes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .content import Part, RawSplits, validation_note
from .labels import shown, texts_to_labels
from .npy import load
from .pixels import images_of

# (images, labels) under the names that people give them; the first that is there is taken.
_PAIRS = (
    ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("X_{}", "Y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_y"),
    ("{}_X", "{}_y"), ("{}_data", "{}_labels"), ("images_{}", "labels_{}"),
)  # fmt: skip
_BARE = (
    ("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"), ("data", "target"), ("image", "label"),
    ("arr_0", "arr_1"),
)  # fmt: skip


def _pairs(*sides: str) -> tuple[tuple[str, str], ...]:
    return tuple((images.format(side), labels.format(side)) for side in sides for images, labels in _PAIRS)


_TRAINING = (*_pairs("train", "training"), *_BARE)
_TEST = _pairs("test", "testing")
# Under which names images are looked for that shall be predicted: those of a test split first.
IMAGES = tuple(dict.fromkeys(images for images, _ in (*_TEST, *_BARE, *_TRAINING)))
_VALIDATION = _pairs("val", "valid", "validation", "dev")


def read_npz(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """An ``.npz`` file with named arrays, a folder of ``.npy`` files, or one such file and one of labels.

    Groups are an array of that name, one for each training image.

    A validation part is read as training images: Assay draws its own validation splits, one for each seed.

    Raises:
        DataError: The file is damaged, holds no arrays under known names, pickled objects, or more than fits memory.
    """
    place = str(path)
    arrays = {name: array for file in _files(path) for name, array in load(file).items()}
    notes: list[str] = []
    watched = [place]
    if reading.labels is not None:
        labels_path = path.parent / Path(reading.labels).expanduser()
        watched.append(str(labels_path))
        other = load(labels_path)
        if len(arrays) != 1 or len(other) != 1 or reading.image is not None or reading.label is not None:
            what, fix = "read.labels is for files of one array each, which need no names", "leave it out, or the names"
            raise DataError(Problem(what, fix, file=place))
        pair = (*arrays.values(), *other.values())
        return RawSplits(_part(pair[0], pair[1], place, reading, notes), notes=tuple(notes), watched=tuple(watched))
    names = _TRAINING
    if reading.image is not None:
        names = ((reading.image, reading.label or "labels"),)
    elif reading.label is not None:
        names = tuple((images, reading.label) for images, _ in _TRAINING)
    training_names = _pick(arrays, names)
    if training_names is None:
        what = f"it holds {', '.join(arrays) or 'no array'}"
        if path.suffix.lower() == ".npy":
            raise DataError(Problem("it is one array without labels", _labels_fix(path), file=place))
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
        notes.append(validation_note(f"The images of {val_names[0]}"))
    test_names = _pick(arrays, _TEST)
    test = None
    bare = next((images for images, _ in _TEST if images in arrays), None)
    if test_names is None and bare is not None:
        test, more_notes = part_of(arrays.pop(bare), None, f"{place}, {bare}", shape=reading.shape)
        notes += more_notes
    elif test_names is not None:
        test = _part(arrays.pop(test_names[0]), arrays.pop(test_names[1]), f"{place}, {test_names[0]}", reading, notes)
    if arrays:
        sizes = [f"{name} ({' x '.join(map(str, array.shape)) or 'one value'})" for name, array in arrays.items()]
        notes.append(f"Arrays that are left out: {shown(sizes)}.")
    return RawSplits(training, test, None, tuple(dict.fromkeys(notes)), tuple(watched))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    with disk_errors(path, "read"):
        return sorted(file for file in path.iterdir() if file.suffix.lower() == ".npy")


def _labels_fix(images: Path) -> str:
    """How to name the file of labels of a file of images: one that is there, if its name says so."""
    with disk_errors(images.parent, "read"):
        others = sorted(file.name for file in images.parent.glob("*.npy") if file.name != images.name)
    wanted = {
        images.name.replace(old, new, 1)
        for old, new in (
            ("images", "labels"),
            ("image", "label"),
            ("x", "y"),
            ("X", "y"),
            ("X", "Y"),
            ("data", "labels"),
        )
    }
    likely = [name for name in others if name in wanted] or [name for name in others if "label" in name.lower()]
    return f'give read = {{ labels = "{likely[0] if len(likely) == 1 else "..."}" }}'


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
    return Part(np.concatenate([first.images, other.images]), labels, first.place, groups, is_validation)


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
