"""Prepares data sets: raw files are read once and written as memory maps, which open without reading."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..disk import disk_errors, locked, replacing, write
from ..errors import DataError, Problem, SpecError
from ..spec import Data
from .hub import hub_folder, is_hub_address
from .location import arrays_folder, lock_file, raw_folder, source_note
from .readers.content import Content, Rows
from .readers.idx import idx_sha256
from .registry import raw
from .registry.digits import read_digits
from .registry.entries import Entry
from .registry.lookup import entry, known
from .types import DatasetInfo, Images, TestData, TrainingData
from .watch import stamp

_ARRAYS = ("train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy")
_GROUPS = "train-groups.npy"
_VALIDATION = "train-validation.npy"
_NOTE = "info.json"
_FORMAT = 2  # raise it to rebuild the memory maps of every data set
_READERS = 3  # raise it where files are read in another way than before: they are then read again


@dataclass(frozen=True)
class Dataset:
    """A prepared data set; its images are read from disk as they are used.

    Args:
        info: Its name, shapes, classes and counts.
        folder: Its memory maps.
        names: The file of the names of its images' files, where they are files of the user's own.
    """

    info: DatasetInfo
    folder: Path
    names: Path | None = None

    def names_of(self, side: Literal["train", "test"]) -> tuple[str, ...] | None:
        """What the files of these images are called, in their order; ``None`` where they are no files."""
        try:
            names = None if self.names is None else json.loads(self.names.read_bytes()).get(side)
        except (OSError, ValueError, AttributeError):
            return None
        count = self.info.num_training if side == "train" else self.info.num_test
        return tuple(map(str, names)) if isinstance(names, list) and len(names) == count else None

    def training_files(self) -> tuple[Path, Path]:
        """Files of training images and labels, which is all that a worker process receives. See ``open_training``."""
        return self.folder / _ARRAYS[0], self.folder / _ARRAYS[1]

    def training(self) -> TrainingData:
        """The training data, validation images included.

        Raises:
            DataError: The memory maps are damaged or gone.
        """
        return open_training(*self.training_files(), self.groups_file(), self.validation_file())

    def record(self, *, is_given: bool = False) -> dict[str, Any]:
        """What a study remembers about its data set, as JSON values: ``DatasetInfo.record``, and the accuracy of
        guessing, which is the share that the most common class of training images has among those that are judged.

        Args:
            is_given: Validation images are the source's own, whose classes may have other shares.
        """
        training = self.training()
        labels = learned = judged = np.asarray(training.labels)
        if is_given and training.validation is not None:
            learned, judged = labels[~training.validation], labels[training.validation]
        guess = np.bincount(learned).argmax() if len(learned) else 0
        return {**self.info.record(), "largest_class": float((judged == guess).mean()) if len(judged) else 1.0}

    def groups_file(self) -> Path | None:
        """Groups of the training data, where they have any."""
        path = self.folder / _GROUPS
        return path if path.exists() else None

    def validation_file(self) -> Path | None:
        """Which training images are the source's own validation part, where a study asks for it."""
        path = self.folder / _VALIDATION
        return path if path.exists() else None

    def published_files(self, protocol: Data) -> tuple[Path, Path] | None:
        """Images and labels of the test data where a study validates on them as published, else ``None``."""
        is_declared = protocol.is_leaky and protocol.as_published
        return (self.folder / _ARRAYS[2], self.folder / _ARRAYS[3]) if is_declared else None

    def test(self) -> TestData:
        """The sealed images. Training and search code never call this.

        Raises:
            DataError: There is no test split, it has no labels, or the memory maps are damaged or gone.
        """
        if not self.info.num_test or not self.info.is_test_labelled:
            lack = "its test images have no labels" if self.info.num_test else "it has no test split"
            fix = "give [data] a test split: test = a file or folder with labels, or a share such as 0.2"
            raise DataError(Problem(f"{self.info.title} cannot be revealed, {lack}", fix, "data.test"))
        images, labels = (_open(self.folder / name) for name in _ARRAYS[2:])
        return TestData(images, labels)

    def test_images(self) -> Images:
        """The sealed images without their labels: to look for copies among them, or to hand them on as files.

        Raises:
            DataError: There is no test split, or the memory maps are damaged or gone.
        """
        if not self.info.num_test:
            raise DataError(Problem(f"{self.info.title} has no test split", "give [data] one", "data.test"))
        images: Images = _open(self.folder / _ARRAYS[2])
        return images


