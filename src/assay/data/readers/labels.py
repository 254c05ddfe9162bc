"""Numbers the labels of files from 0, and names the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from .content import Part

_SHOWN = 8
MAX_CLASSES = 65_536


def texts_to_labels(texts: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """int64 where every text is a whole number (``5``, ``5.0``), the stripped texts where one is not."""
    stripped = np.asarray([str(text).strip() for text in texts])
    try:
        values = stripped.astype(np.float64)
    except ValueError:
        return stripped
    is_whole = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 2**53)
    return values.astype(np.int64) if is_whole.all() else stripped


def number_labels(
    parts: Sequence[Part], *, source_classes: tuple[str, ...] | None, spec_classes: tuple[str, ...] | int | None
) -> tuple[list[npt.NDArray[np.int64] | None], tuple[str, ...], tuple[str, ...]]:
    """Labels of all splits as indices into class names, the names, and notes.

    Whole numbers that are exactly 0 to K - 1 stay as they are. Others, and texts, are numbered in sorted order, and a
    note gives the numbering. With ``spec_classes`` or ``source_classes``, a label outside them is refused.

    Args:
        parts: The training split first.
        source_classes: Class names that the source gives.
        spec_classes: Class names, or their number, that the spec asks for.

    Raises:
        DataError: The training split has no labels, fewer than two classes or labels out of range, or the test split
            has a class that the training split lacks.
    """
    training = parts[0]
    if training.labels is None:
        fix = 'name their column with read = { label = ... }, or their file with read = { labels = "..." }'
        raise DataError(Problem("the training images have no labels", fix, file=training.place))
    names = _names(spec_classes, source_classes)
    labels_of = [part.labels for part in parts]
    if any(labels is not None and labels.dtype.kind != "i" for labels in labels_of):
        labels_of = [None if labels is None else labels.astype(str) for labels in labels_of]
    present: npt.NDArray[Any] = np.unique(training.labels.astype(labels_of[0].dtype))  # type: ignore[union-attr]
    if present.dtype.kind == "U" and "" in present:
        at = int(np.flatnonzero(training.labels == "")[0])
        raise DataError(Problem(f"image {at + 1} has no label", "give every image one", file=training.place))
    values: npt.NDArray[Any] = present
    if names is not None:
        values = np.arange(len(names)) if present.dtype.kind == "i" else np.asarray(names)
    if len(values) > MAX_CLASSES:
        what = f"there are {len(values):,} different labels among {len(training.labels):,} images"
        raise DataError(
            Problem(what, "name the column that holds classes: read = { label = ... }", file=training.place)
        )
    if len(present) < 2:
        what = f"every image has the same label, {present[0]}" if len(present) else "there are no images"
        raise DataError(Problem(what, "give images of at least 2 classes", file=training.place))
    order = np.argsort(values, kind="stable")
    numbered: list[npt.NDArray[np.int64] | None] = []
    problems = []
    for part, labels in zip(parts, labels_of, strict=True):
        if labels is None:
            numbered.append(None)
            continue
        place = np.searchsorted(values, labels, sorter=order)
        indices = order[np.minimum(place, len(values) - 1)]
        is_wrong = values[indices] != labels
        if is_wrong.any():
            problems.append(_stray(part, labels, is_wrong, names is not None, values))
        numbered.append(indices.astype(np.int64))
    if problems:
        raise DataError(problems)
    classes = names if names is not None else tuple(str(value) for value in values)
    return numbered, classes, _notes(parts, numbered, values, classes)


def _names(
    spec_classes: tuple[str, ...] | int | None, source_classes: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if isinstance(spec_classes, int):
        return tuple(map(str, range(spec_classes)))
    return source_classes if spec_classes is None else spec_classes


def _stray(
    part: Part, labels: npt.NDArray[Any], is_wrong: npt.NDArray[np.bool_], are_named: bool, values: npt.NDArray[Any]
) -> Problem:
    first = int(np.flatnonzero(is_wrong)[0])
    count = int(is_wrong.sum())
    more = f" and {count - 1:,} more" if count > 1 else ""
    what = f"image {first + 1}{more} has the label {labels[first]}"
    if are_named:
        span = f"0 to {len(values) - 1}" if values.dtype.kind == "i" else shown(values)
        return Problem(f"{what}, and the classes are {span}", "correct the label or read.classes", file=part.place)
    return Problem(f"{what}, which no training image has", "remove it, or add training images of it", file=part.place)


def _notes(
    parts: Sequence[Part],
    numbered: Sequence[npt.NDArray[np.int64] | None],
    values: npt.NDArray[Any],
    classes: tuple[str, ...],
) -> tuple[str, ...]:
    notes = []
    if values.dtype.kind != "i" or not np.array_equal(values, np.arange(len(values))):
        mapped = [f"{value} = {index}" for index, value in enumerate(values[:_SHOWN])]
        rest = f", ... ({len(values):,} classes)" if len(values) > _SHOWN else ""
        notes.append(f"Labels are numbered in this order: {', '.join(mapped)}{rest}.")
    for part, labels, split in zip(parts, numbered, ("training", "test"), strict=False):
        if labels is None:
            continue
        missing = [classes[index] for index in np.setdiff1d(np.arange(len(classes)), labels)]
        if missing:
            notes.append(f"No {split} image has the class {shown(missing)} ({part.place}).")
    return tuple(notes)


def shown(names: Sequence[Any] | npt.NDArray[Any]) -> str:
    """Names as a list that stays short."""
    rest = f", ... ({len(names):,} in all)" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + rest
