"""A user's files and folders: recognised, read, and made one content with its test split apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..disk import telling
from ..errors import DataError, Problem, SpecError
from ..spec import Data, Reading
from .arrays import read_npz
from .delimited import first_rows, read_delimited
from .folders import looks_like_list, read_list, read_tree
from .found import Content, Found, Part, Rows
from .idx_files import is_idx_folder, is_idx_name, read_idx_folder, read_idx_pair
from .labels import number_labels
from .parquet import read_parquet
from .splits import split
from .trees import is_archive_name

TABLES = (".csv", ".tsv", ".txt", ".amat")


def read_source(data: Data) -> tuple[Content, tuple[str, ...]]:
    """The content of ``data.path``, and the files and folders that it was read from.

    Raises:
        DataError: A file cannot be read or holds something else than images with labels.
        SpecError: ``data.test`` does not go with what the files hold.
    """
    path = Path(data.path or "")
    found = _read(path, data)
    classes = None if data.read is None else data.read.classes
    return content_of(found, test=data.test, classes=classes, place=str(path)), found.watched


def content_of(found: Found, *, test: str | float | None, classes: tuple[str, ...] | int | None, place: str) -> Content:
    """Labels numbered and the test split drawn where ``test`` is a share.

    Raises:
        DataError: Labels or shapes do not go together.
        SpecError: ``test`` does not go with what was found.
    """
    training = found.training
    note = _test_note(found, test)
    parts = [training]
    if found.test is not None:
        _refuse_other_shape(training, found.test)
        parts.append(_alike(found.test, training))
    numbered, names, more = number_labels(parts, told=found.classes, wanted=classes)
    labels = numbered[0]
    assert labels is not None  # number_labels refuses training images without
    notes = (*found.notes, *more)
    if isinstance(test, float):
        first, second = _draw(training.images, labels, test, place)
        kept, other = ((Rows(training.images, rows), Rows(labels, rows)) for rows in (first, second))
        return Content(kept, other, names, notes, note)
    own = None
    if len(parts) > 1:
        own = (Rows(parts[1].images), None if numbered[1] is None else Rows(numbered[1]))
    return Content((Rows(training.images), Rows(labels)), own, names, notes, note)


def suffix(path: Path) -> str:
    """What a file's name says about its form: its last suffix in small letters, without ``.gz``."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _read(path: Path, data: Data) -> Found:
    reading = data.read or Reading()
    place = Path(data.test) if isinstance(data.test, str) else None
    for key, given in (("path", path), ("test", place)):
        if given is not None and not given.exists():
            raise DataError(Problem("there is no such file or folder", f"check data.{key}", file=str(given)))
    if is_pixel_table(path):
        found, layout = read_delimited(path, reading)
        if place is None:
            return found
        other, its_layout = read_delimited(place, reading, like=layout)
        notes = other.notes if its_layout.label != layout.label else ()
    else:
        found = read_one(path, reading)
        if place is None:
            return found
        if found.test is not None:
            what = f"got {place}, and {found.test.place} is a test split already"
            raise SpecError(Problem(what, "leave test out, or name the training part as path", "data.test"))
        like = reading if reading.channels else reading.model_copy(update={"channels": found.training.images.shape[3]})
        other = read_one(place, like)
        notes = other.notes
    told = (*found.notes, *(f"Test: {note[0].lower()}{note[1:]}" for note in notes if note not in found.notes))
    return Found(found.training, other.training, found.classes, told, (*found.watched, *other.watched))


def read_one(path: Path, reading: Reading) -> Found:
    """What one file or folder holds, by its name and content.

    Raises:
        DataError: Assay does not read this form, or the file is damaged.
    """
    if path.is_dir():
        if is_idx_folder(path):
            return read_idx_folder(path, reading)
        if any(_walk(path, ".parquet")):
            return read_parquet(path, reading)
        return read_tree(path, reading)
    if suffix(path) in (".npz", ".npy"):
        return read_npz(path, reading)
    if suffix(path) == ".parquet":
        return read_parquet(path, reading)
    if is_archive_name(path.name):
        return read_tree(path, reading)
    if is_idx_name(path.name):
        return read_idx_pair(path, reading)
    if is_pixel_table(path):
        return read_delimited(path, reading)[0]
    if suffix(path) in TABLES:
        return read_list(path, reading)
    known = "IDX, .npz, .npy, .csv, .tsv, .amat, .parquet, .zip, .tar or a folder of images"
    raise DataError(Problem("this is no form of data that Assay reads", f"give {known}", file=str(path)))


def is_pixel_table(path: Path) -> bool:
    """Whether a file is a table of pixels, and not one of file names."""
    return path.is_file() and suffix(path) in TABLES and not looks_like_list(first_rows(path))


def _walk(folder: Path, wanted: str) -> Iterator[Path]:
    """Files with a suffix in a folder and the folders right in it."""
    with telling(folder, "read"):
        for item in sorted(folder.iterdir()):
            if item.suffix == wanted:
                yield item
        yield from folder.glob(f"data/*{wanted}")


def _test_note(found: Found, test: str | float | None) -> str:
    if isinstance(test, float):
        if found.test is not None:
            what = f"got {test}, and {found.test.place} holds a test split"
            raise SpecError(Problem(what, "leave test out", "data.test"))
        return (
            f"The test split is {test:.0%} of the images of each class, drawn by Assay from the content itself: "
            "images that belong together, such as frames of one film, may stand on both sides."
        )
    if found.test is None:
        return "There is no test split: scores on validation images are all there is."
    if found.test.labels is None:
        return f"The test images ({found.test.place}) have no labels, so nothing can be scored on them."
    return f"The test split is the user's own: {found.test.place}."


def _alike(test: Part, training: Part) -> Part:
    """Test images in the training images' type: bytes among shares become shares."""
    if test.images.dtype == training.images.dtype:
        return test
    if test.images.dtype == np.uint8:
        return Part(test.images / np.float32(255), test.labels, test.place)
    return Part(np.rint(test.images * 255).astype(np.uint8), test.labels, test.place)


def _refuse_other_shape(training: Part, test: Part) -> None:
    shapes = [" x ".join(map(str, part.images.shape[1:])) for part in (training, test)]
    if shapes[0] != shapes[1]:
        what = f"the test images are {shapes[1]}, and the training images {shapes[0]}"
        raise DataError(Problem(what, "give read = { size = [height, width] }", file=test.place))


def _draw(
    images: npt.NDArray[Any], labels: npt.NDArray[np.int64], share: float, place: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Training and test indices: a function of the content and the share, the same for everybody."""
    key = Content((Rows(images), Rows(labels)), None, (), (), "").sha256()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])))
    try:
        parts = split(labels, share, stratified=True, generator=generator)
    except SpecError as error:
        told = [Problem(problem.what, "give a larger share", "data.test", place) for problem in error.problems]
        raise SpecError(told) from None
    return parts.training, parts.validation
