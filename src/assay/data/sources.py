"""A user's files and folders: recognised, read, and made one content with its test split apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Problem, SpecError
from ..spec import Data, Reading
from .delimited import read_delimited
from .found import Content, Found, Part, Rows
from .labels import number_labels
from .splits import split

TABLES = (".csv", ".tsv", ".txt", ".amat")


def read_source(data: Data) -> tuple[Content, tuple[str, ...]]:
    """The content of ``data.path``, and the files and folders that it was read from.

    Raises:
        DataError: A file cannot be read or holds something else than images with labels.
        SpecError: ``data.test`` does not go with what the files hold.
    """
    path = Path(data.path or "")
    found = _read(path, data)
    training, test = found.training, found.test
    note = _test_note(found, data)
    parts = [training] if test is None else [training, _alike(test, training)]
    if test is not None:
        _refuse_other_shape(training, test)
    numbered, classes, label_notes = number_labels(
        parts, told=found.classes, wanted=None if data.read is None else data.read.classes
    )
    labels = numbered[0]
    assert labels is not None  # number_labels refuses training images without
    notes = (*found.notes, *label_notes)
    if isinstance(data.test, float):
        chosen = _draw(training.images, labels, data.test, str(path))
        kept = Content(
            (Rows(training.images, chosen[0]), Rows(labels, chosen[0])),
            (Rows(training.images, chosen[1]), Rows(labels, chosen[1])),
            classes,
            notes,
            note,
        )
    elif test is not None:
        test_labels = numbered[1]
        kept = Content(
            (Rows(training.images), Rows(labels)),
            (Rows(parts[1].images), None if test_labels is None else Rows(test_labels)),
            classes,
            notes,
            note,
        )
    else:
        kept = Content((Rows(training.images), Rows(labels)), None, classes, notes, note)
    return kept, found.watched


def suffix(path: Path) -> str:
    """What a file's name says about its form: its last suffix in small letters, without ``.gz``."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _read(path: Path, data: Data) -> Found:
    reading = data.read or Reading()
    if not path.exists():
        raise DataError(Problem("there is no such file or folder", "check data.path", file=str(path)))
    place = Path(data.test) if isinstance(data.test, str) else None
    if place is not None and not place.exists():
        raise DataError(Problem("there is no such file or folder", "check data.test", file=str(place)))
    if suffix(path) in TABLES:
        found, layout = read_delimited(path, reading)
        if place is None:
            return found
        other, its_layout = read_delimited(place, reading, like=layout)
        notes = (*found.notes, *(() if its_layout == layout else (f"Test: {its_layout.told}",)))
        return Found(found.training, other.training, found.classes, notes, (*found.watched, *other.watched))
    raise DataError(Problem("this is no form of data that Assay reads", "see docs/data.md", file=str(path)))


def _test_note(found: Found, data: Data) -> str:
    if isinstance(data.test, float):
        if found.test is not None:
            what = f"got {data.test}, and {found.test.place} holds a test split"
            raise SpecError(Problem(what, "leave test out", "data.test"))
        return (
            f"The test split is {data.test:.0%} of the images of each class, drawn by Assay from the content itself: "
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
