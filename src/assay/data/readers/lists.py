"""Reads and writes tables of image files: a name and a label a row, relative to the table."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem, nearest
from ...spec import Groups, Reading
from . import json_lists
from .arrays import NO_MULTI_LABEL
from .content import Part, RawSplits, validation_note
from .delimited import first_rows
from .folders import name_groups
from .json_lists import json_table
from .labels import shown, texts_to_labels
from .located import located
from .pictures import SUFFIXES, decode
from .sides import listed, rows_of_splits
from .trees import read_file

_IMAGE_COLUMNS = (
    "file", "filename", "file_name", "path", "image", "img", "filepath", "image_path", "id", "image_id", "image_name",
    "img_name", "img_id", "id_code", "file_id", "filenames", "fname",
)  # fmt: skip
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target", "category", "y", "choice")
_MOST_COLUMNS = 32  # a wider table holds pixels, unless a cell ends as image files do
_UNREADABLE = [[".png"]]  # taken for a list, so that reading says what is wrong
_SPLIT_COLUMNS = ("split", "set", "subset", "partition", "usage")


def looks_like_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first rows name image files."""
    return any(cell.lower().endswith(SUFFIXES) for row in rows[:2] for cell in row)


def is_list(path: Path, reading: Reading) -> bool:
    """Whether a table names image files, with or without their endings."""
    rows = _json_start(path) if is_json_name(path.name) else first_rows(path)
    if looks_like_list(rows):
        return True
    if len(rows) < 2 or len(rows[0]) > _MOST_COLUMNS:
        return False
    header = [cell.strip() for cell in rows[0]]
    if reading.image is not None:
        return reading.image in header
    small = [name.lower() for name in header]
    column = next((small.index(name) for name in _IMAGE_COLUMNS if name in small), 0)
    if column >= len(rows[1]) or not rows[1][column]:
        return False
    try:
        (file,), _ = located(path, [rows[1][column]])
    except DataError:  # there are several such files
        return True
    return file.is_file()


def is_json_name(name: str) -> bool:
    """Whether a file is called as JSON and JSON Lines are."""
    return name.lower().endswith(json_lists.ENDINGS)


def lists_images(path: Path) -> bool:
    """Whether a table names image files that are there, with or without their endings."""
    try:
        return is_list(path, Reading())
    except DataError:
        return False


def is_image_list(path: Path) -> bool:
    """Whether a JSON file lists image files, with or without their endings."""
    try:
        return is_list(path, Reading()) and _json_start(path) != _UNREADABLE
    except DataError:
        return False


def _json_start(path: Path) -> list[list[str]]:
    """The names and the first row of a JSON list; what is wrong with it is said when it is read."""
    try:
        return json_table(path, None)[0][:2]
    except DataError:
        return _UNREADABLE