def open_training(
    images: Path, labels: Path, groups: Path | None = None, validation: Path | None = None
) -> TrainingData:
    """The training data in files of a prepared data set, as read-only memory maps.

    Args:
        images: A ``.npy`` file with uint8 [n, height, width, channels].
        labels: A ``.npy`` file with int64 [n].
        groups: The same for groups, where the data have any.
        validation: The same, bool [n], for the source's own validation part, where a study asks for it.

    Raises:
        DataError: A file is damaged, gone, or belongs to a test split.
    """
    for path in (images, labels):
        if path.name in _ARRAYS[2:]:
            raise DataError(Problem("the test split is sealed, it is no training data", "give train-*", file=str(path)))
    more = (None if path is None else _open(path) for path in (groups, validation))
    return TrainingData(_open(images), _open(labels), *more)


def open_published(images: Path, labels: Path, protocol: Data) -> TestData:
    """The test data, for a study that repeats a published protocol: the one way past the seal besides ``reveal``.

    Args:
        images: A ``.npy`` file with uint8 [n, height, width, channels].
        labels: A ``.npy`` file with int64 [n].
        protocol: What the study says of its data.

    Raises:
        DataError: The study does not validate on the test images as published, or a file is damaged or gone.
    """
    if not (protocol.is_leaky and protocol.as_published):
        fix = 'they are for validation = "test" with as_published = true'
        raise DataError(Problem("the test split is sealed", fix, file=str(images)))
    return TestData(_open(images), _open(labels))


def prepare(source: str | Data) -> Dataset:
    """Makes a data set ready for use: verifies or reads its raw files and builds its memory maps, once.

    Later calls open in milliseconds and need no raw files of a registered data set. Damaged memory maps are built
    again. Processes that prepare the same data set at the same time wait for the first one.

    Args:
        source: A name from the registry, or data as a study names them.

    Raises:
        SpecError: The registry has no such data set, or the data are not what the spec says.
        DataError: Raw files are missing, damaged or not the right ones, or a folder cannot be used.
        DiskFull: There is no space left for the memory maps.
    """
    data = Data(name=source) if isinstance(source, str) else source
    if data.corrections is not None and data.path is None and data.content is not None:
        plain = data.model_copy(update={"corrections": None})  # the arrays that the content names are corrected
        return _corrected(prepare(plain), Path(data.corrections))
    if data.path is not None and is_hub_address(data.path):
        local = data.model_copy(update={"path": str(hub_folder(data.path)), "name": data.name or data.path})
        dataset = _prepare_path(local)
    elif data.path is not None:
        dataset = _prepare_path(data)
    elif data.content is not None and (not data.name or data.name not in known()):
        dataset = _prepared(data, data.content)
    else:
        dataset = prepare_entry(entry(data.name))
    if data.corrections is not None:
        dataset = _corrected(dataset, Path(data.corrections))
    if data.is_given and dataset.validation_file() is None:
        what = f"{dataset.info.title} has no validation part of its own"
        raise SpecError(Problem(what, "give a share such as 0.1, which is drawn", "data.validation", data.path or ""))
    if data.content is not None and dataset.info.content != data.content:
        what = f"its content's SHA-256 should be {data.content}, and it is {dataset.info.content}"
        raise DataError(Problem(what, "give the files that the study was written for", "data.content", data.path or ""))
    return dataset


def info_of(data: Data) -> DatasetInfo:
    """The description of a study's data. A registered data set is not read; a user's own files are prepared.

    Raises:
        SpecError, DataError, DiskFull: As in ``prepare``.
    """
    if data.path is None and data.content is None and data.corrections is None and not data.is_given:
        return entry(data.name).info
    return prepare(data).info


def is_available(name: str) -> bool:
    """Whether the data set can be prepared without fetching anything; its raw files are not read.

    Raises:
        SpecError: The registry has no such data set.
    """
    registered = entry(name)
    folder = raw_folder(registered.place)
    has_raw = all((folder / file.name).exists() for file in registered.files)
    if registered.packed:
        return has_raw or _noted(_packed_note(registered)) is not None
    return registered.is_bundled or has_raw or _is_whole(arrays_folder(registered.content), registered.content)


def prepare_entry(entry: Entry) -> Dataset:
    """``prepare`` for an entry that need not be in the registry."""
    if entry.packed:
        return _prepare_packed(entry)
    dataset = Dataset(entry.info, arrays_folder(entry.content))
    with disk_errors(dataset.folder, "read"):
        is_whole = _is_whole(dataset.folder, entry.content)
    if not is_whole:
        with disk_errors(dataset.folder, "written"), locked(lock_file("prepare", entry.content)):
            if not _is_whole(dataset.folder, entry.content):  # nobody built it while this process waited
                _write(dataset, _registered(entry))
    return dataset


