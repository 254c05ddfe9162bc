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

from ...disk import disk_errors, regular_file, replacing
from ...errors import DataError, Problem
from ...extras import needed
from ...spec import Groups, Reading
from .arrays import joined, part_of
from .content import Part, RawSplits, validation_note
from .labels import texts_to_labels
from .limits import refuse_ratio, refuse_size
from .pictures import decode
from .sides import rows_of_splits, side_of

_IMAGES = ("image", "img", "images", "pixels", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "class", "target", "y", "character", "digit")
_SPLITS = ("split", "set", "subset", "partition")
_BATCH = 256
_BATCH_BYTES = 64 << 20


def read_parquet(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A Parquet file, or a folder of them: ``train-*``, ``test-*`` (and ``validation-*``, which counts as training).

    The image column holds encoded images (``{bytes, path}`` or plain bytes), or lists of numbers. Class names are
    taken from the hub's metadata where they are there.

    Raises:
        DataError: A file is damaged, has no such columns, or holds something else than images.
    """
    if path.is_file():
        return _split_by_column([path], reading, groups, str(path))
    sides = parquet_files(path)
    if not sides["train"]:
        raise DataError(Problem("it holds no train-*.parquet", "add it, or name a file as path", file=str(path)))
    if not sides["val"] and not sides["test"]:
        return _split_by_column(sides["train"], reading, groups, str(path))
    training, classes, notes = _read(sides["train"], reading, groups)
    if sides["val"]:
        validation, _, more = _read(sides["val"], reading, groups)
        training = joined(training, validation)
        notes = (*notes, *more, validation_note("The images of validation-*"))
    test = None
    if sides["test"]:
        test, _, more = _read(sides["test"], reading, groups)
        notes = (*notes, *more)
    return RawSplits(training, test, classes, tuple(dict.fromkeys(notes)), (str(path),))


def _split_by_column(files: Sequence[Path], reading: Reading, groups: Groups | None, place: str) -> RawSplits:
    """The splits of files whose names say none, by a column such as ``split`` where they have one."""
    parquet = needed("pyarrow.parquet", "Parquet files")

    with _intact(files[0]):
        names = parquet.read_schema(files[0]).names
        column = next((name for name in names if name.lower() in _SPLITS), None)
        values = [
            str(value)
            for path in files
            if column is not None
            for value in parquet.read_table(path, columns=[column]).column(0).to_pylist()
        ]
    rows = rows_of_splits(values)
    part, classes, notes = _read(files, reading, groups)
    if column is None:
        return RawSplits(part, None, classes, notes, (place,))
    if isinstance(rows, int):
        left_out = f'The column {column} is left out: "{values[rows]}" is no split.'
        return RawSplits(part, None, classes, (*notes, left_out), (place,))
    if len(part.images) != len(values):
        what = f"its column {column} says splits, and some rows hold no image"
        raise DataError(Problem(what, "remove those rows", file=place))
    if "train" not in rows:
        what = f'no row has "train" in the column {column}'
        raise DataError(Problem(what, "add training images, or remove the column", file=place))
    is_validation = np.zeros(len(values), dtype=bool)
    is_validation[rows.get("val", [])] = True
    test = _chosen(part, rows["test"]) if "test" in rows else None
    others = np.setdiff1d(np.arange(len(values)), rows.get("test", []))
    training = _chosen(part, others)
    if "val" in rows:
        training = replace(training, validation=is_validation[others])
        notes = (*notes, validation_note(f"Rows with {values[int(rows['val'][0])]} in the column {column}"))
    return RawSplits(training, test, classes, (*notes, f"The column {column} says which split a row is of."), (place,))


def _chosen(part: Part, rows: npt.NDArray[np.int64]) -> Part:
    """Some rows of a part; all of them without a copy."""
    if len(rows) == len(part.images):
        return part
    labels, groups = (None if values is None else values[rows] for values in (part.labels, part.groups))
    return Part(part.images[rows], labels, part.place, groups)


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
        side = side_of(re.split(r"-?\d", file.stem)[0])
        side = "train" if side is None and len(files) == 1 else "test" if side == "eval" else side
        if side not in sides:
            what = "its name does not say which split it is"
            raise DataError(Problem(what, "call it train-... or test-..., or name the file as path", file=str(file)))
        sides[side].append(file)
    return sides


def holds_numbers(path: Path, reading: Reading) -> bool:
    """Whether the images of a Parquet file, or of a folder's first one, are lists of numbers.

    Raises:
        DataError: The file is damaged. What else is wrong is said when it is read.
    """
    parquet = needed("pyarrow.parquet", "Parquet files")

    if path.is_dir():
        with disk_errors(path, "read"):
            path = min(path.rglob("*.parquet"))
    with _intact(path):
        schema = parquet.read_schema(path)
    known = _IMAGES if reading.image is None else (reading.image,)
    column = next((name for name in known if name in schema.names), None)
    return column is not None and _is_list(schema.field(column).type)


def parquet_images(path: Path, reading: Reading) -> tuple[bool, bool, Callable[[], Iterator[Any]]]:
    """Whether the images of a Parquet file are numbers, whether they have labels, and a way to read them.

    Numbers come as arrays [n, ...], encoded images as lists of bytes, some at a time.

    Raises:
        DataError: The file is damaged, or has no column of images.
    """
    parquet = needed("pyarrow.parquet", "Parquet files")

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
    pa = needed("pyarrow", "Parquet files")

    try:
        with disk_errors(path, "read"), regular_file(path):
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
    pa = needed("pyarrow", "Parquet files")
    parquet = needed("pyarrow.parquet", "Parquet files")

    place = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    current = files[0]
    for path in files:
        with disk_errors(path, "read"), regular_file(path):
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
    pa = needed("pyarrow", "Parquet files")

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _numbers(
    path: Path, column: str, shape: tuple[int, ...] | None, done: int, place: str
) -> Iterator[npt.NDArray[Any]]:
    """Lists of numbers as arrays [n, ...] of one shape, that of the first unless given; ``done`` rows stand before."""
    parquet = needed("pyarrow.parquet", "Parquet files")

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
    pa = needed("pyarrow", "Parquet files")
    compute = needed("pyarrow.compute", "Parquet files")

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


def _rows_at_a_time(file: Any, column: str, place: str) -> int:
    """How many encoded images to read at a time, by the sizes that the file declares.

    Raises:
        DataError: They are packed tighter than images can be, or do not fit into memory.
    """
    metadata = file.metadata
    declared = packed = largest = 0
    for row_group in range(metadata.num_row_groups):
        group = metadata.row_group(row_group)
        chunks = [group.column(number) for number in range(group.num_columns)]
        chunks = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] == column]
        declared += sum(chunk.total_uncompressed_size for chunk in chunks)
        packed += sum(chunk.total_compressed_size for chunk in chunks)
        largest = max(largest, *(chunk.total_uncompressed_size for chunk in chunks), 0)
    refuse_ratio(declared, packed, place)
    refuse_size(2 * largest, place)  # Arrow's buffers, and the images as bytes
    rows: int = _BATCH_BYTES * max(metadata.num_rows, 1) // max(declared, 1)
    return max(1, min(_BATCH, rows))


def _encoded(path: Path, column: str) -> Iterator[list[bytes]]:
    """Encoded images, ``{bytes, path}`` or plain bytes; empty ones where there is none."""
    parquet = needed("pyarrow.parquet", "Parquet files")

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_rows_at_a_time(file, column, str(path)), columns=[column]):
            values = batch.column(0).to_pylist()
            contents = [value.get("bytes") if isinstance(value, dict) else value for value in values]
            yield [content if isinstance(content, bytes) else b"" for content in contents]


def _contents(files: Sequence[Path], column: str) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(chain.from_iterable(chain.from_iterable(_encoded(path, column) for path in files)))


def write_parquet(
    path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> None:
    """Writes images as PNG in the hub's layout: ``image`` = {bytes, path}, ``label``, and the class names."""
    pa = needed("pyarrow", "Parquet files")
    from PIL import Image

    parquet = needed("pyarrow.parquet", "Parquet files")

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