def read_list(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A table of image files, relative to it, and their labels; a column called split says which are test images.

    Raises:
        DataError: The table has no such columns, a file is missing or no image, or sizes are mixed.
    """
    place = str(path)
    rows, header, files = listed_files(path, reading)
    group_column = None
    if groups is not None and groups.column is not None:
        if groups.column not in header:
            what = f'there is no column "{groups.column}"'
            raise DataError(Problem(what, nearest(groups.column, header), "data.groups", place))
        group_column = header.index(groups.column)
    notes = [*json_table(path, reading.label)[1]] if is_json_name(path.name) else []
    labelled, labels, split = label_column(rows, header, (files, group_column), reading, place, notes)
    sides, is_validation = rows_by_split(labelled, header, split, place, notes)
    parts = {}
    watched = [place]
    for side, chosen in sides.items():
        names = [rows[k][files].strip() for k in chosen]
        paths, where = located(path, names)
        watched += map(str, paths)
        notes += where
        images, kept, more = decode(lambda paths=paths: contents_of(paths), names, reading, place)  # type: ignore[misc]
        notes += more
        numbers = texts_to_labels(texts_of(labelled, labels, chosen[kept], header, place))
        row_groups = None
        if group_column is not None:
            row_groups = np.asarray([rows[chosen[k]][group_column].strip() for k in kept])
            if "" in row_groups:
                row = chosen[int(kept[row_groups.tolist().index("")])] + 1 + bool(header)
                raise DataError(Problem(f"row {row} has no {header[group_column]}", "give every image one", file=place))
        elif groups is not None:
            row_groups = name_groups([tuple(names[k].replace("\\", "/").split("/")) for k in kept], groups, place)
        given = is_validation[chosen[kept]] if side == "train" and is_validation.any() else None
        parts[side] = Part(images, numbers, place, row_groups, given, tuple(names[k] for k in kept))
    return RawSplits(parts["train"], parts.get("test"), None, tuple(dict.fromkeys(notes)), tuple(watched))


def label_column(
    rows: Sequence[Sequence[str]],
    header: Sequence[str],
    taken: Sequence[int | None],
    reading: Reading,
    place: str,
    notes: list[str],
) -> tuple[Sequence[Sequence[str]], int, int | None]:
    """A table's rows, its label's column and that of its split; of one-hot columns the class stands in a new last one.

    Args:
        taken: Columns that hold something else.

    Raises:
        DataError: Several columns may be the label, or none, or a row has several.
    """
    width = len(rows[0])
    split = _column(header, None, _SPLIT_COLUMNS, place)
    ends = {"first": 0, "last": width - 1}
    label = ends.get(reading.label or "", _column(header, reading.label, _LABEL_COLUMNS, place))
    if label is not None:
        return rows, label, split
    others = [k for k in range(width) if k not in (*taken, split)]
    if len(others) > 1 and header and (classes := _one_hot(rows, header, others, place)):
        notes.append(f"The columns {shown([header[k] for k in others])} are one-hot: each is a class.")
        return [[*row, name] for row, name in zip(rows, classes, strict=True)], width, split
    if len(others) > 1 and header and _are_marks(rows, others):
        what = f"the columns {shown([header[k] for k in others])} mark several labels for an image (multi-label)"
        raise DataError(Problem(what, f'{NO_MULTI_LABEL}, unless read = {{ label = "..." }} names one', file=place))
    if len(others) != 1:
        what = f"{len(others)} columns may be the label"
        known = f", one of {shown([header[k] for k in others])}" if header and others else ""
        likely = _likely_label(rows, header, others)
        remedy = {} if likely is None else {"read": {"label": likely}}
        fix = f'name it: read = {{ label = "{likely or "..."}" }}{known}'
        raise DataError(Problem(what, fix, file=place, remedy=remedy))
    return rows, others[0], split


def _likely_label(rows: Sequence[Sequence[str]], header: Sequence[str], columns: Sequence[int]) -> str | None:
    """The name of the one column that tells classes apart best: few values, each of several rows."""
    counts = {k: len({row[k].strip() for row in rows}) for k in columns} if header else {}
    likely = sorted((count, k) for k, count in counts.items() if 2 <= count <= len(rows) // 2)
    return header[likely[0][1]] if likely and likely[1:2] != [likely[0]] else None


def rows_by_split(
    rows: Sequence[Sequence[str]], header: Sequence[str], split: int | None, place: str, notes: list[str]
) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.bool_]]:
    """Which rows are ``train`` (validation images among them) and ``test``, and which are validation images.

    Raises:
        DataError: The column ``split`` holds something else, or no training images.
    """
    is_validation = np.zeros(len(rows), dtype=bool)
    if split is None:
        return {"train": np.arange(len(rows))}, is_validation
    words = [row[split].strip() for row in rows]
    found = rows_of_splits(words)
    if isinstance(found, int):
        what = f'row {found + 1 + bool(header)} has the split "{words[found]}"'
        raise DataError(Problem(what, "give train, validation or test", file=place))
    if "train" not in found:
        raise DataError(Problem(f"no row has the split train, but {listed([*found])}", "add some", file=place))
    is_validation[found.pop("val", [])] = True
    if is_validation.any():
        notes.append(validation_note(f"Rows with the split {words[int(is_validation.argmax())]}"))
    training = np.flatnonzero(is_validation | np.isin(np.arange(len(rows)), found["train"]))
    return {**found, "train": training}, is_validation


def texts_of(
    rows: Sequence[Sequence[str]], column: int, chosen: npt.NDArray[np.int64], header: Sequence[str], place: str
) -> list[str]:
    """The labels of some rows as they stand.

    Raises:
        DataError: One is empty.
    """
    texts = [rows[k][column].strip() for k in chosen]
    if "" in texts:
        row = int(chosen[texts.index("")]) + 1 + bool(header)
        raise DataError(Problem(f"row {row} has no label", "give every image one", file=place))
    _refuse_several(texts, chosen, bool(header), place)
    return texts


def _are_marks(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Whether all columns hold -1 and 1 alone, as attributes of faces do."""
    return all(row[k].strip() in ("-1", "1") for row in rows for k in columns)


def _refuse_several(texts: Sequence[str], rows: npt.NDArray[np.int64], has_header: bool, place: str) -> None:
    """Refuses cells of several labels, such as ``Edema|Mass``, where the single ones are labels of other images."""
    for mark in ("|", ";", ",", " "):
        several = [index for index, text in enumerate(texts) if mark in text]
        if not several:
            continue
        single = {text for text in texts if mark not in text}
        parts = [part.strip(" []'\"") for text in {texts[index] for index in several} for part in text.split(mark)]
        known = {part.strip(" []'\"") for part in single}
        if mark in "|;":  # no names of classes are parted by these
            known |= {part for part, count in Counter(parts).items() if count > 1}
        is_several = all(part in known for part in parts)
        if is_several or (mark == "|" and any(part in single for part in parts)):
            row = int(rows[several[0]]) + 1 + has_header
            what = f'row {row} has the labels "{texts[several[0]][:60]}" (multi-label)'
            raise DataError(Problem(what, NO_MULTI_LABEL, file=place))


def _one_hot(
    rows: Sequence[Sequence[str]], header: Sequence[str], columns: Sequence[int], place: str
) -> list[str] | None:
    """The class of each row, where columns of zeros and ones stand for classes; ``None`` where they do not.

    Raises:
        DataError: A row has several ones, or none.
    """
    known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
    marks = [[known.get(row[k].strip()) for k in columns] for row in rows]
    if any(None in mark for mark in marks):
        return None
    for index, mark in enumerate(marks):
        if mark.count(1) != 1:
            what = f"row {index + 2} is marked in {mark.count(1)} of the columns {shown([header[k] for k in columns])}"
            raise DataError(Problem(what, NO_MULTI_LABEL, file=place))
    return [header[columns[mark.index(1)]] for mark in marks]


def listed_files(path: Path, reading: Reading) -> tuple[list[list[str]], list[str], int]:
    """The rows of a table of image files, the names of its columns (none without a header), and the files' column.

    Raises:
        DataError: The table has no such column, no rows, or ragged ones.
    """
    place = str(path)
    rows = json_table(path, reading.label)[0] if is_json_name(path.name) else table_rows(path)
    width = len(rows[0])
    ragged = next((index for index, row in enumerate(rows) if len(row) != width), None)
    if ragged is not None:
        what = f"row {ragged + 1} has {len(rows[ragged])} cells, and the others have {width}"
        raise DataError(Problem(what, "correct the row", file=place))
    has_header = reading.header
    if has_header is None:
        has_header = not any(cell.lower().endswith(SUFFIXES) for cell in rows[0])
    header = [cell.strip() for cell in rows[0]] if has_header else []
    rows = rows[1:] if has_header else rows
    if not rows:
        raise DataError(Problem("it has a header and no rows", "give a file and a label a row", file=place))
    files = _column(header, reading.image, _IMAGE_COLUMNS, place)
    if files is None:
        files = next((k for k in range(width) if rows[0][k].lower().endswith(SUFFIXES)), 0)
    return rows, header, files


def table_rows(path: Path) -> list[list[str]]:
    """The cells of a table of text, gzipped or not; empty lines are left out.

    Raises:
        DataError: It is no such table, or damaged.
    """
    try:
        with disk_errors(path, "read"), regular_file(path) as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            packed = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            with io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
                start = file.readline(1 << 16)
                mark = next((mark for mark in ("\t", ";") if mark in start), ",")
                file.seek(0)
                return [row for row in csv.reader(file, delimiter=mark) if row]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = f"its gzip stream is damaged ({error})"
        raise DataError(Problem(what, "replace it with an intact copy", file=str(path))) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(Problem(f"it is no table of text ({error})", "give CSV in UTF-8", file=str(path))) from None


def _column(header: Sequence[str], wanted: str | None, known: Sequence[str], place: str) -> int | None:
    if wanted is not None and wanted not in ("first", "last"):
        if wanted not in header:
            raise DataError(Problem(f'there is no column "{wanted}"', "give a name in the header", file=place))
        return header.index(wanted)
    small = [name.lower() for name in header]
    return next((small.index(name) for name in known if name in small), None)


def contents_of(paths: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    """The contents of these files, each with its place.

    Raises:
        DataError: A file is not there or may not be read.
    """
    for index, path in enumerate(paths):
        if not os.path.isfile(path):
            raise DataError(Problem("the table names this file, and it is not there", "correct it", file=str(path)))
        yield index, read_file(path)


def write_list(
    path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> None:
    """Writes images as PNG files into a folder beside ``path``, and a table of their names and classes."""
    from PIL import Image

    from ...disk import write

    rows = [("file", "label")]
    folder = path.parent / path.stem
    with disk_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{index:06}.png"
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(folder / name)
            rows.append((f"{path.stem}/{name}", classes[label]))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write(path, text.getvalue().encode())
