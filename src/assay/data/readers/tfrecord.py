"""Reads TFRecords of encoded images without TensorFlow: the framing with its checksums, and ``tf.train.Example``.

A record is its length (uint64), the length's masked CRC-32C, the bytes, and theirs. The bytes are an Example message:
features by name, each a list of bytes, floats or whole numbers (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import NO_MULTI_LABEL
from .content import RawSplits
from .labels import shown
from .shards import Shard, by_split, read_shards
from .trees import MOST_FILE_BYTES

_NAME = re.compile(r"\.tfrecords?(?:-\d+-of-\d+)?$|\.tfrec$", re.IGNORECASE)
_IMAGES = ("image", "image/encoded", "image_raw", "img", "encoded", "image_bytes", "jpeg", "png", "data")
_LABELS = ("label", "image/class/label", "image/label", "class", "target", "labels", "image/class/text", "y")
_MOST_FEATURES = 1000
_MOST_NUMBERS = 1 << 24
_MASK = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), its bits in reverse

Features = dict[str, "list[bytes] | list[int] | npt.NDArray[np.float32]"]


def is_tfrecord_name(name: str) -> bool:
    """Whether a file is called as TFRecords are: ``.tfrecord``, ``.tfrecord-00000-of-00004``, ``.tfrec``."""
    return _NAME.search(name) is not None


def tfrecord_files(folder: Path) -> list[Path]:
    """The TFRecords in a folder, in their order."""
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        return sorted(Path(item.path) for item in items if is_tfrecord_name(item.name) and item.is_file())


def read_tfrecords(path: Path, reading: Reading, _: Groups | None = None) -> RawSplits:
    """A TFRecord of encoded images, or a folder of them: ``mnist-train.tfrecord-00000-of-00001``.

    ``read.image`` and ``read.label`` name features that are called otherwise. Class names are those of
    ``label.labels.txt`` beside them, as TensorFlow Datasets write it.

    Raises:
        DataError: A file is damaged, its checksums are not those of its bytes, or its features hold something else.
    """
    sides = by_split(tfrecord_files(path), str(path)) if path.is_dir() else {"train": [path]}
    folder = path if path.is_dir() else path.parent
    splits = read_shards(sides, lambda file: _shard(file, reading), reading, str(path))
    labels, names = splits.training.labels, _class_names(folder)
    if names is None or labels is None or labels.dtype.kind != "i" or labels.max() >= len(names) or labels.min() < 0:
        return splits
    return RawSplits(splits.training, splits.test, names, splits.notes, (*splits.watched, str(folder / _CLASSES)))


_CLASSES = "label.labels.txt"


def _class_names(folder: Path) -> tuple[str, ...] | None:
    file = folder / _CLASSES
    if not file.is_file() or file.stat().st_size > 1 << 20:
        return None
    with disk_errors(file, "read"):
        names = tuple(line.strip() for line in file.read_text("utf-8", "replace").splitlines() if line.strip())
    return names if len(set(names)) == len(names) > 1 else None


def _shard(path: Path, reading: Reading) -> Shard:
    names: list[str] = []
    labels: list[str] = []
    image, label = "", ""
    for row, features in enumerate(_examples(path)):
        if not row:
            image = _chosen(features, reading.image, _IMAGES, "image", path)
            label = _chosen(features, reading.label, _LABELS, "label", path)
        values = features.get(label, [])
        if len(values) != 1:
            what = f"record {row + 1} has {len(values)} values in {label}"
            fix = NO_MULTI_LABEL
            raise DataError(Problem(what, fix, file=str(path)))
        value = values[0]
        names.append(f"record {row + 1}")
        labels.append(value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value:g}" if isinstance(
            value, np.floating) else str(value))  # fmt: skip
    if not names:
        raise DataError(Problem("it holds no records", "give some", file=str(path)))
    return Shard(path, names, labels, lambda: _images(path, image))


def _images(path: Path, image: str) -> Iterator[tuple[int, bytes]]:
    for row, features in enumerate(_examples(path)):
        values = features.get(image, [])
        content = values[0] if len(values) == 1 else b""
        if not isinstance(content, bytes):
            what = f"record {row + 1} holds numbers in {image}"
            raise DataError(Problem(what, "give encoded images (PNG or JPEG), or an .npz of arrays", file=str(path)))
        yield row, content


def _chosen(features: Features, wanted: str | None, known: tuple[str, ...], what: str, path: Path) -> str:
    name = wanted or next((name for name in known if name in features), None)
    if name is None or name not in features:
        fix = f'name the {what}: read = {{ {what} = "..." }}'
        raise DataError(Problem(f"its records hold {shown(list(features)) or 'no features'}", fix, file=str(path)))
    return name


def _examples(path: Path) -> Iterator[Features]:
    for row, record in enumerate(_records(path)):
        try:
            yield _example(record)
        except (IndexError, ValueError, struct.error, UnicodeDecodeError):
            what = f"record {row + 1} is no tf.train.Example"
            raise DataError(Problem(what, "give records of images with labels", file=str(path))) from None


def _records(path: Path) -> Iterator[bytes]:
    """The records of a file, one after another.

    Raises:
        DataError: A checksum is wrong, or the file is cut off.
    """
    checksum = _checksum()
    with disk_errors(path, "read"), regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        row = 0
        while head := file.read(12):
            row += 1
            length = int.from_bytes(head[:8], "little")
            if len(head) < 12 or _masked(checksum(head[:8])) != int.from_bytes(head[8:], "little"):
                raise _damaged(path, row, "the checksum of its length is wrong" if len(head) == 12 else "it is cut off")
            if length > min(MOST_FILE_BYTES, size):
                raise _damaged(path, row, f"it declares {length:,} bytes")
            record = _exactly(file, length, path, row)
            if _masked(checksum(record)) != int.from_bytes(_exactly(file, 4, path, row), "little"):
                raise _damaged(path, row, "its checksum is wrong")
            yield record


def _exactly(file: IO[bytes], length: int, path: Path, row: int) -> bytes:
    content = file.read(length)
    if len(content) < length:
        raise _damaged(path, row, "it is cut off")
    return content


def _damaged(path: Path, row: int, why: str) -> DataError:
    what = f"it is damaged, or no TFRecord (record {row}: {why})"
    return DataError(Problem(what, "replace it with an intact copy", file=str(path)))


def _masked(value: int) -> int:
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


@cache
def _checksum() -> Callable[[bytes], int]:
    """CRC-32C of some bytes, a table's step for each byte, compiled."""
    import numba

    rows = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        rows = np.where(rows & 1, rows >> 1 ^ np.uint32(_POLYNOMIAL), rows >> 1).astype(np.uint32)

    @numba.njit("uint32(uint8[::1], uint32[::1])", nogil=True)
    def run(values: Any, table: Any) -> Any:
        crc = np.uint32(0xFFFFFFFF)
        for value in values:
            crc = table[(crc ^ value) & np.uint32(255)] ^ (crc >> np.uint32(8))
        return crc ^ np.uint32(0xFFFFFFFF)

    return lambda content: int(run(np.frombuffer(bytearray(content), np.uint8), rows))


