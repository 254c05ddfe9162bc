"""Reads and writes Parquet files as data hubs publish them: a column of encoded images, a column of labels."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, replacing
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import joined, part_of
from .content import Part, RawSplits
from .labels import texts_to_labels
from .limits import refuse_size
from .pictures import decode

_IMAGES = ("image", "img", "images", "pixels", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "class", "target", "y", "character", "digit")
_SIDES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation"), "val"),
    "test": "test",
}
_BATCH = 256


def read_parquet(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A Parquet file, or a folder of them: ``train-*``, ``test-*`` (and ``validation-*``, which counts as training).

    The image column holds encoded images (``{bytes, path}`` or plain bytes), or lists of numbers. Class names are
    taken from the hub's metadata where they are there.

    Raises:
        DataError: A file is damaged, has no such columns, or holds something else than images.
    """
    if path.is_file():
        part, classes, notes = _read([path], reading, groups)
        return RawSplits(part, None, classes, notes, (str(path),))
    sides = parquet_files(path)
    if not sides["train"]:
        raise DataError(Problem("it holds no train-*.parquet", "add it, or name a file as path", file=str(path)))
    training, classes, notes = _read(sides["train"], reading, groups)
    if sides["val"]:
        validation, _, more = _read(sides["val"], reading, groups)
        training = joined(training, validation)
        notes = (*notes, *more, "validation-* is part of the training split: each seed draws its own.")
    test = None
    if sides["test"]:
        test, _, more = _read(sides["test"], reading, groups)
        notes = (*notes, *more)
    return RawSplits(training, test, classes, tuple(dict.fromkeys(notes)), (str(path),))


def is_parquet_folder(folder: Path) -> bool:
    """Whether there are Parquet files in a folder, or in its folder ``data``."""
    with disk_errors(folder, "read"):
        return any(item.suffix == ".parquet" for item in folder.iterdir()) or any(folder.glob("data/*.parquet"))


