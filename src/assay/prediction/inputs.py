"""Images to be classified, from any source, a few megabytes at a time: memory does not grow with their number."""

from __future__ import annotations

import gzip
import math
import tokenize
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from ..data.readers.delimited import first_rows
from ..data.readers.idx import idx_chunks
from ..data.readers.pictures import SUFFIXES, decode
from ..data.readers.trees import MOST_FILE_BYTES, Tree, is_archive_name, tree_of
from ..disk import telling
from ..errors import DataError, Problem
from ..spec import Reading
from ..train.device import num_cores

CHUNK_BYTES = 1 << 23  # of values; of a table's text half as much
_PICTURES = 200  # encoded images at a time
_MOST_LINE_BYTES = 1 << 24
_ARRAY_NAMES = (
    *("x_test", "X_test", "test_images", "test_x", "test_data", "images", "x", "X", "data", "image", "arr_0"),
    *("x_train", "X_train", "train_images"),
)
_OTHER_COLUMNS = ("label", "labels", "class", "classes", "target", "y", "digit", "category", "id", "index", "", "image")
_ROW_NAMES = ("id", "index", "image")

Extra = Literal["first", "last"]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some images as their source holds them.

    Args:
        values: Numbers [n, height, width, channels]; 0 to 255 or 0 to 1 is still to be found out.
        names: What each is called; ``None`` where they are counted.
        place: Where they come from, for messages.
        kind: What one is in its source, for messages.
        is_picture: Decoded from PNG, JPEG or the like: uint8, or float32 in 0 to 1.
    """

    values: npt.NDArray[Any]
    names: tuple[str, ...] | None
    place: str
    kind: str = "image"
    is_picture: bool = False


def read_images(
    paths: Sequence[Path], shape: tuple[int, int, int], *, resize: bool = False, extra: Extra | None = None
) -> Iterator[Chunk]:
    """The images of these files and folders in their order.

    What a file is follows from its first bytes: an encoded image (PNG, JPEG, ...), IDX, ``.npz``, ``.npy``, an archive
    of images, or else a table with one image a row (CSV, TSV, ...); IDX and tables may be gzipped.

    Args:
        paths: Files, folders, archives.
        shape: Height, width and channels that are wanted: how the cells of a row are read.
        resize: Whether encoded images of another size are resized as they are decoded.
        extra: Which column of a table without a header is no pixel, if one is not.

    Raises:
        DataError: A file cannot be read or holds no images.
    """
    for path in paths:
        yield from _read(path, shape, resize, extra)


def _read(path: Path, shape: tuple[int, int, int], resize: bool, extra: Extra | None) -> Iterator[Chunk]:
    if path.is_dir():
        yield from _tree(tree_of(path), shape, resize)
        return
    head = _head(path)
    if head[:4] == b"PK\x03\x04" and not _holds_arrays(path):
        yield from _tree(tree_of(path), shape, resize)
    elif head[:2] == b"PK":
        yield from _npz(path, shape)
    elif head[:6] == b"\x93NUMPY":
        with telling(path, "read"), open(path, "rb") as file:
            yield from _array(file, shape, str(path))
    elif head[:2] == b"\0\0" and head[2:3] in b"\x08\x09\x0b\x0c\x0d\x0e":
        for values in idx_chunks(path, CHUNK_BYTES):
            yield Chunk(as_images(values, shape, str(path)), None, str(path))
    elif is_archive_name(path.name):
        yield from _tree(tree_of(path), shape, resize)
    elif path.suffix.lower() in SUFFIXES or _is_picture(head):
        yield from _pictures([path.name], [_bytes(path)], str(path.parent), shape, resize)
    else:
        yield from _table(path, shape, extra)


def _head(path: Path) -> bytes:
    """The first bytes, unpacked where they are gzipped."""
    with telling(path, "read"), open(path, "rb") as file:
        head = file.read(16)
        if head[:2] != b"\x1f\x8b" or is_archive_name(path.name):
            return head
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return stream.read(16)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return head


def _is_picture(head: bytes) -> bool:
    marks = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    is_portable = head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return head.startswith(marks) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or is_portable


def _bytes(path: Path) -> bytes:
    with telling(path, "read"), open(path, "rb") as file:
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise _broken(str(path), "it is too large for an image", "give a smaller one")
    return content


def _broken(place: str, what: str, fix: str = "replace it with an intact copy") -> DataError:
    return DataError(Problem(what, fix, file=place))


def _tree(tree: Tree, shape: tuple[int, int, int], resize: bool) -> Iterator[Chunk]:
    names = [name for name in tree.names() if name[-1].lower().endswith(SUFFIXES)]
    if not names:
        raise _broken(tree.place, "it holds no image files", f"give files such as {', '.join(SUFFIXES[:3])}")
    for start in range(0, len(names), _PICTURES):
        some = names[start : start + _PICTURES]
        contents = [b""] * len(some)
        for index, content in tree.contents(some):
            contents[index] = content
        yield from _pictures(["/".join(name) for name in some], contents, tree.place, shape, resize)


def _pictures(
    names: Sequence[str], contents: Sequence[bytes], place: str, shape: tuple[int, int, int], resize: bool
) -> Iterator[Chunk]:
    """Decoded one by one, since each may be grey or colour; those that are alike are handed out together."""
    reading = Reading(size=shape[:2]) if resize else Reading()
    waiting: list[npt.NDArray[Any]] = []
    told: list[str] = []
    for name, content in zip(names, contents, strict=True):
        try:
            image, *_ = decode(lambda content=content: [(0, content)], [name], reading, place)  # type: ignore[misc]
        except DataError as error:
            reason = error.problems[0].what.partition("(")[2].rpartition(")")[0]
            raise _broken(place, f"{name} is no image that can be read ({reason})", "remove or replace it") from None
        if waiting and (image.shape, image.dtype) != (waiting[0].shape, waiting[0].dtype):
            yield Chunk(np.concatenate(waiting), tuple(told), place, is_picture=True)
            waiting, told = [], []
        waiting.append(image)
        told.append(name)
    if waiting:
        yield Chunk(np.concatenate(waiting), tuple(told), place, is_picture=True)


def _holds_arrays(path: Path) -> bool:
    try:
        with telling(path, "read"), zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise _broken(str(path), f"it is a damaged archive ({error})") from None


def _npz(path: Path, shape: tuple[int, int, int]) -> Iterator[Chunk]:
    place = str(path)
    try:
        with telling(path, "read"), zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            chosen = names[0] if len(names) == 1 else next((name for name in _ARRAY_NAMES if name in names), None)
            if chosen is None:
                raise _broken(place, f"it holds {', '.join(names)}", "call the images x_test or images")
            with archive.open(f"{chosen}.npy") as stream:
                yield from _array(stream, shape, f"{place}, {chosen}")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise _broken(place, f"it is a damaged archive ({error})") from None


def _array(stream: IO[bytes], shape: tuple[int, int, int], place: str) -> Iterator[Chunk]:
    """An array in NumPy's format, read as it comes; objects are refused, since they would be code."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        declared, is_fortran, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError, OverflowError, RecursionError) as error:
        raise _broken(place, f"it is no NumPy array ({' '.join(str(error).split())[:80]})") from None
    if dtype.hasobject or dtype.kind not in "buif":
        raise _broken(place, f"it holds {dtype} values", "save numbers: uint8 [image, height, width]")
    if is_fortran:
        raise _broken(place, "its values lie in Fortran order", "save np.ascontiguousarray(images)")
    if declared in (shape, shape[:2]):  # one image
        declared = (1, *declared)
    if len(declared) < 2 or 0 in declared[1:]:
        told = " x ".join(map(str, declared))
        raise _broken(place, f"its shape is {told or 'that of one number'}", "give [image, height, width]")
    size = math.prod(declared[1:]) * dtype.itemsize
    if size > CHUNK_BYTES:
        raise _broken(place, f"one image would take {size:,} bytes", "give [image, height, width]")
    step = max(1, CHUNK_BYTES // size)
    for start in range(0, declared[0], step):
        count = min(step, declared[0] - start)
        body = stream.read(count * size)
        if len(body) < count * size:
            raise _broken(
                place, f"it declares {declared[0]:,} images and ends within image {start + len(body) // size + 1}"
            )
        values = np.frombuffer(body, dtype).reshape(count, *declared[1:])
        yield Chunk(as_images(values, shape, place), None, place)


def as_images(values: npt.NDArray[Any], shape: tuple[int, int, int], place: str) -> npt.NDArray[Any]:
    """[n, height, width, channels], whatever of it was left out or stood elsewhere.

    Raises:
        DataError: It is no array of images.
    """
    if values.ndim == 2 and values.shape[1] == math.prod(shape):
        return values.reshape(-1, *shape)
    if values.ndim == 3:
        return values[..., None]
    if values.ndim == 4 and values.shape[3] in (1, 3):
        return values
    if values.ndim == 4 and values.shape[1] in (1, 3):
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    told = " x ".join(map(str, values.shape[1:])) or "single numbers"
    wanted = " x ".join(map(str, shape))
    raise _broken(place, f"its images are {told}", f"the network takes {wanted}: give [image, height, width, channels]")


def _table(path: Path, shape: tuple[int, int, int], extra: Extra | None) -> Iterator[Chunk]:
    """A table of pixels, one image a row, parsed a few megabytes at a time."""
    place, width = str(path), math.prod(shape)
    rows = first_rows(path)
    if not rows or not rows[0]:
        raise _broken(place, "it is empty, or no file of images", "give images, a folder, a table, IDX or .npz")
    has_header = not any(_is_number(cell) for cell in rows[0][1:-1] or rows[0])
    if has_header and len(rows) == 1:
        raise _broken(place, "it has a header and no rows", "give a table with one image a row")
    first, names = _columns(place, rows[0] if has_header else [], len(rows[0]), width, extra)
    parse = partial(_parsed, have=len(rows[0]), pixels=range(first, first + width), names=names)
    row = 1 + has_header
    for found in _side_by_side(parse, _blocks(path, has_header)):
        try:
            values, told = found.result()
        except ValueError as error:  # Arrow's own is one
            what = " ".join(str(error).split())[:120]
            raise _broken(place, f"a row from row {row:,} on cannot be read ({what})", "correct it") from None
        wrong = ~np.isfinite(values)
        if wrong.any():
            at, column = (int(k) for k in np.argwhere(wrong)[0])
            raise _broken(place, f"row {row + at}, column {first + column + 1} holds no number", "correct it")
        yield Chunk(values.reshape(-1, *shape), told, place, "row")
        row += len(values)


Parsed = tuple[npt.NDArray[np.uint8] | npt.NDArray[np.float32], tuple[str, ...] | None]


def _side_by_side(parse: Callable[[bytes], Parsed], blocks: Iterator[bytes]) -> Iterator[Future[Parsed]]:
    """Blocks parsed on all cores, in their order, few of them at a time."""
    cores = num_cores()
    with ThreadPoolExecutor(cores, thread_name_prefix="assay-read") as threads:
        waiting: deque[Future[Parsed]] = deque()
        for block in blocks:
            waiting.append(threads.submit(parse, block))
            if len(waiting) > cores:
                yield waiting.popleft()
        yield from waiting


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(place: str, header: Sequence[str], have: int, width: int, extra: Extra | None) -> tuple[int, int | None]:
    """The column of the first pixel, and the one that names rows, if there is one."""
    others = have - width
    if others == 0:
        return 0, None
    if others not in (1, 2):
        what = f"its rows have {have:,} cells, and the network takes images of {width:,} values"
        raise _broken(place, what, "give one image a row")
    is_other = [name.strip().lower() in _OTHER_COLUMNS for name in header]
    if others == 1 and extra is not None:
        first = 1 if extra == "first" else 0
    elif header and sum(is_other) == others and all(is_other[k] or is_other[k - others] for k in range(others)):
        first = next(k for k in range(have) if not is_other[k])
        if not all(is_other[:first]) or not all(is_other[first + width :]):
            raise _broken(place, "a column that is no pixel stands among the pixels", "put it first or last")
    else:
        what = f"its rows have {have:,} cells, and the network takes {width:,}"
        raise _broken(place, what, "remove what is no pixel, or say where it stands: --extra first, or last")
    name = next((k for k, cell in enumerate(header) if cell.strip().lower() in _ROW_NAMES), None)
    return first, name if name is not None and not first <= name < first + width else None


def _blocks(path: Path, has_header: bool) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    place = str(path)
    try:
        with telling(path, "read"), open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if is_gzip else file
            if has_header:
                stream.readline(_MOST_LINE_BYTES)
            rest = b""
            while chunk := stream.read(CHUNK_BYTES // 2):
                whole, mark, rest = (rest + chunk).rpartition(b"\n")
                if len(rest) > _MOST_LINE_BYTES:
                    raise _broken(place, f"a row is longer than {_MOST_LINE_BYTES:,} bytes", "give a table")
                if whole.strip():
                    yield whole + mark
            if rest.strip():
                yield rest
    except EOFError:
        raise _broken(place, "its gzip stream is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _broken(place, f"its gzip stream is corrupt ({error})") from None


def _parsed(block: bytes, have: int, pixels: range, names: int | None) -> Parsed:
    """A block's pixels [rows, pixels], and what its rows are called if a column says so.

    Raises:
        ValueError: A row cannot be read.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    block = block.removeprefix(b"\xef\xbb\xbf")
    line = block[: block.find(b"\n")]
    mark = next((mark for mark in (b"\t", b",", b";") if mark in line), b" ")
    if mark == b" ":
        block = b"\n".join(b",".join(cells) for line in block.split(b"\n") if (cells := line.split()))
        mark = b","
    columns = [f"c{k}" for k in range(have)]
    chosen = [columns[k] for k in pixels]

    def read(kind: Any) -> Any:
        types = dict.fromkeys(chosen, kind)
        if names is not None:
            types[columns[names]] = pa.string()
        return arrow.read_csv(
            pa.BufferReader(block),
            read_options=arrow.ReadOptions(column_names=columns, block_size=len(block) + 1, use_threads=False),
            parse_options=arrow.ParseOptions(delimiter=mark.decode()),
            convert_options=arrow.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
            ),
        )

    try:
        table = read(pa.uint8())
    except pa.ArrowInvalid:  # fractions, or a row that cannot be read
        table = read(pa.float32())
    told = tuple(table.column(columns[names]).to_pylist()) if names is not None else None
    batches = table.select(chosen).combine_chunks().to_batches()
    values = batches[0].to_tensor().to_numpy() if batches else np.empty((0, len(pixels)), np.uint8)
    return values, told
