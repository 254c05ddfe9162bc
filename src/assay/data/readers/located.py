"""Finds the image files that a table names: beside it or in a folder there, under its names with or without endings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from .pictures import SUFFIXES
from .sides import listed, side_of

_ENDINGS = ("", *SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))
_MOST_FOLDERS = 200
_DEPTH = 2


def located(table: Path, names: Sequence[str]) -> tuple[list[Path], tuple[str, ...]]:
    """The files that a table's cells name, and a note where they do not lie as they are written.

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
        return [table.parent / name for name in names], ()
    ((folder, ending),) = matches
    where = "beside the table" if folder == table.parent else f"in {folder.relative_to(table.parent)}"
    note = (f"The table's images lie {where}" + (f" and end in {ending}." if ending else "."),)
    return [folder / (name + ending) for name in names], note if ending or folder != table.parent else ()


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
