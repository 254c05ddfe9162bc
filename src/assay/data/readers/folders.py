"""Reads trees and lists of image files: a folder for each class, or a table of names; in a folder, a zip or a tar."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors
from ...errors import DataError, Problem, nearest
from ...spec import Groups, Reading
from .arrays import joined
from .content import Part, RawSplits
from .labels import shown, texts_to_labels
from .pictures import SUFFIXES, decode
from .trees import Name, Tree, read_file, tree_of

_TRAINING = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "dev")
_TEST = ("test", "testing")
_IMAGE_COLUMNS = ("file", "filename", "file_name", "path", "image", "img", "filepath", "image_path", "id")
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target", "category", "y")
_SPLIT_COLUMNS = ("split", "set", "subset", "partition")


def read_tree(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """Images below folders named after their classes, whatever lies between.

    Folders called train and test at the top are the two splits; validation images count as training images, because
    Assay draws its own validation splits, one for each seed.

    Raises:
        DataError: A class folder is empty, there are fewer than two classes, a file is no image, or sizes are mixed.
    """
    tree = tree_of(path)
    names, folders = tree.names(), tree.folders()
    tops = {name[0] for name in (*folders, *(n for n in names if len(n) > 1))}
    while len(tops) == 1 and not any(top.lower() in (*_TRAINING, *_TEST) for top in tops):
        (top,) = tops  # an archive's only folder is often its own name
        below = {name[1] for name in folders if len(name) > 1}
        if not below:
            break
        names = [name[1:] for name in names if len(name) > 1]
        folders = [name[1:] for name in folders if len(name) > 1]
        tree = _Below(tree, top)
        tops = {name[0] for name in folders}
    sides = {side: _side(tops, known) for side, known in (("train", _TRAINING), ("val", _VALIDATION), ("test", _TEST))}
    notes: list[str] = []
    loose = [name for name in names if len(name) == 1]
    if loose:
        notes.append(f"{len(loose):,} files beside the folders are left out ({shown([name[0] for name in loose])}).")
    if sides["train"] is None:
        part = _read_side(tree, (), names, folders, reading, groups, notes)
        return RawSplits(part, None, None, tuple(notes), (str(path),))
    parts = {
        side: _read_side(tree, (top,), names, folders, reading, groups, notes)
        for side, top in sides.items()
        if top is not None
    }
    training = parts["train"]
    if "val" in parts:
        training = joined(training, parts["val"])
        notes.append(f"{sides['val']} is part of the training split: each seed draws its own validation images.")
    return RawSplits(training, parts.get("test"), None, tuple(dict.fromkeys(notes)), (str(path),))


class _Below(Tree):
    """A tree's files below one of its folders."""

    def __init__(self, tree: Tree, top: str) -> None:
        self._tree = tree
        self._top = top
        self.place = f"{tree.place}/{top}"

    def names(self) -> list[Name]:
        return [name[1:] for name in self._tree.names() if name[0] == self._top and len(name) > 1]

    def folders(self) -> list[Name]:
        return [name[1:] for name in self._tree.folders() if name[0] == self._top and len(name) > 1]

    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        return self._tree.contents([(self._top, *name) for name in names])


def _side(tops: set[str], known: Sequence[str]) -> str | None:
    return next((top for top in sorted(tops) if top.lower() in known), None)


def _read_side(
    tree: Tree,
    top: Name,
    names: Sequence[Name],
    folders: Sequence[Name],
    reading: Reading,
    groups: Groups | None,
    notes: list[str],
) -> Part:
    depth = len(top)
    place = "/".join((tree.place, *top))
    files = [name for name in names if name[:depth] == top and len(name) > depth + 1]
    classes = sorted({name[depth] for name in folders if name[:depth] == top and len(name) > depth})
    filled = {name[depth] for name in files}
    empty = [name for name in classes if name not in filled]
    if empty:
        what = f"the class folder {shown(empty)} holds no images"
        raise DataError(Problem(what, "fill or remove it", file=place))
    if len(classes) < (1 if top and top[0].lower() not in _TRAINING else 2):
        what = f"it holds {'one class folder, ' + classes[0] if classes else 'no class folders'}"
        raise DataError(Problem(what, "put the images into a folder for each class, at least 2", file=place))
    images, kept, more = decode(lambda: tree.contents(files), ["/".join(name) for name in files], reading, place)
    notes += [f"In {top[0]}: {note}" for note in more] if top else more
    labels = texts_to_labels([files[index][depth] for index in kept])
    file_groups = None
    if groups is not None:
        try:
            file_groups = _groups([files[index][depth + 1 :] for index in kept], groups, place)
        except DataError:
            if not (top and top[0].lower() in _TEST):  # only training images need groups
                raise
    return Part(images, labels, place, file_groups)