def keep(content: Content, name: str, title: str, sources: tuple[str, ...] = ()) -> Dataset:
    """Builds the memory maps of any content, unless they are there."""
    images, _ = content.training
    _, height, width, channels = images.shape
    info = DatasetInfo(
        name=name,
        title=title,
        height=height,
        width=width,
        channels=channels,
        classes=content.classes,
        num_training=len(images),
        num_test=0 if content.test is None else len(content.test[0]),
        content=content.sha256(),
        licence="",
        citation="",
        sources=sources,
        test_split_note=content.test_split_note,
        is_test_labelled=content.test is not None and content.test[1] is not None,
        notes=content.notes,
        dtype=images.values.dtype.name,
        num_validation=0 if content.validation is None else int(content.validation.values.sum()),
    )
    dataset = Dataset(info, arrays_folder(info.content))
    if _is_whole(dataset.folder, info.content):
        return dataset
    with disk_errors(dataset.folder, "written"), locked(lock_file("prepare", info.content)):
        if not _is_whole(dataset.folder, info.content):
            _write(dataset, content)
    return dataset


def _prepare_packed(entry: Entry) -> Dataset:
    """A data set whose content hash is not known before its files are read: read once, then recorded in a note."""
    from .registry.unpack import unpack

    note = _packed_note(entry)
    with ExitStack() as locks:
        with disk_errors(note, "written"):
            locks.enter_context(locked(lock_file("source", note.stem)))
        if (prepared := _noted(note)) is None:
            content = unpack(entry, raw.find_all(entry, raw_folder(entry.place)))
            prepared = keep(content, entry.name, entry.title, entry.sources)
            _write_note(note, {"watched": [], "stamp": stamp([])}, prepared)
    info = prepared.info
    counts = {"num_training": info.num_training, "num_test": info.num_test}
    return Dataset(replace(entry.info, content=info.content, **counts), prepared.folder)  # type: ignore[arg-type]


def _packed_note(entry: Entry) -> Path:
    identity = [_FORMAT, entry.name, entry.form, *(f"{file.name} {file.packed}" for file in entry.packed)]
    return source_note(hashlib.sha256(json.dumps(identity).encode()).hexdigest())


def _write_note(note: Path, values: dict[str, Any], dataset: Dataset) -> None:
    record = {**values, "content": dataset.info.content, "info": asdict(dataset.info)}
    with disk_errors(note, "written"):
        note.parent.mkdir(parents=True, exist_ok=True)
        with replacing(note) as file:
            file.write(json.dumps(record).encode())


def _prepare_path(data: Data) -> Dataset:
    """A user's own files: read when they or their read options have changed, else opened through their note."""
    from .sources import read_source

    options = data.model_dump(mode="json", include={"path", "test", "groups", "read"})
    if data.is_given:
        options["validation"] = "given"
    key = hashlib.sha256(json.dumps([_FORMAT, _READERS, options], sort_keys=True).encode()).hexdigest()
    note = source_note(key)
    title = data.name or Path(data.path or "").name
    names = note.with_suffix(".names.json")
    if (prepared := _noted(note)) is not None:  # a cache that cannot be written is read
        return Dataset(replace(prepared.info, name=title, title=title), prepared.folder, names)
    with ExitStack() as locks:
        with disk_errors(note, "written"):
            locks.enter_context(locked(lock_file("source", key)))
        if (prepared := _noted(note)) is not None:
            return Dataset(replace(prepared.info, name=title, title=title), prepared.folder, names)
        places = [place for place in (data.path, data.test) if isinstance(place, str) and os.path.exists(place)]
        with disk_errors(Path(data.path or ""), "read"):
            before = stamp(places)
        content, watched = read_source(data)
        with disk_errors(Path(data.path or ""), "read"):
            values: dict[str, Any] = {"watched": watched, "stamp": stamp(watched)}
            if before != stamp(places):
                raise DataError(Problem("files changed while they were read", "try again", file=str(data.path)))
        dataset = replace(keep(content, title, title, (str(data.path),)), names=names)
        if content.names:
            write(names, json.dumps(content.names).encode())
        else:
            names.unlink(missing_ok=True)
        _write_note(note, values, dataset)
    return dataset


