"""Folders that hold tables, arrays or Parquet files, perhaps below a folder that wraps them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from . import hdf5, json_lists, sparse
from .idx_files import is_idx_folder
from .lists import is_image_list, lists_images
from .named import labels_beside
from .parquet import is_parquet_folder
from .pictures import SUFFIXES
from .sides import Side, listed, side_of

_TABLES = (".csv", ".tsv", ".amat", ".csv.gz", ".tsv.gz", ".amat.gz", ".npz", ".arff", ".tra", ".tes", *hdf5.ENDINGS,
           *sparse.ENDINGS)  # fmt: skip
# What a folder or an archive can hold instead of class folders of images.
DATA_ENDINGS = (*_TABLES, ".npy", ".parquet", "-ubyte", "-ubyte.gz", ".idx", ".json", ".jsonl")
_BY_ENDING: dict[str, Side] = {".tra": "train", ".tes": "test"}  # as UCI calls them
_MOST_DEPTH = 12


@dataclass(frozen=True)
class Tables:
    """A folder's tables by the split that they hold.

    Args:
        files: ``train``, and ``val`` and ``test`` where they are there.
        left_out: Names of other tables.
    """

    files: Mapping[Side, Path]
    left_out: tuple[str, ...] = ()


def unwrapped(folder: Path) -> Path:
    """The folder itself, or the one below it that holds IDX, Parquet, NumPy files or tables and nothing stands beside.

    Such are a data hub's repository with a folder for its configuration, or a download that was unpacked into a folder.

    Raises:
        DataError: Several folders below it hold Parquet files.
    """
    inner = folder
    for _ in range(_MOST_DEPTH):  # a link may lead back up
        if is_idx_folder(inner) or is_parquet_folder(inner) or _named(inner, (*_TABLES, ".npy")):
            return inner
        folders = _folders(inner)
        hubs = [name for name in folders if is_parquet_folder(inner / name)]
        if len(hubs) > 1:
            what = f"it holds {listed(hubs)}, each with Parquet files"
            fix = f'name one of them, such as "{folder.name}/{hubs[0]}"'
            remedy = {"path": str(inner / hubs[0])}
            raise DataError(Problem(what, fix, "data.path", str(folder), remedy=remedy))
        if len(folders) != 1 or _named(inner, SUFFIXES):
            break
        inner = inner / folders[0]
    return folder


def is_array_folder(folder: Path) -> bool:
    """Whether a folder holds ``.npy`` files and nothing in folders."""
    return bool(_named(folder, (".npy",))) and not _folders(folder)


def tables_of(folder: Path) -> Tables | None:
    """The tables of a folder without class folders, or of its splits' folders; ``None`` where it is none such.

    Raises:
        DataError: Several tables may be the training split.
    """
    folders = _folders(folder)
    pictured = [name for name in folders if side_of(name) is None and bool(_named(folder / name, SUFFIXES))]
    if len(pictured) > 1 and not _are_parts(folder, pictured):
        return None  # class folders
    if any(_folders(folder / name) for name in folders if side_of(name) is not None):
        return None  # class folders of splits
    tables = _without_partners(folder, _named(folder, _TABLES)) or [
        name for name in _named(folder, json_lists.ENDINGS) if is_image_list(folder / name)
    ]
    submissions = [name for name in _named(folder, _TABLES) if "submission" in name.lower()]
    if not tables:
        within = {
            name: _without_partners(folder / name, _named(folder / name, _TABLES))
            for name in folders
            if side_of(name) in ("train", "val", "test")
        }
        if not within or any(len(names) != 1 for names in within.values()):
            return None
        tables = [f"{name}/{names[0]}" for name, names in within.items()]
    if len(tables) == 1 and side_of(tables[0].partition("/")[0]) in (None, "train"):
        return Tables({"train": folder / tables[0]}, tuple(submissions))
    files: dict[Side, Path] = {}
    for name in tables:
        side = _BY_ENDING.get(Path(name).suffix.lower()) or side_of(name.partition("/")[0].partition(".")[0])
        side = "test" if side == "eval" else side
        if side in files or side == "fold":
            side = None
            files.pop("train", None)
            break
        if side is not None:
            files[side] = folder / name
    if "train" not in files:
        what = f"it holds the tables {listed(tables)}, and none is plainly the training split"
        largest = max(tables, key=lambda name: (folder / name).stat().st_size)
        remedy = {"path": str(folder / largest)}
        fix = "name one as data.path and another as data.test"
        raise DataError(Problem(what, fix, file=str(folder), remedy=remedy))
    others = [name for name in (*tables, *submissions) if folder / name not in files.values()]
    return Tables(files, tuple(others))


def _are_parts(folder: Path, names: list[str]) -> bool:
    """Whether folders are numbered parts of one set, such as images_part_1, with a table beside that lists images."""
    if len({name.rstrip("0123456789") for name in names}) > 1 or not all(name[-1].isdigit() for name in names):
        return False
    tables = [name for name in _named(folder, _TABLES[:6]) if "submission" not in name.lower()]
    return any(lists_images(folder / name) for name in tables)


def left_out_folders(folder: Path, used: Iterable[str]) -> list[str]:
    """The folders in a folder that hold images, none of which is used."""
    parents = {parent for name in used for parent in Path(name).parents}
    return [name for name in _folders(folder) if folder / name not in parents and _named(folder / name, SUFFIXES)]


def _without_partners(folder: Path, names: list[str]) -> list[str]:
    """The files that hold images, or their names: not those of labels beside one of images, nor what is handed in."""
    partners = {beside.name for name in names if (beside := labels_beside(folder / name)) is not None}
    return [name for name in names if name not in partners and "submission" not in name.lower()]


def _named(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """The files of a folder with these endings, sorted."""
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        return sorted(
            item.name
            for item in items
            if item.name.lower().endswith(suffixes) and not item.name.startswith(".") and item.is_file()
        )


def _folders(folder: Path) -> list[str]:
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        return sorted(
            item.name for item in items if item.is_dir() and not item.name.startswith(".") and item.name != "__MACOSX"
        )
