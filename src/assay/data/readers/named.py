"""Splits from arrays under names, whatever file holds them: NumPy's, HDF5 or MATLAB's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import groups_of, joined, part_of
from .content import Part, RawSplits, validation_note
from .labels import shown

# (images, labels) under the names that people give them; the first that is there is taken.
_PAIRS = (
    ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("X_{}", "Y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_y"),
    ("{}_X", "{}_y"), ("{}_data", "{}_labels"), ("images_{}", "labels_{}"), ("{}_data", "{}_target"),
    ("{}_set_x", "{}_set_y"), ("{}_data", "{}_label"), ("{}_image", "{}_label"), ("{}_imgs", "{}_labels"),
)  # fmt: skip
_BARE = (
    ("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"), ("data", "target"), ("image", "label"),
    ("arr_0", "arr_1"), ("data", "label"), ("images", "ans"), ("fea", "gnd"), ("imgs", "labels"), ("x", "t"),
    ("features", "labels"), ("features", "targets"), ("images", "targets"), ("images", "target"),
)  # fmt: skip


def _pairs(*sides: str) -> tuple[tuple[str, str], ...]:
    return tuple((images.format(side), labels.format(side)) for side in sides for images, labels in _PAIRS)


_TRAINING = (*_pairs("train", "training"), *_BARE)
_TEST = _pairs("test", "testing")
# Under which names images are looked for that shall be predicted: those of a test split first.
IMAGES = tuple(dict.fromkeys(images for images, _ in (*_TEST, *_BARE, *_TRAINING)))
_VALIDATION = _pairs("val", "valid", "validation", "dev")
# The name of a file of labels from that of its images: what is replaced, and by what.
_PARTNERS = (
    ("images", "labels"), ("image", "label"), ("imgs", "labels"), ("img", "label"), ("x", "y"), ("X", "y"),
    ("X", "Y"), ("data", "labels"), ("data", "target"), ("data", "label"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Named:
    """Arrays that are read when they are asked for.

    Args:
        path: Their file, for messages.
        shapes: The shape of each by its name.
        load: Reads one.
        remedy: What to do where no images with labels are among them.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    load: Callable[[str], npt.NDArray[Any]]
    remedy: str = 'name the arrays x_train, y_train, or give read = { image = "...", label = "..." }'


def labels_beside(images: Path) -> Path | None:
    """The file of labels beside a file of images: of the same name but for y instead of x, or labels for images."""
    names = []
    for old, new in _PARTNERS:
        # A word of its own: "x" in "train_x", not in "extra".
        words = list(re.finditer(rf"(?<![A-Za-z]){old}(?![A-Za-z])", images.stem))
        names += [images.stem[: word.start()] + new + images.stem[word.end() :] for word in words[-1:]]
        if f"{old}s" != "s" and images.stem.startswith(old) and len(old) > 1:
            names.append(new + images.stem[len(old) :])
    with disk_errors(images.parent, "read"):
        for name in dict.fromkeys(names):
            beside = images.with_name(name + images.suffix)
            if beside != images and beside.is_file():
                return beside
    return None


def paired_splits(images: Named, labels: Named, reading: Reading, *, is_asked: bool) -> RawSplits:
    """The splits of a file with one array of images and a file with one of labels.

    Args:
        images, labels: The two files.
        reading: How they are read.
        is_asked: The study names the file of labels itself.

    Raises:
        DataError: A file holds several arrays, or they do not go together.
    """
    place, notes = str(images.path), [] if is_asked else [f"Labels are taken from {labels.path.name}."]
    if len(images.shapes) != 1 or len(labels.shapes) != 1 or reading.image is not None or reading.label is not None:
        what, fix = "read.labels is for files of one array each, which need no names", "leave it out, or the names"
        raise DataError(Problem(what, fix, file=place))
    pair = [store.load(next(iter(store.shapes))) for store in (images, labels)]
    part = _part(pair[0], pair[1], place, reading, notes)
    return RawSplits(part, notes=tuple(notes), watched=(place, str(labels.path)))


