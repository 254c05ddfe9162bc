"""Reads CIFAR-10's and CIFAR-100's own files, binary batches and Python's (without running them)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, read_bounded
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .content import Part, RawSplits
from .labels import shown
from .plain_pickle import NotPlain, plain_pickle

_BATCH = re.compile(r"(?:data_batch_\d{1,2}|test_batch)(?:\.bin)?", re.IGNORECASE)
_WHOLE = {"train.bin", "test.bin"}
_NAMES = ("batches.meta.txt", "batches.meta", "meta", "fine_label_names.txt")
_SHAPE = (3, 32, 32)
_SIZE = 3 * 32 * 32
_MOST_BYTES = 1 << 29
_FINE, _COARSE = "fine_labels", "coarse_labels"


def is_batch_name(name: str) -> bool:
    """Whether a file is called as those of CIFAR are."""
    return _BATCH.fullmatch(name) is not None or name.lower() in _WHOLE


def batch_folder(folder: Path) -> Path | None:
    """The folder that holds CIFAR's files: this one, or the only one in it; ``None`` where there is none."""
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        first = [item for item, _ in zip((item for item in items if item.name[0] != "."), range(2), strict=False)]
    inner = Path(first[0].path) if len(first) == 1 and first[0].is_dir() else folder
    names = _names(inner)
    return inner if any(map(is_batch_name, names)) or {"train", "test", "meta"} <= names else None


def _names(folder: Path) -> set[str]:
    """The files of a folder that may be CIFAR's; the others are not looked at."""
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        known = [item for item in items if is_batch_name(item.name) or item.name in ("train", "test", "meta")]
        return {item.name for item in known if item.is_file()}


def read_cifar(path: Path, reading: Reading, _: Groups | None = None) -> RawSplits:
    """A folder of CIFAR's files, or one of them; of CIFAR-100's labels the fine ones unless ``read.label`` says coarse.

    Raises:
        DataError: A file is damaged, of another form, or a pickle of something else than plain data.
    """
    if reading.label not in (None, "fine", "coarse"):
        what = f'got "{reading.label}"'
        raise DataError(Problem(what, 'give "fine" or "coarse", or leave it out', "data.read.label", str(path)))
    is_coarse = reading.label == "coarse"
    folder = batch_folder(path) if path.is_dir() else None
    if folder is None:
        part, notes = _read([path], is_coarse)
        return RawSplits(part, None, None, notes, (str(path),))
    names = sorted(_names(folder) - {"meta"}, key=lambda name: (len(name), name))
    # Both forms side by side are one data set: the binary one is taken.
    files = [name for name in names if name.endswith(".bin")] or names
    training = [folder / name for name in files if "test" not in name.lower()]
    test = [folder / name for name in files if "test" in name.lower()]
    if not training:
        raise DataError(Problem(f"it holds {shown(files)}, and no training batch", "add them", file=str(folder)))
    part, notes = _read(training, is_coarse)
    test_part = _read(test, is_coarse)[0] if test else None
    classes = _class_names(folder, is_coarse)
    if classes is not None and part.labels is not None and part.labels.max() >= len(classes):
        classes = None
    return RawSplits(part, test_part, classes, notes, (str(path),))


def _read(files: Sequence[Path], is_coarse: bool) -> tuple[Part, tuple[str, ...]]:
    images, labels = [], []
    notes: tuple[str, ...] = ()
    for file in files:
        with disk_errors(file, "read"):
            content = read_bounded(file, _MOST_BYTES)
        is_pickle = file.suffix.lower() != ".bin"
        pixels, numbers, is_hundred = (
            _pickled(content, file, is_coarse) if is_pickle else _binary(content, file, is_coarse)
        )
        if is_hundred:
            kinds = ("coarse", "fine") if is_coarse else ("fine", "coarse")
            notes = (f'The {kinds[0]} labels are taken; read = {{ label = "{kinds[1]}" }} takes the others.',)
        images.append(pixels)
        labels.append(numbers)
    stacked = np.ascontiguousarray(np.concatenate(images).reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))
    place = str(files[0]) if len(files) == 1 else str(files[0].parent)
    return Part(stacked, np.concatenate(labels).astype(np.int64), place), notes


def _binary(content: bytes, file: Path, is_coarse: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any], bool]:
    is_hundred = file.name.lower() in _WHOLE
    width = _SIZE + (2 if is_hundred else 1)
    if not content or len(content) % width:
        what = f"it has {len(content):,} bytes, and CIFAR's images take {width:,} each"
        raise DataError(Problem(what, "replace it with an intact copy", file=str(file)))
    rows = np.frombuffer(content, np.uint8).reshape(-1, width)
    return rows[:, -_SIZE:], rows[:, 0 if is_coarse or not is_hundred else 1], is_hundred


def _pickled(content: bytes, file: Path, is_coarse: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any], bool]:
    try:
        values = plain_pickle(content)
    except NotPlain as error:
        fix = "give CIFAR's own file, or the images as PNG or .npz"
        raise DataError(Problem(f"{error}", fix, file=str(file))) from None
    known = values if isinstance(values, dict) else {}
    is_hundred = _FINE in known or _COARSE in known
    labels = known.get((_COARSE if is_coarse else _FINE) if is_hundred else "labels")
    images = known.get("data")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (_SIZE,):
        images = np.empty((0, _SIZE), np.uint8)
    if not isinstance(labels, list) or not all(isinstance(label, int) and 0 <= label < 1000 for label in labels):
        labels = []
    if len(labels) != len(images) or not labels:
        what = f"it holds {shown(list(known)) or type(values).__name__}, and no data [n, 3072] with a label each"
        raise DataError(Problem(what, "give CIFAR's own file", file=str(file)))
    return images, np.asarray(labels), is_hundred


def _class_names(folder: Path, is_coarse: bool) -> tuple[str, ...] | None:
    """Class names from the file that lies beside the batches, where it can be read."""
    for name in _NAMES:
        file = folder / name
        if not file.is_file():
            continue
        with disk_errors(file, "read"):
            content = read_bounded(file, 1 << 20)
        if name.endswith(".txt"):
            if is_coarse and name.startswith("fine"):
                continue
            names = [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        else:
            try:
                values = plain_pickle(content)
            except NotPlain:
                continue
            keys = ("coarse_label_names",) if is_coarse else ("label_names", "fine_label_names")
            found = next((values[key] for key in keys if isinstance(values, dict) and key in values), None)
            names = [str(_text(one)) for one in found] if isinstance(found, list) else []
        if len(set(names)) == len(names) > 1:
            return tuple(names)
    return None


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value
