"""Locates, reads and verifies a registered data set's raw files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from ..readers.idx import idx_sha256, read_idx
from ..types import Images
from .entries import Entry, RawFile


def find(folder: Path, file: RawFile) -> Path | None:
    """Where the file lies in its folder, gzipped or plain; ``None`` if it does not.

    Raises:
        DataError: The folder may not be read.
    """
    for path in (folder / file.name, folder / file.name.removesuffix(".gz")):
        with disk_errors(path, "read"):
            try:
                os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return path
    return None


def read(path: Path, file: RawFile, dataset: str) -> Images:
    """The values of a raw file, uint8 [n, height, width] or [n], once its content is known to be the right one.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    fix = f"run `assay data fetch {dataset}`, which replaces it"
    try:
        values = read_idx(path)
    except DataError as error:
        raise DataError(replace(problem, fix=fix) for problem in error.problems) from error
    actual = idx_sha256(values)
    if actual != file.sha256:
        what = f"this is not the file of {dataset}: its content's SHA-256 should be {file.sha256}, and it is {actual}"
        raise DataError(Problem(what, fix, file=str(path)))
    return values


def check(path: Path, file: RawFile, dataset: str) -> None:
    """Refuses a raw file whose content is not the right one.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    if not file.packed:
        read(path, file, dataset)
        return
    kind, expected = file.packed.split(":")
    with disk_errors(path, "read"), open(path, "rb") as stream:
        actual = hashlib.file_digest(stream, kind).hexdigest()
    if actual != expected:
        name = {"sha256": "SHA-256", "md5": "MD5"}[kind]
        what = f"this is not the published file of {dataset}: its {name} should be {expected}, and it is {actual}"
        fix = f"run `assay data fetch {dataset}`, which replaces it"
        raise DataError(Problem(what, fix, file=str(path)))


def find_all(entry: Entry, folder: Path) -> list[Path]:
    """Where a data set's packed files lie, once each is known to be the right one.

    Raises:
        DataError: Files are missing or not the right ones, with a problem for each cause.
    """
    paths = [folder / file.name for file in entry.files]
    missing = [path.name for path in paths if not path.exists()]
    problems = [_missing(entry, missing, folder)] if missing else []
    for path, file in zip(paths, entry.files, strict=True):
        if path.name not in missing:
            try:
                check(path, file, entry.name)
            except DataError as error:
                problems += error.problems
    if problems:
        raise DataError(problems)
    return paths


def read_all(entry: Entry, folder: Path) -> tuple[Images, Images, Images, Images]:
    """Training images and labels, test images and labels, in uint8.

    Raises:
        DataError: Files are missing or not the right ones, with a problem for each cause.
    """
    paths = [find(folder, file) for file in entry.files]
    missing = [file.name for file, path in zip(entry.files, paths, strict=True) if path is None]
    problems: list[Problem] = []
    if missing:
        problems.append(_missing(entry, missing, folder))
    arrays = []
    for file, path in zip(entry.files, paths, strict=True):
        try:
            if path is not None:
                arrays.append(read(path, file, entry.name))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    training_images, training_labels, test_images, test_labels = arrays
    return training_images, training_labels, test_images, test_labels


def _missing(entry: Entry, names: list[str], folder: Path) -> Problem:
    what = f"{entry.name} is not here, {', '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
    fix = f"run `assay data fetch {entry.name}`, or put {'it' if len(names) == 1 else 'them'} into this folder"
    return Problem(what, fix, file=str(folder))