def _corrected(dataset: Dataset, table: Path) -> Dataset:
    """A data set with the corrections of a table: its content is its own, so that runs know which labels they learned.

    Raises:
        DataError: The table cannot be read, or does not fit these data.
    """
    from .corrections import corrected_labels, read_corrections

    corrections = read_corrections(table)
    rows = [[row.image, row.label, row.corrected] for row in corrections]
    key = hashlib.sha256(json.dumps([_FORMAT, "corrected", dataset.info.content, rows]).encode()).hexdigest()
    training = dataset.training()
    names = {"train": dataset.names_of("train"), "test": dataset.names_of("test")}
    labels, notes = corrected_labels(corrections, training.labels, dataset.info.classes, names, str(table))
    if np.array_equal(labels, training.labels):
        return replace(dataset, info=replace(dataset.info, notes=(*dataset.info.notes, *notes)))
    note = source_note(key)
    about = replace(dataset.info, notes=(*dataset.info.notes, *notes))
    if (prepared := _noted(note)) is None:
        files = {name: dataset.folder / name for name in (*_ARRAYS[2:], _GROUPS, _VALIDATION)}
        others = {name: Rows(_open(file)) for name, file in files.items() if file.exists()}
        test = (others[_ARRAYS[2]], others.get(_ARRAYS[3])) if _ARRAYS[2] in others else None
        content = Content(
            (Rows(training.images), Rows(labels)), test, about.classes, about.notes, about.test_split_note,
            others.get(_GROUPS), others.get(_VALIDATION),
        )  # fmt: skip
        prepared = keep(content, about.name, about.title, about.sources)
        _write_note(note, {"watched": [], "stamp": stamp([])}, prepared)
    return replace(dataset, info=replace(about, content=prepared.info.content), folder=prepared.folder)


def _noted(note: Path) -> Dataset | None:
    """The data set that a note records, if its files are unchanged and its memory maps are complete."""
    try:
        values = json.loads(note.read_bytes())
        folder = arrays_folder(values["content"])
        if not _is_whole(folder, values["content"]) or stamp(values["watched"]) != values["stamp"]:
            return None
        return Dataset(_info(values["info"]), folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prepared(data: Data, content: str) -> Dataset:
    folder = arrays_folder(content)
    with disk_errors(folder, "read"):
        if not _is_whole(folder, content):
            what = f"the arrays {content[:12]}... are not (or no longer) in the cache"
            raise DataError(Problem(what, "hand them over again with assay.arrays(...)", "data.content"))
        info = _info(json.loads((folder / _NOTE).read_bytes())["about"])
    return Dataset(replace(info, name=data.name or info.name, title=data.name or info.title), folder)


def _info(values: dict[str, Any]) -> DatasetInfo:
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return DatasetInfo(**{**values, **lists})


def _write(dataset: Dataset, content: Content) -> None:
    folder = dataset.folder
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(".*.tmp"):  # a process that was killed; the lock keeps living ones out
        stale.unlink(missing_ok=True)
    arrays = content.arrays()
    for name, rows in arrays.items():
        header = {"descr": np.lib.format.dtype_to_descr(rows.values.dtype), "fortran_order": False, "shape": rows.shape}
        with replacing(folder / name) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for chunk in rows.chunks():
                file.write(chunk.data.cast("B"))
    # The note is written last: if it exists, the arrays were complete.
    sizes = {name: (folder / name).stat().st_size for name in arrays}
    note = {"format": _FORMAT, **dataset.info.record(), "bytes": sizes, "about": asdict(dataset.info)}
    with replacing(folder / _NOTE) as file:
        file.write(json.dumps(note, indent=2).encode())


def _registered(entry: Entry) -> Content:
    training_images, training_labels, test_images, test_labels = (
        _bundled(entry) if entry.is_bundled else raw.read_all(entry, raw_folder(entry.place))
    )
    shape = (-1, *entry.info.shape)
    return Content(
        (Rows(training_images.reshape(shape)), Rows(training_labels.astype(np.int64))),
        (Rows(test_images.reshape(shape)), Rows(test_labels.astype(np.int64))),
        entry.classes,
        (),
        entry.test_split_note,
    )


def _bundled(entry: Entry) -> tuple[Images, Images, Images, Images]:
    training_images, training_labels, test_images, test_labels = read_digits()
    arrays = (training_images, training_labels.astype(np.uint8), test_images, test_labels.astype(np.uint8))
    if tuple(map(idx_sha256, arrays)) != entry.sha256:
        what = f"the installed scikit-learn has other images than the {entry.name} that Assay knows"
        raise DataError(Problem(what, "install the scikit-learn version that Assay asks for", "data.name"))
    return arrays


def _is_whole(folder: Path, content: str) -> bool:
    """Whether the note is for this content and every array has the size that the note records."""
    try:
        note = json.loads((folder / _NOTE).read_bytes())
        sizes = note["bytes"]
        fits = note["format"] == _FORMAT and note["content"] == content and set(_ARRAYS[:2]) <= set(sizes)
        return fits and all(os.stat(folder / name).st_size == size for name, size in sizes.items())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return False


def _open(path: Path) -> Any:
    try:
        with disk_errors(path, "read"):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        fix = "prepare the data set again, which rebuilds it"
        raise DataError(Problem(f"this memory map is damaged ({error})", fix, file=str(path))) from error
