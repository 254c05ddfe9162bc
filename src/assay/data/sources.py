"""Reads a user's files and folders: recognises their format, numbers the labels, separates the test split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..disk import disk_errors, refuse_special
from ..errors import DataError, InputError, Problem, SpecError
from ..numerals import counted
from ..spec import Data, Groups, Last, Reading
from ..spec.data import Drawn
from .grouped import no_groups_error, number_groups
from .location import unpacked_folder
from .readers import forms
from .readers.arrays import joined
from .readers.bundles import left_out_folders, tables_of, unwrapped
from .readers.content import Content, Part, RawSplits, Rows, is_validation_note, validation_note
from .readers.delimited import first_rows, read_delimited
from .readers.forms import form_of, refuse_other_keys, refuse_placeholder
from .readers.labels import number_labels, shown
from .readers.placeholders import missing_fix
from .readers.scale import in_type
from .readers.scaled import typical_size
from .readers.unpacked import must_be_unpacked, unpacked
from .splits import split

_LARGE = 256 * 256  # pixels, far above what small networks take
_DARK = 128  # no byte above it in all training images: are they bytes at all?


def read_source(data: Data) -> tuple[Content, tuple[str, ...]]:
    """The content of ``data.path``, and the files and folders that it was read from.

    Raises:
        DataError: A file cannot be read or holds something else than images with labels.
        SpecError: ``data.test`` does not go with what the files hold.
    """
    path = Path(data.path or "")
    splits = _read_unpacked(path, data)
    classes = None if data.read is None else data.read.classes
    if data.groups is not None and splits.training.groups is None:
        raise no_groups_error(data.groups, str(path))
    test = None if isinstance(data.test, str) else data.test
    content = content_of(
        splits, test=test, classes=classes, place=str(path), groups=data.groups, is_given=data.is_given
    )
    return content, splits.watched


def content_of(
    splits: RawSplits,
    *,
    test: Drawn | None,
    classes: tuple[str, ...] | int | None,
    place: str,
    groups: Groups | None = None,
    is_given: bool = False,
) -> Content:
    """Labels and groups numbered, and the test split drawn or cut off where ``test`` says how.

    With ``is_given``, the source's own validation part is kept apart, where it has one.

    Raises:
        DataError: Labels or shapes do not go together.
        SpecError: ``test`` contradicts the splits that the files hold.
    """
    training = splits.training
    note = _test_note(splits, test)
    parts = [training]
    if splits.test is not None:
        _refuse_other_shape(training, splits.test)
        parts.append(replace(splits.test, images=in_type(splits.test.images, training.images.dtype)))
    numbered, names, label_notes = number_labels(parts, source_classes=splits.classes, spec_classes=classes)
    labels = numbered[0]
    assert labels is not None  # number_labels refuses training images without
    notes = (*splits.notes, *label_notes, *_dark_notes(training.images), *_large_notes(training))
    ids = None
    if training.groups is not None:
        ids = number_groups(training.groups)
        notes = (
            *notes,
            *_group_notes(training, splits.test, ids, "group" if groups is None else groups.description),
        )
    given = training.validation if is_given else None
    if given is not None:
        notes = (*(line for line in notes if not is_validation_note(line)), *_kept_apart(given, ids))
    if test is not None:
        first, second = _draw(training.images, labels, ids, test, place)
        lost = np.setdiff1d(labels[second], labels[first])
        if len(lost):
            what = f"every image of the class {names[lost[0]]} would be a test image"
            raise SpecError(
                Problem(what, "give a share such as 0.2, which is drawn from each class", "data.test", place)
            )
        training_rows, test_rows = ((Rows(training.images, rows), Rows(labels, rows)) for rows in (first, second))
        group_rows = None if ids is None else Rows(number_groups(ids[first]))
        given_rows = None if given is None else Rows(given[first])
        files = training.names
        drawn_names = {} if files is None else {"train": _chosen(files, first), "test": _chosen(files, second)}
        return Content(training_rows, test_rows, names, notes, note, group_rows, given_rows, drawn_names)
    source_test = None
    if len(parts) > 1:
        source_test = (Rows(parts[1].images), None if numbered[1] is None else Rows(numbered[1]))
    return Content(
        (Rows(training.images), Rows(labels)),
        source_test,
        names,
        notes,
        note,
        None if ids is None else Rows(ids),
        None if given is None else Rows(given),
        {side: part.names for side, part in zip(("train", "test"), parts, strict=False) if part.names is not None},
    )


def _chosen(names: tuple[str, ...], rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(names[row] for row in rows)


def _read_unpacked(path: Path, data: Data) -> RawSplits:
    """The splits of files, of which archives that cannot be read as they are have been unpacked for as long."""
    test_path = Path(data.test) if isinstance(data.test, str) else None
    moved: dict[str, str] = {}
    with ExitStack() as held:
        places: list[Path | None] = []
        for key, place in (("path", path), ("test", test_path)):
            if place is not None and not place.exists():
                fix = missing_fix(place, f"check data.{key}")
                raise DataError(Problem("there is no such file or folder", fix, file=str(place)))
            if place is not None:
                with disk_errors(place, "read"):
                    refuse_special(place)
            if place is not None and place.is_file():
                refuse_placeholder(place)
            if place is not None and must_be_unpacked(place):
                folder = held.enter_context(unpacked(place, unpacked_folder()))
                moved[str(folder)] = str(place)
                place = folder
            places.append(place)
        try:
            splits = _read(places[0] or path, places[1], data)
        except InputError as error:
            raise type(error)(_moved_back(problem, moved) for problem in error.problems) from None
    return _moved_back_splits(splits, moved) if moved else splits


def _named_back(text: str, moved: Mapping[str, str]) -> str:
    for folder, place in moved.items():
        text = text.replace(folder, place)
    return text


def _moved_back(problem: Problem, moved: Mapping[str, str]) -> Problem:
    what, fix, file = (_named_back(text, moved) for text in (problem.what, problem.fix, problem.file))
    is_inside = any(str(problem.remedy.get(key, "")).startswith(tuple(moved)) for key in ("path", "test"))
    remedy = {} if moved and is_inside else problem.remedy  # no study can name what is in an archive
    return replace(problem, what=what, fix=fix, file=file, remedy=remedy)


def _moved_back_splits(splits: RawSplits, moved: Mapping[str, str]) -> RawSplits:
    """What was read from unpacked archives, under the archives' own names."""
    parts = [
        part if part is None else replace(part, place=_named_back(part.place, moved))
        for part in (splits.training, splits.test)
    ]
    watched = dict.fromkeys(
        next((place for folder, place in moved.items() if name.startswith(folder)), name) for name in splits.watched
    )
    notes = tuple(_named_back(note, moved) for note in splits.notes)
    assert parts[0] is not None
    return replace(splits, training=parts[0], test=parts[1], notes=notes, watched=tuple(watched))