def _example(record: bytes) -> Features:
    """The features of a ``tf.train.Example``."""
    features: Features = {}
    for number, message in _fields(record):
        if number != 1 or not isinstance(message, memoryview):
            continue
        for inner, entry in _fields(message):
            if inner != 1 or not isinstance(entry, memoryview):
                continue
            name, value = "", memoryview(b"")
            for part, content in _fields(entry):
                if isinstance(content, memoryview):
                    name = bytes(content).decode() if part == 1 else name
                    value = content if part == 2 else value
            features[name] = _feature(value)
            if len(features) > _MOST_FEATURES:
                raise ValueError("too many features")
    return features


def _feature(message: memoryview) -> Any:
    for kind, content in _fields(message):
        if not isinstance(content, memoryview):
            continue
        if kind == 1:
            return [bytes(value) for number, value in _fields(content) if number == 1 and isinstance(value, memoryview)]
        if kind == 2:
            floats = [value for number, value in _fields(content) if number == 1]
            return np.frombuffer(b"".join(bytes(v) for v in floats if isinstance(v, memoryview)), "<f4")
        if kind == 3:
            return list(_whole_numbers(content))
    return []


def _whole_numbers(message: memoryview) -> Iterator[int]:
    """Whole numbers, packed or one by one."""
    for number, value in _fields(message):
        if number != 1:
            continue
        if isinstance(value, int):
            yield _signed(value)
            continue
        at, count = 0, 0
        while at < len(value):
            one, at = _varint(value, at)
            count += 1
            if count > _MOST_NUMBERS:
                raise ValueError("too many numbers")
            yield _signed(one)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message by number: whole numbers, or bytes."""
    view, at = memoryview(message), 0
    while at < len(view):
        key, at = _varint(view, at)
        match key & 7:
            case 0:
                value, at = _varint(view, at)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(view, at)
            case 5:
                size = 4
            case _:
                raise ValueError("a wire type that messages do not have")
        if at + size > len(view):
            raise ValueError("a field is cut off")
        yield key >> 3, view[at : at + size]
        at += size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number is too long")