def parquet_files(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of a folder by the split that their names say: ``train``, ``val`` and ``test``.

    Raises:
        DataError: There are several files, and one's name says no split.
    """
    with disk_errors(folder, "read"):
        files = sorted(file for file in folder.rglob("*.parquet") if not file.name.startswith("."))
    sides: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    for file in files:
        word = re.match(r"[a-z]+", file.name.lower())
        side = _SIDES.get(word[0] if word else "", "train" if len(files) == 1 else "")
        if not side:
            what = "its name does not say which split it is"
            raise DataError(Problem(what, "call it train-... or test-..., or name the file as path", file=str(file)))
        sides[side].append(file)
    return sides


def parquet_images(path: Path, reading: Reading) -> tuple[bool, bool, Callable[[], Iterator[Any]]]:
    """Whether the images of a Parquet file are numbers, whether they have labels, and a way to read them.

    Numbers come as arrays [n, ...], encoded images as lists of bytes, some at a time.

    Raises:
        DataError: The file is damaged, or has no column of images.
    """
    from pyarrow import parquet

    with _intact(path):
        schema = parquet.read_schema(path)
    column = _column(schema, "image", reading.image, _IMAGES, str(path))
    labels = _LABELS if reading.label is None else (reading.label,)
    is_numbers = _is_list(schema.field(column).type)

    def chunks() -> Iterator[Any]:
        with _intact(path):
            yield from _numbers(path, column, None, 0, str(path)) if is_numbers else _encoded(path, column)

    return is_numbers, any(name in schema.names for name in labels), chunks


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Turns what Arrow says about a bad file into a sentence."""
    import pyarrow as pa

    try:
        with disk_errors(path, "read"), open(path, "rb"):
            pass
        yield
    except (pa.ArrowException, ValueError, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:120]
    return DataError(Problem(f"it is no intact Parquet file ({reason})", "replace it", file=str(path)))


def _read(
    files: Sequence[Path], reading: Reading, group_spec: Groups | None
) -> tuple[Part, tuple[str, ...] | None, tuple[str, ...]]:
    import pyarrow as pa
    from pyarrow import parquet

    place = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    current = files[0]
    for path in files:
        with disk_errors(path, "read"), open(path, "rb"):
            pass
    try:
        schema = parquet.read_schema(current)
        image = _column(schema, "image", reading.image, _IMAGES, str(current))
        label = _column(schema, "label", reading.label, _LABELS, str(current))
        columns = [label]
        if group_spec is not None and group_spec.column is not None:
            if group_spec.column not in schema.names:
                what = f'there is no column "{group_spec.column}", it has {", ".join(schema.names)}'
                raise DataError(Problem(what, "name the column that says what belongs together", "data.groups", place))
            columns.append(group_spec.column)
        column_values: dict[str, list[Any]] = {name: [] for name in columns}
        for current in files:
            with parquet.ParquetFile(current) as file:
                for row_group in range(file.num_row_groups):
                    refuse_size(file.metadata.row_group(row_group).total_byte_size, str(current))
                for batch in file.iter_batches(batch_size=1 << 14, columns=columns):
                    for name in columns:
                        column_values[name] += batch.column(name).to_pylist()
        for name, values in column_values.items():
            if None in values:
                what = f"row {values.index(None) + 1} has no {'label' if name == label else name}"
                raise DataError(Problem(what, "give every image one", file=place))
        labels = column_values[label]
        groups = np.asarray([str(value) for value in column_values[columns[1]]]) if columns[1:] else None
        if _is_list(schema.field(image).type):
            numbers = _all_numbers(files, image, len(labels), place)
            part, notes = part_of(numbers, _labels(labels), place, shape=reading.shape)
            return replace(part, groups=groups), _class_names(schema, label), notes
        names = [f"row {row + 1}" for row in range(len(labels))]
        images, kept_rows, notes = decode(lambda: _contents(files, image), names, reading, place)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise _damaged(current, error) from None
    groups = None if groups is None else groups[kept_rows]
    return Part(images, _labels([labels[k] for k in kept_rows]), place, groups), _class_names(schema, label), notes


def _labels(labels: list[Any]) -> npt.NDArray[Any]:
    if all(isinstance(label, int | np.integer) for label in labels):
        return np.asarray(labels, dtype=np.int64)
    return texts_to_labels([str(label) for label in labels])


def _column(schema: Any, what: str, wanted: str | None, known: Sequence[str], place: str) -> str:
    names = [wanted] if wanted is not None else [name for name in known if name in schema.names]
    if not names or names[0] not in schema.names:
        columns = f"it has the columns {', '.join(schema.names)}"
        raise DataError(Problem(columns, f'name the {what} column: read = {{ {what} = "..." }}', file=place))
    return names[0]


def _class_names(schema: Any, label: str) -> tuple[str, ...] | None:
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        names = metadata["info"]["features"][label]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) and len(names) > 1 else None


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _numbers(
    path: Path, column: str, shape: tuple[int, ...] | None, done: int, place: str
) -> Iterator[npt.NDArray[Any]]:
    """Lists of numbers as arrays [n, ...] of one shape, that of the first unless given; ``done`` rows stand before."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=[column]):
            numbers = _dense(batch.column(0), shape, done, place)
            shape = numbers.shape[1:]
            done += len(numbers)
            yield numbers


def _all_numbers(files: Sequence[Path], column: str, count: int, place: str) -> npt.NDArray[Any]:
    """Lists of numbers, all as long as the first, as one array [n, ...]."""
    array: npt.NDArray[Any] | None = None
    row = 0
    for path in files:
        for numbers in _numbers(path, column, None if array is None else array.shape[1:], row, place):
            if array is None:
                refuse_size(count * numbers[:1].nbytes, place)
                array = np.empty((count, *numbers.shape[1:]), numbers.dtype)
            array[row : row + len(numbers)] = numbers
            row += len(numbers)
    if array is None:
        raise DataError(Problem("there are no images", "give some", file=place))
    return array


def _dense(values: Any, expected: tuple[int, ...] | None, first: int, place: str) -> npt.NDArray[Any]:
    """A column of lists as an array [n, ...]; ``first`` rows stand before it."""
    import pyarrow as pa
    from pyarrow import compute

    shape = [len(values)]

    def refuse(wrong: npt.NDArray[np.bool_], what: str) -> None:
        if wrong.any():
            row = first + int(np.flatnonzero(wrong)[0]) // math.prod(shape[1:]) + 1
            raise DataError(Problem(f"row {row} {what}", "correct it", file=place))

    while pa.types.is_nested(values.type):
        refuse(compute.is_null(values).to_numpy(zero_copy_only=False), "lacks an image or a part of one")
        lengths = compute.list_value_length(values).to_numpy(zero_copy_only=False)
        size = int(lengths[0]) if expected is None else (*expected, 0, 0)[len(shape) - 1]
        refuse(lengths != size, "has another size than the first")
        shape.append(size)
        values = values.flatten()
    refuse(compute.is_null(values).to_numpy(zero_copy_only=False), "lacks a pixel")
    dense: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(shape)
    return dense


def _encoded(path: Path, column: str) -> Iterator[list[bytes]]:
    """Encoded images, ``{bytes, path}`` or plain bytes; empty ones where there is none."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=[column]):
            values = batch.column(0).to_pylist()
            contents = [value.get("bytes") if isinstance(value, dict) else value for value in values]
            yield [content if isinstance(content, bytes) else b"" for content in contents]


def _contents(files: Sequence[Path], column: str) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(chain.from_iterable(chain.from_iterable(_encoded(path, column) for path in files)))


def write_parquet(
    path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> None:
    """Writes images as PNG in the hub's layout: ``image`` = {bytes, path}, ``label``, and the class names."""
    import pyarrow as pa
    from PIL import Image
    from pyarrow import parquet

    encoded = []
    for index, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, format="PNG")
        encoded.append({"bytes": file.getvalue(), "path": f"{index}.png"})
    features = {"image": {"_type": "Image"}, "label": {"names": list(classes), "_type": "ClassLabel"}}
    metadata = json.dumps({"info": {"features": features}})
    image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(encoded, image_type), "label": pa.array(labels, pa.int64())})
    with disk_errors(path, "written"), replacing(path) as raw:
        parquet.write_table(table.replace_schema_metadata({"huggingface": metadata}), raw)