def _read(path: Path, test_path: Path | None, data: Data) -> RawSplits:
    reading = data.reading
    notes: tuple[str, ...] = ()
    validation_path = None
    tables = None
    outer, path = path, unwrapped(path) if path.is_dir() else path
    if path.is_dir() and form_of(path, reading) == forms.TREE and (tables := tables_of(path)) is not None:
        path, validation_path = tables.files["train"], tables.files.get("val")
        if tables.left_out:
            notes = (f"Tables that are left out: {shown(tables.left_out)}.",)
        own_test = tables.files.get("test")
        if own_test is not None and _is_unlabelled_list(path, own_test, reading):
            notes = (*notes, f"{own_test.name} is left out: it has fewer columns than {path.name}, so no labels.")
        elif own_test is not None and data.test is not None:
            raise SpecError(Problem(f"{own_test} is a test split already", "leave test out", "data.test"))
        else:
            test_path = own_test
    splits = _read_both(path, test_path, data)
    if tables is not None and (others := left_out_folders(outer, splits.watched)) and len(splits.watched) > 1:
        notes = (*notes, f"Folders of images that no table names are left out: {shown(others)}.")
    if validation_path is not None:
        like = reading.model_copy(update={"channels": splits.training.images.shape[3]}) if reading.size else reading
        given = read_path(validation_path, like, data.groups)
        training = joined(splits.training, given.training)
        notes = (*notes, validation_note(f"The images of {validation_path.relative_to(outer)}"))
        splits = replace(splits, training=training, watched=(*splits.watched, *given.watched))
    watched = splits.watched if path == outer else (*splits.watched, str(outer))
    return replace(splits, notes=(*splits.notes, *notes), watched=watched)