def _groups(files: Sequence[Name], groups: Groups, place: str) -> npt.NDArray[Any] | None:
    """The group of each file, read from its name below its class folder.

    Raises:
        DataError: A name gives no group.
    """
    if groups.folder:
        names = ["/".join(file[:-1]) for file in files]
        what, fix = "lies right in its class folder", "put each group into a folder of its own there"
    elif groups.before is not None:
        names = [file[-1].partition(groups.before)[0] if groups.before in file[-1] else "" for file in files]
        what, fix = f'has nothing before "{groups.before}" in its name', "rename it, or name another text"
    else:
        return None
    if "" in names:
        file = "/".join(files[names.index("")])
        more = f" (and {names.count('') - 1:,} more)" if names.count("") > 1 else ""
        raise DataError(Problem(f"{file}{more} {what}, so its group is not known", fix, "data.groups", place))
    return np.asarray(names)


def looks_like_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first rows name image files."""
    return any(cell.lower().endswith(SUFFIXES) for row in rows[:2] for cell in row)


def read_list(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A table of image files, relative to it, and their labels; a column called split says which are test images.

    Raises:
        DataError: The table has no such columns, a file is missing or no image, or sizes are mixed.
    """
    place = str(path)
    rows, header, files = listed_files(path, reading)
    width = len(rows[0])
    group_column = None
    if groups is not None and groups.column is not None:
        if groups.column not in header:
            what = f'there is no column "{groups.column}"'
            raise DataError(Problem(what, nearest(groups.column, header), "data.groups", place))
        group_column = header.index(groups.column)
    labels = _column(header, reading.label, _LABEL_COLUMNS, place)
    if labels is None:
        others = [k for k in range(width) if k not in (files, group_column)]
        if len(others) != 1:
            what = f"{len(others)} columns may be the label"
            raise DataError(Problem(what, 'name it: read = { label = "..." }', file=place))
        labels = others[0]
    split = _column(header, None, _SPLIT_COLUMNS, place)
    sides = {"train": list(range(len(rows)))}
    if split is not None:
        words = [row[split].strip().lower() for row in rows]
        unknown = next((word for word in words if word not in (*_TRAINING, *_VALIDATION, *_TEST)), None)
        if unknown is not None:
            what = f'row {words.index(unknown) + 1 + bool(header)} has the split "{unknown}"'
            raise DataError(Problem(what, "give train, validation or test", file=place))
        sides = {"train": [k for k, word in enumerate(words) if word not in _TEST]}
        if len(sides["train"]) < len(rows):
            sides["test"] = [k for k, word in enumerate(words) if word in _TEST]
    notes: list[str] = []
    parts = {}
    for side, chosen in sides.items():
        names = [rows[k][files].strip() for k in chosen]
        paths = [path.parent / name for name in names]
        images, kept, more = decode(lambda paths=paths: contents_of(paths), names, reading, place)  # type: ignore[misc]
        notes += more
        numbers = texts_to_labels([rows[chosen[k]][labels] for k in kept])
        row_groups = None
        if group_column is not None:
            row_groups = np.asarray([rows[chosen[k]][group_column].strip() for k in kept])
            if "" in row_groups:
                row = chosen[int(kept[row_groups.tolist().index("")])] + 1 + bool(header)
                raise DataError(Problem(f"row {row} has no {header[group_column]}", "give every image one", file=place))
        elif groups is not None:
            row_groups = _groups([tuple(names[k].replace("\\", "/").split("/")) for k in kept], groups, place)
        parts[side] = Part(images, numbers, place, row_groups)
    watched = (place, *(str(path.parent / row[files].strip()) for row in rows))
    return RawSplits(parts["train"], parts.get("test"), None, tuple(dict.fromkeys(notes)), watched)


def listed_files(path: Path, reading: Reading) -> tuple[list[list[str]], list[str], int]:
    """The rows of a table of image files, the names of its columns (none without a header), and the files' column.

    Raises:
        DataError: The table has no such column, no rows, or ragged ones.
    """
    place = str(path)
    rows = _rows(path)
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


def _rows(path: Path) -> list[list[str]]:
    try:
        with disk_errors(path, "read"), open(path, "rb") as raw:
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


def write_tree(
    folder: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
) -> list[Path]:
    """Writes images as PNG files, a folder for each class, numbered so that they are read back in their order."""
    from PIL import Image

    digits = len(str(max(1, len(images) - 1)))
    paths = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        class_folder = folder / classes[label].replace("/", "-")
        path = class_folder / f"{index:0{digits}}.png"
        with disk_errors(path, "written"):
            class_folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(path)
        paths.append(path)
    return paths


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