def named_splits(named: Named, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """The splits that arrays hold under the usual names, or under those that ``reading`` gives.

    Groups are an array of that name, one for each training image. A validation part is read as training images:
    Assay draws its own validation splits, one for each seed, unless a study asks for the given one.

    Raises:
        DataError: There are no arrays under known names, or they do not go together.
    """
    place, rest, notes = str(named.path), dict(named.shapes), list[str]()

    def take(names: tuple[str, str]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        for name in names:
            rest.pop(name)
        return named.load(names[0]), named.load(names[1])

    names: Sequence[tuple[str, str]] = _TRAINING
    if reading.image is not None:
        names = ((reading.image, reading.label or "labels"),)
    elif reading.label is not None:
        names = tuple((images, reading.label) for images, _ in _TRAINING)
    training_names = _pick(rest, names)
    if training_names is None and reading.image is None and not any(_pick(rest, pairs) for pairs in (names, _BARE)):
        training_names = _pick(rest, (*_VALIDATION, *_TEST))  # a file of a split of its own
        if training_names is not None:
            notes.append(f"The images are those of {training_names[0]}, the only ones in {named.path.name}.")
    if training_names is None and (by_class := _by_class(named, reading)) is not None:
        return by_class
    if training_names is None:
        sizes = [f"{name} ({_size(shape)})" for name, shape in rest.items()]
        likely = _likely_pair(rest)
        images, label = likely or ("...", "...")
        fix = named.remedy.replace('image = "...", label = "..."', f'image = "{images}", label = "{label}"')
        remedy = {} if likely is None else {"read": {"image": images, "label": label}}
        raise DataError(Problem(f"it holds {shown(sizes) or 'no array'}", fix, file=place, remedy=remedy))
    training = _part(*take(training_names), place, reading, notes)
    if groups is not None and groups.column is not None:
        if groups.column not in rest:
            what = f'there is no array "{groups.column}", beside images and labels it holds {", ".join(rest) or "none"}'
            fix = "name the array that says which images belong together"
            raise DataError(Problem(what, fix, "data.groups", place))
        rest.pop(groups.column)
        training = replace(training, groups=groups_of(named.load(groups.column), len(training.images), place))
    val_names = _pick(rest, _VALIDATION)
    if val_names is not None:
        validation = _part(*take(val_names), f"{place}, {val_names[0]}", reading, notes)
        training = joined(training, validation)
        notes.append(validation_note(f"The images of {val_names[0]}"))
    test = None
    test_names = _pick(rest, _TEST)
    bare = next((images for images, _ in _TEST if images in rest), None)
    if test_names is not None:
        test = _part(*take(test_names), f"{place}, {test_names[0]}", reading, notes)
    elif bare is not None:
        rest.pop(bare)
        test, more_notes = part_of(named.load(bare), None, f"{place}, {bare}", shape=reading.shape)
        notes += more_notes
    if rest:
        sizes = [f"{name} ({_size(shape)})" for name, shape in rest.items()]
        notes.append(f"Arrays that are left out: {shown(sizes)}.")
    return RawSplits(training, test, None, tuple(dict.fromkeys(notes)), (place,))


def _likely_pair(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str] | None:
    """The names of the one array that can be images, and of the one that can be their labels."""
    images = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
    if len(images) != 1:
        return None
    count = shapes[images[0]][0]
    labels = [name for name, shape in shapes.items() if shape in ((count,), (count, 1), (1, count))]
    named = [name for name in labels if any(word in name.lower() for word in ("label", "class", "target", "y"))]
    if len(labels) != 1 and len(named) == 1:
        labels = named
    return (images[0], labels[0]) if len(labels) == 1 else None


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one value"


def _pick(arrays: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The first pair that is there; capitals count only where names differ in them alone."""
    small = {name.lower(): name for name in arrays}
    small = small if len(small) == len(arrays) else {}
    for images, labels in names:
        if images in arrays and labels in arrays:
            return images, labels
        if images.lower() in small and labels.lower() in small:
            return small[images.lower()], small[labels.lower()]
    return None


def _by_class(named: Named, reading: Reading) -> RawSplits | None:
    """The splits of arrays that hold a class each, such as ``train0`` to ``train9`` and ``test0`` to ``test9``."""
    sides: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    for name in named.shapes:
        if match := re.fullmatch(r"(train|test)_?(\d{1,3})", name):
            sides[match[1]][match[2]] = name
    if len(sides["train"]) < 2 or (sides["test"] and sides["test"].keys() != sides["train"].keys()):
        return None
    parts, notes = [], [f"The arrays {shown(list(sides['train'].values()))} hold a class each."]
    for names in sides.values():
        if names:
            arrays = [named.load(name) for name in names.values()]
            if len({array.shape[1:] for array in arrays}) > 1 or len({array.dtype for array in arrays}) > 1:
                return None
            labels = np.repeat([int(number) for number in names], [len(array) for array in arrays])
            parts.append(_part(np.concatenate(arrays), labels, str(named.path), reading, notes))
    return RawSplits(parts[0], parts[1] if parts[1:] else None, None, tuple(dict.fromkeys(notes)), (str(named.path),))


def _part(images: Any, labels: Any, place: str, reading: Reading, notes: list[str]) -> Part:
    images, labels = np.asarray(images), np.asarray(labels)
    count = max(labels.shape, default=0)
    if images.ndim > 1 and len(images) != count and images.shape[-1] == count:
        images = np.moveaxis(images, -1, 0)
        notes.append(f"The images stood along the last axis, of {count:,}.")
    if labels.ndim > 1 and labels.size == count:  # such as [n, 1, 1, 1] or [1, n]
        labels = labels.reshape(-1)
    part, more = part_of(images, labels, place, shape=reading.shape)
    notes += more
    return part