def _is_unlabelled_list(training: Path, test: Path, reading: Reading) -> bool:
    """Whether a table of image files has fewer columns than that of the training images."""
    if forms.LIST not in (form_of(training, reading), form_of(test, reading)):
        return False
    widths = [len((first_rows(table) or [[]])[0]) for table in (test, training)]
    return widths[0] < widths[1]


def _read_both(path: Path, test_path: Path | None, data: Data) -> RawSplits:
    reading = data.reading
    places = (path,) if test_path is None else (path, test_path)
    refuse_other_keys(reading, tuple(form_of(place, reading) for place in places), str(path))
    if form_of(path, reading) == forms.PIXELS:
        source, layout = read_delimited(path, reading, groups=data.groups)
        if test_path is None:
            return source
        test_source, its_layout = read_delimited(test_path, reading, groups=data.groups, like=layout)
        notes = test_source.notes if its_layout.label != layout.label else ()
    else:
        source = read_path(path, reading, data.groups)
        if test_path is None:
            return source
        if source.test is not None:
            what = f"got {test_path}, and {source.test.place} is a test split already"
            raise SpecError(Problem(what, "leave test out, or name the training part as path", "data.test"))
        like = reading if reading.channels else reading.model_copy(update={"channels": source.training.images.shape[3]})
        if form_of(path, reading) == forms.SPARSE:  # their last pixels that are not 0 may differ
            like = like.model_copy(update={"shape": source.training.images.shape[1:]})
        try:
            test_source = read_path(test_path, like, data.groups)
        except DataError as error:
            if any(problem.key != "data.groups" for problem in error.problems):
                raise
            test_source = read_path(test_path, like)  # only training images need groups
        notes = test_source.notes
    all_notes = (
        *source.notes,
        *(f"Test: {note[0].lower()}{note[1:]}" for note in notes if note not in source.notes),
    )
    return RawSplits(
        source.training,
        test_source.training,
        source.classes,
        all_notes,
        (*source.watched, *test_source.watched),
    )


