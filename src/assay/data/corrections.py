"""Corrected labels: a table beside the data, which are never changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..disk import disk_errors, read_bounded
from ..errors import DataError, Problem, nearest

COLUMNS = ("image", "label", "corrected")
_MOST_BYTES = 1 << 28
_SHOWN = 3


@dataclass(frozen=True)
class Correction:
    """One training image's label, and what it should be.

    Args:
        image: What its file is called below ``data.path``; or ``#`` and its number, where images are no files.
        label: The class that the data give it; empty where the table does not say.
        corrected: The class that it shows; empty to leave it as it is.
        line: Of the table, from 1.
    """

    image: str
    label: str
    corrected: str
    line: int = 0


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The rows of a table of corrections that correct something.

    A CSV with the columns ``image`` and ``corrected``, and where it likes ``label``; others are for people, as in the
    list that `assay data show --csv` writes.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    if not path.exists():
        fix = "check data.corrections, or write one: assay data show DATA --csv corrections.csv"
        raise DataError(Problem("there is no such file", fix, "data.corrections", str(path)))
    with disk_errors(path, "read"):
        content = read_bounded(path, _MOST_BYTES)
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        what = f"this is no table in UTF-8 ({error})"
        raise DataError(Problem(what, "save it as CSV in UTF-8", "data.corrections", str(path))) from None
    head = [name.strip().lower() for name in rows[0]] if rows else []
    missing = [name for name in ("image", "corrected") if name not in head]
    if missing:
        what = f"its first row has no column {' and no column '.join(missing)}"
        raise DataError(Problem(what, f"begin it with {','.join(COLUMNS)}", "data.corrections", str(path)))
    places = {name: head.index(name) for name in COLUMNS if name in head}
    corrections = []
    for line, row in enumerate(rows[1:], start=2):
        cells = {name: row[at].strip() if at < len(row) else "" for name, at in places.items()}
        if cells["image"] and cells["corrected"]:
            corrections.append(Correction(cells["image"], cells.get("label", ""), cells["corrected"], line))
    return tuple(corrections)


def corrected_labels(
    corrections: Sequence[Correction],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    names: Mapping[str, Sequence[str] | None],
    place: str,
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Training labels with the corrections, and notes on what was done.

    Args:
        corrections: As :func:`read_corrections` reads them.
        labels: Of the training images, int64 [n].
        classes: Names by label.
        names: Of the files of training (``train``) and test images (``test``); ``None`` where they are no files.
        place: The table, for messages.

    Raises:
        DataError: A row names no training image, a class that there is not, or a label that the image has not; or an
            image has two corrections. All such rows are named.
    """
    known = {name: label for label, name in enumerate(classes)}
    files = _places(names.get("train") or ())
    tests = set(names.get("test") or ())
    changed, already = labels.copy(), 0
    seen: dict[int | None, str] = {}
    problems: list[Problem] = []
    for row in corrections:
        index = _index_of(row.image, files, len(labels))
        what, fix = "", ""
        if index is None and row.image in tests:
            what, fix = f"{row.image} is a test image, whose label stays sealed", "remove the row"
        elif index is None:
            example = next(iter(files), f"#0 to #{len(labels) - 1}")
            what, fix = f'"{row.image}" is no training image', f"images are called such as {example}"
        elif index == _SEVERAL:
            what, fix = f"several training images are called {row.image}", "give its number, such as #17"
        elif row.corrected not in known:
            what, fix = f'there is no class "{row.corrected}"', nearest(row.corrected, list(classes))
        elif seen.get(index, row.corrected) != row.corrected:
            what, fix = f"{row.image} is corrected twice, to {seen[index]} and to {row.corrected}", "keep one row"
        elif row.label and row.label not in (classes[labels[index]], row.corrected):
            what = f"{row.image} has the label {classes[labels[index]]} in the data, and the row says {row.label}"
            fix = "the data have changed since: look at the image again, and correct the row"
        else:
            assert index is not None
            seen[index] = row.corrected
            already += known[row.corrected] == labels[index]
            changed[index] = known[row.corrected]
        if what:
            problems.append(Problem(what, fix, "data.corrections", place, row.line))
    if problems:
        more = [Problem(f"{len(problems) - _SHOWN:,} more rows are like these", "", "data.corrections", place)]
        raise DataError([*problems[:_SHOWN], *(more if len(problems) > _SHOWN else ())])
    number = len(seen) - already
    notes = [f"{number:,} {'label is' if number == 1 else 'labels are'} corrected by {Path(place).name}."]
    if already:
        notes.append(f"{already:,} of its rows name the label that the data have already.")
    return changed, tuple(notes)


_SEVERAL = -1


def _places(names: Sequence[str]) -> dict[str, int]:
    """Where each file stands; ``_SEVERAL`` for a name that files share."""
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        places[name] = _SEVERAL if name in places else index
    return places


def _index_of(image: str, files: Mapping[str, int], count: int) -> int | None:
    """A training image's place; ``None`` where there is none of that name."""
    slashed = image.replace("\\", "/")
    for name in (image, slashed):
        if name in files:
            return files[name]
    number = image.removeprefix("#").replace(",", "")
    is_number = number.isdigit() and len(number) < 12 and (image.startswith("#") or not files)
    return int(number) if is_number and int(number) < count else None


def image_name(index: int, names: Sequence[str] | None) -> str:
    """What a training image is called in a table of corrections."""
    return f"#{index}" if names is None else names[index]
