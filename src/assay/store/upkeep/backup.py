"""A copy of a store that is whole, also while runs go on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ... import disk
from ...disk import disk_errors, replacing
from ...errors import DataError, Problem, StoreError
from ..files import DATABASE, damaged, no_store, translated
from ..snapshot import open_in_place
from .artifacts import REPAIRS

_NOTE = "backup.json"
_LEFT_OUT = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "writer.json", "writer.lock", _NOTE}


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Args:
        num_weights: Files of weights whose SHA-256 is the recorded one.
        num_copied: Files that were copied; the others were there already.
        num_bytes: Their size.
        faults: Weights that are lost in the store itself, and so in the backup.
    """

    num_weights: int
    num_copied: int
    num_bytes: int
    faults: tuple[str, ...]


def back_up(folder: Path, target: Path) -> Backup:
    """Copy a store to ``target``: its database as of one moment, and every file that this names, verified.

    A process may go on writing the store. What is in an earlier backup already is not copied again. The backup is a
    store.

    Raises:
        NoStore: There is no store.
        StoreError: The database is damaged, or ``target`` holds anything but an earlier backup. Nothing was copied.
        DiskFull: There is no space left. An earlier backup's database is untouched.
    """
    if not (folder / DATABASE).exists():
        raise no_store(folder)
    _refuse_others(folder, target)
    with disk_errors(target, "written"):
        target.mkdir(parents=True, exist_ok=True)
        copied_database = target / f".{DATABASE}.{os.getpid()}.tmp"
        try:
            wanted = _copy_database(folder / DATABASE, copied_database)
            num_weights, num_copied, num_bytes, faults = 0, 0, 0, []
            for path, sha256 in wanted.items():
                if _hash(target / path) != sha256:
                    if _copied(folder / path, target / path) != sha256:
                        (target / path).unlink(missing_ok=True)
                        faults.append(path)
                        continue
                    num_copied += 1
                    num_bytes += (target / path).stat().st_size
                num_weights += 1
            for path in _others(folder, set(wanted)):
                source = folder / path
                if _hash(target / path) != _hash(source) and _copied(source, target / path):
                    num_copied += 1
                    num_bytes += (target / path).stat().st_size
            with copied_database.open("rb") as database:
                os.fsync(database.fileno())
            content = json.dumps({"of": str(folder.absolute()), "database": _hash(copied_database)})
            (target / _NOTE).unlink(missing_ok=True)
            os.replace(copied_database, target / DATABASE)
            disk.write(target / _NOTE, content.encode())
        finally:
            copied_database.unlink(missing_ok=True)
    return Backup(num_weights, num_copied, num_bytes, tuple(faults))


def _refuse_others(folder: Path, target: Path) -> None:
    """Raise StoreError unless ``target`` is empty, or an earlier backup that nobody has changed."""
    if target.resolve().is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(target.resolve()):
        raise StoreError(Problem("a backup cannot lie in its own store", "name a folder elsewhere", file=str(target)))
    try:
        if not target.exists() or not any(target.iterdir()):
            return
    except NotADirectoryError:
        raise StoreError(Problem("this is a file", "name a folder", file=str(target))) from None
    try:
        about = json.loads((target / _NOTE).read_text())
        is_unchanged = about["database"] == _hash(target / DATABASE)
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            Problem("this folder holds something that is no backup", "name a new folder", file=str(target))
        ) from None
    if not is_unchanged:
        what = "somebody has used this backup as a store since it was made"
        raise StoreError(Problem(what, "name a new folder", file=str(target)))


def _copy_database(path: Path, target: Path) -> dict[str, str]:
    """Copy the database as of one moment; the weights that it names, relative to the store, with their SHA-256."""
    with (
        translated(path),
        contextlib.closing(open_in_place(path)) as source,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        source.backup(copy)  # SQLite's own: in one step, within one read transaction
        copy.execute("PRAGMA journal_mode = DELETE")
        if copy.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise damaged(path)
        rows = copy.execute(
            "SELECT path, sha256 FROM artifacts JOIN runs ON runs.id = run WHERE state = 'finished'"
        ).fetchall()
    return {str(path): str(sha256) for path, sha256 in rows if _is_inside(str(path))}


def _is_inside(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def _others(folder: Path, weights: set[str]) -> list[str]:
    """Everything else that a person may want: checkpoints, reports, logs. No database, lock or half-written file."""
    paths = []
    for place, folders, files in os.walk(folder):
        if Path(place) == folder and REPAIRS in folders:
            folders.remove(REPAIRS)
        for name in files:
            relative = (Path(place) / name).relative_to(folder).as_posix()
            is_temporary = name.startswith(".") and name.endswith(".tmp")
            if relative not in weights and relative not in _LEFT_OUT and not is_temporary:
                paths.append(relative)
    return sorted(paths)


def _copied(source: Path, target: Path) -> str:
    """Copy a file and read the copy back; its SHA-256, or an empty text where there is nothing to copy."""
    try:
        with disk.regular_file(source) as content:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as file:
                shutil.copyfileobj(content, file, 1 << 22)
    except (FileNotFoundError, IsADirectoryError, DataError):  # a running study has removed it, or it is no file
        return ""
    return _hash(target)


def _hash(path: Path) -> str:
    try:
        with disk.regular_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, DataError):
        return ""