def read_path(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """The splits in one file or folder, whose format its name and content decide.

    Raises:
        DataError: Assay does not read this form, or the file is damaged.
    """
    path = unwrapped(path) if path.is_dir() else path
    return form_of(path, reading).read(path, reading, groups)


def _dark_notes(images: npt.NDArray[Any]) -> Iterator[str]:
    """A doubt about bytes far below white, such as 4-bit levels 0 to 16 or per cent."""
    highest = int(images.max()) if images.dtype == np.uint8 and images.size else 255
    if highest < _DARK:
        yield f"Values reach {highest} of 255 only: where {highest} stands for white, scale them by 255 / {highest}."


def _large_notes(training: Part) -> Iterator[str]:
    """What images of thousands of pixels cost, and a size to bring them to, where the files can be read in one."""
    images = training.images
    height, width = images.shape[1:3]
    if height * width > _LARGE and len(images):
        side, each = 96, images[0].nbytes
        smaller = each * side * side / (height * width)
        cost = (
            f"Images of {height} x {width} take {each / 1e6:,.1f} MB each, {each * len(images) / 1e6:,.0f} MB in all; "
        )
        if training.names is not None:
            yield f"{cost}read = {{ size = [{side}, {side}] }} brings image files to {smaller / 1e6:.2f} MB each."
        else:
            yield f"{cost}arrays of {side} x {side} would take {smaller / 1e6:.2f} MB each."


def _kept_apart(given: npt.NDArray[np.bool_], ids: npt.NDArray[np.int64] | None) -> Iterator[str]:
    """What to say of the source's own validation part."""
    yield f"The validation images are the source's own: {int(given.sum()):,} of {len(given):,}."
    shared = 0 if ids is None else len(np.intersect1d(ids[given], ids[~given]))
    if shared:
        have = counted(shared, "group has", "groups have")
        yield f"{have} training and validation images: a validation score says less than it seems."


def _group_notes(training: Part, test: Part | None, numbered: npt.NDArray[np.int64], source: str) -> Iterator[str]:
    sizes = np.bincount(numbered)
    span = f"{sizes.min():,} to {sizes.max():,} images" if sizes.min() < sizes.max() else f"{sizes.max():,} images each"
    yield f"There are {len(sizes):,} groups by {source}, of {span}; no split divides one."
    if training.groups is not None and test is not None and test.groups is not None:
        shared = len(np.intersect1d(training.groups, test.groups))
        if shared:
            have = counted(shared, "group has", "groups have")
            yield f"{have} training and test images: a score on the test split says less than it seems."


def _test_note(splits: RawSplits, test: Drawn | None) -> str:
    if test is not None:
        if splits.test is not None:
            given_test = test.last if isinstance(test, Last) else test
            what = f"got {given_test}, and {splits.test.place} holds a test split"
            raise SpecError(Problem(what, "leave test out", "data.test"))
        if isinstance(test, Last):
            size = f"{100 * test.last:.4g} % of the" if isinstance(test.last, float) else f"{test.last:,}"
            return f"The test split is the last {size} images in the order of the file."
        size = f"{100 * test:.4g} % of the" if isinstance(test, float) else f"{test:,}"
        if splits.training.groups is not None:
            return f"The test split is about {size} images, in whole groups, drawn by Assay from the content itself."
        return (
            f"The test split is {size} images, in each class's share, drawn by Assay from the content itself: "
            "images that belong together, such as frames of one film, may stand on both sides."
        )
    if splits.test is None:
        return "There is no test split: scores on validation images are all there is."
    if splits.test.labels is None:
        return f"The test images ({splits.test.place}) have no labels, so nothing can be scored on them."
    return f"The test split is the user's own: {splits.test.place}."


def _refuse_other_shape(training: Part, test: Part) -> None:
    shapes = [" x ".join(map(str, part.images.shape[1:])) for part in (training, test)]
    if shapes[0] != shapes[1]:
        what = f"the test images are {shapes[1]}, and the training images {shapes[0]}"
        if training.names is None:
            raise DataError(Problem(what, "bring the arrays to one shape", file=test.place))
        proposed = typical_size([training.images.shape[1:3]])
        fix = f"give read = {{ size = {list(proposed)} }}"
        raise DataError(Problem(what, fix, file=test.place, remedy={"read": {"size": proposed}}))


def _draw(
    images: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64] | None,
    test: Drawn,
    place: str,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Training and test indices: a function of the content and ``test``, the same for everybody."""
    key = Content((Rows(images), Rows(labels)), None, (), (), "").sha256()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])))
    is_drawn = not isinstance(test, Last)
    try:
        parts = split(labels, test, stratified=is_drawn, generator=generator, groups=groups, key="data.test")
    except SpecError as error:
        reworded = [
            replace(problem, fix=problem.fix.replace(", or stratified = false", "")) for problem in error.problems
        ]
        raise SpecError(problem.at(file=place) for problem in reworded) from None
    return parts.training, parts.validation
