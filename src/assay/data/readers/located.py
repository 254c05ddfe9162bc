"""Finds the image files that a table names: beside it or in a folder there, under its names with or without endings."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from ...disk import disk_errors
from ...errors import DataError, Problem
from .pictures import SUFFIXES
from .sides import listed, side_of

_ENDINGS = ("", *SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))
_MOST_FOLDERS = 200
_DEPTH = 2
_UPLOAD = re.compile(r"[0-9a-f]{6,12}-")  # what Label Studio puts before the names of uploads


def located(table: Path, names: Sequence[str], *, is_exact: bool = False) -> tuple[list[Path], tuple[str, ...]]:
    """The files that a table's cells name, and a note where they do not lie as they are written.

    With ``is_exact`` names are not shortened, as those of other machines are otherwise.

    The first name is looked up beside the table, then in the folders beside it and those within, each time as it
    stands, then with the endings of images. Paths may be written with backslashes. That a file exists is checked for
    the first only.

    Raises:
        DataError: Several folders hold files of these names.
    """
    if not names or os.path.isfile(table.parent / names[0]):
        return [table.parent / name for name in names], ()
    if "\\" in names[0]:
        names = [name.replace("\\", "/") for name in names]
    matches = [
        (folder, ending)
        for folder in _folders(table.parent)
        for ending in _ENDINGS
        if os.path.isfile(folder / (names[0] + ending))
    ]
    if len(matches) > 1:  # such as train_images and test_images that both count from 0
        wanted = side_of(table.stem)
        matches = [match for match in matches if wanted and side_of(match[0].name) == wanted] or [
            (folder, ending)
            for folder, ending in matches
            if all(os.path.isfile(folder / (name + ending)) for name in names)
        ]
    if len(matches) > 1:
        places = listed([str((folder / (names[0] + ending)).relative_to(table.parent)) for folder, ending in matches])
        what = f"{names[0]} may be {places}"
        raise DataError(Problem(what, "put the table into the folder of its images", file=str(table)))
    if not matches:
        return ([table.parent / name for name in names], ()) if is_exact else _by_file_name(table, names)
    ((folder, ending),) = matches
    where = "beside the table" if folder == table.parent else f"in {folder.relative_to(table.parent)}"
    files, others = _in_other_folders([folder / (name + ending) for name in names], names, ending, table.parent)
    if others:
        where = listed([where, *(f"in {other.relative_to(table.parent)}" for other in others)])
    note = (f"The table's images lie {where}" + (f" and end in {ending}." if ending else "."),)
    return files, note if ending or others or folder != table.parent else ()


def _in_other_folders(
    files: Sequence[Path], names: Sequence[str], ending: str, parent: Path
) -> tuple[list[Path], list[Path]]:
    """The files, those that are not there looked up in the other folders: images often lie in several parts."""
    missing = [index for index, file in enumerate(files) if not os.path.isfile(file)]
    if not missing or len(missing) == len(files):
        return list(files), []
    found, used = list(files), []
    for folder in _folders(parent):
        left = [index for index in missing if not os.path.isfile(folder / (names[index] + ending))]
        if len(left) < len(missing):
            used.append(folder)
            for index in set(missing) - set(left):
                found[index] = folder / (names[index] + ending)
            missing = left
    return (found, used) if not missing else (list(files), [])


def _by_file_name(table: Path, names: Sequence[str]) -> tuple[list[Path], tuple[str, ...]]:
    """The files of names that are addresses or places on another machine, by the last parts of their names.

    Label Studio writes ``/data/upload/1/0a1b2c3d-cat.jpg`` and ``/data/local-files/?d=pets/cat.jpg``.
    """
    plain = [unquote(name.replace("\\", "/").partition("?d=")[2] or name) for name in names]
    ends = [name.rpartition("/")[2] for name in plain]
    for shorter in (plain, ends, [_UPLOAD.sub("", end, count=1) for end in ends]):
        if shorter[0] and shorter[0] != names[0]:
            files, notes = located(table, shorter, is_exact=True)
            if os.path.isfile(files[0]):
                note = f"The table's images are looked up under the ends of their names, such as {shorter[0]}."
                return files, (*notes, note)
    return [table.parent / name for name in names], ()


def _folders(parent: Path) -> list[Path]:
    """A folder, those in it, and those in them; at most so many."""
    folders = [parent]
    level = [parent]
    with disk_errors(parent, "read"):
        for _ in range(_DEPTH):
            level = [
                Path(item.path)
                for folder in level
                for item in sorted(os.scandir(folder), key=lambda item: item.name)
                if item.is_dir() and not item.name.startswith(".")
            ][:_MOST_FOLDERS]
            folders += level
    return folders[:_MOST_FOLDERS]
