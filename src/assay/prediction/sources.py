"""The images of any file, as they stand in it and a few megabytes at a time: memory does not grow with their number.

What a file is follows from its first bytes, since standard input has no name; each format is read by the functions
that training reads it with (``data.readers``).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from ..data.location import unpacked_folder
from ..data.readers import forms
from ..data.readers.bundles import tables_of, unwrapped
from ..data.readers.delimited import first_rows, pixels_layout_of, table_chunks
from ..data.readers.idx import idx_chunks
from ..data.readers.idx_files import idx_images, is_idx_folder
from ..data.readers.lists import contents_of, is_list, listed_files
from ..data.readers.located import located
from ..data.readers.named import IMAGES
from ..data.readers.npy import array_chunks, array_names
from ..data.readers.parquet import is_parquet_folder, parquet_files, parquet_images
from ..data.readers.pictures import SUFFIXES, Contents
from ..data.readers.trees import Tree, is_archive_name, read_file, tree_of
from ..data.readers.unpacked import must_be_unpacked, unpacked
from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem
from ..spec import Groups, Reading

CHUNK_BYTES = 1 << 23  # of an array's values
_PICTURES = 200  # encoded images at a time

Extra = Literal["first", "last"]


@dataclass(frozen=True, eq=False)
class Numbers:
    """Images as numbers.

    Args:
        place: Where they come from, for messages.
        noun: What one is in its source, for messages.
        chunks: Reads arrays [n, ...], and what each image is called; ``None`` where they are counted.
        note: What of the source is not used, as a sentence; or empty.
    """

    place: str
    noun: str
    chunks: Callable[[], Iterator[tuple[npt.NDArray[Any], tuple[str, ...] | None]]]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Encoded images (PNG, JPEG, ...).

    Args:
        place: Where they come from, for messages.
        batches: Reads some of them: what each is called, and their contents.
        is_named: Their names are those of files; otherwise images are counted.
        note: As in ``Numbers``.
    """

    place: str
    batches: Callable[[], Iterator[tuple[Sequence[str], Contents]]]
    is_named: bool = True
    note: str = ""


def sources_of(
    path: Path, shape: tuple[int, int, int], reading: Reading, groups: Groups | None, extra: Extra | None
) -> Iterator[Numbers | Pictures]:
    """What lies in a file, a folder or an archive. Of test and training images side by side it is the test images.

    Args:
        path: An image, or any file, folder or archive that training reads, with labels or (where its form allows)
            without; IDX and tables may be gzipped.
        shape: Height, width and channels that are wanted.
        reading: How the files were read that were learned from.
        groups: Which column of a table said what belongs together.
        extra: Which column of a table without a header is no pixel, if one is not.

    Raises:
        DataError: It cannot be read, or holds no images.
    """
    head = b"" if path.is_dir() else _head(path)
    if path.is_dir() and is_idx_folder(path):
        training, test = idx_images(path)
        note = f"Of {path.name} the test images are used." if training and test else ""
        yield from (_idx(file, note) for file in (test or training,) if file)
    elif path.is_dir() and is_parquet_folder(path):
        sides = parquet_files(path)
        yield from (_parquet(file, reading) for file in sides["test"] or [*sides["train"], *sides["val"]])
    elif path.is_dir() or is_archive_name(path.name):
        yield from _bundle(path, shape, reading, groups, extra)
    elif head[:2] == b"PK":
        names = array_names(path)
        yield _npz(path, names, shape, reading) if names else _tree(tree_of(path))
    elif head[:6] == b"\x93NUMPY":
        yield Numbers(str(path), "image", _unnamed(partial(_array, path, None, shape)))
    elif head[:2] == b"\0\0" and head[2:3] in b"\x08\x09\x0b\x0c\x0d\x0e":
        yield _idx(path)
    elif head[:4] == b"PAR1":
        yield _parquet(path, reading)
    elif path.suffix.lower() in SUFFIXES or _is_picture(head):
        yield Pictures(str(path.parent), lambda: iter([([path.name], lambda: [(0, read_file(path))])]))
    elif (form := _form_of(path, reading)) in _WHOLE:
        yield _whole(path, form, reading)
    else:
        yield _table(path, shape, reading, groups, extra)


def _bundle(
    path: Path, shape: tuple[int, int, int], reading: Reading, groups: Groups | None, extra: Extra | None
) -> Iterator[Numbers | Pictures]:
    """The images of a folder or an archive: image files, else what the tables, arrays or shards in it hold."""
    form = _form_of(path, reading)
    if form in _WHOLE:
        yield _whole(path, form, reading)
        return
    tree = tree_of(path)
    if any(name[-1].lower().endswith(SUFFIXES) for name in tree.names()):
        yield _tree(tree)
    elif path.is_file() and must_be_unpacked(path):
        with unpacked(path, unpacked_folder()) as folder:
            yield from sources_of(folder, shape, reading, groups, extra)
    elif path.is_dir() and (inner := _inner(unwrapped(path), reading)) not in (None, path):
        assert inner is not None
        yield from sources_of(inner, shape, reading, groups, extra)
    else:
        yield _tree(tree)


def _inner(folder: Path, reading: Reading) -> Path | None:
    """The file in a folder that holds the images: those of a test split, where there is one."""
    if _form_of(folder, reading) == forms.ARRAYS:
        files = {file.stem: file for file in sorted(folder.glob("*.npy"))}
        known = IMAGES if reading.image is None else (reading.image, *IMAGES)
        return next((files[name] for name in known if name in files), next(iter(files.values()), None))
    tables = tables_of(folder)
    return folder if tables is None else tables.files.get("test", tables.files["train"])


# Forms that are read whole before their images are asked about.
_WHOLE = (
    forms.HDF5,
    forms.CIFAR,
    forms.CELLS,
    forms.ONE_HOT,
    forms.SPARSE,
    forms.ARFF,
    forms.WEBDATASET,
    forms.TFRECORD,
)


def _form_of(path: Path, reading: Reading) -> forms.Form | None:
    """The form of a file or folder; ``None`` where training reads none such."""
    try:
        return forms.form_of(path, reading)
    except DataError:
        return None


def _whole(path: Path, form: forms.Form | None, reading: Reading) -> Numbers:
    assert form is not None
    splits = form.read(path, reading, None)
    part = splits.training if splits.test is None else splits.test
    step = max(1, CHUNK_BYTES // max(1, part.images[:1].nbytes))
    note = _labels_note(path) if splits.test is None else f"Of {path.name} the test images are used."

    def chunks() -> Iterator[npt.NDArray[Any]]:
        return (part.images[start : start + step] for start in range(0, len(part.images), step))

    return Numbers(str(path), "image", _unnamed(chunks), note)


def _head(path: Path) -> bytes:
    """The first bytes, unpacked where they are gzipped."""
    with disk_errors(path, "read"), regular_file(path) as file:
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


def _unnamed(chunks: Callable[[], Iterator[Any]]) -> Callable[[], Iterator[tuple[Any, None]]]:
    return lambda: ((values, None) for values in chunks())


def _array(path: Path, name: str | None, shape: tuple[int, int, int]) -> Iterator[npt.NDArray[Any]]:
    return array_chunks(path, name, CHUNK_BYTES, single=(shape, shape[:2]))


def _idx(path: Path, note: str = "") -> Numbers:
    return Numbers(str(path), "image", _unnamed(partial(idx_chunks, path, CHUNK_BYTES)), note)


def _npz(path: Path, names: Sequence[str], shape: tuple[int, int, int], reading: Reading) -> Numbers:
    known = IMAGES if reading.image is None else (reading.image, *IMAGES)
    chosen = names[0] if len(names) == 1 else next((name for name in known if name in names), None)
    if chosen is None:
        raise DataError(Problem(f"it holds {', '.join(names)}", "call the images x_test or images", file=str(path)))
    rest = ", ".join(name for name in names if name != chosen)
    note = f"Of {path.name} {chosen} is used; {rest} are not." if rest else ""
    return Numbers(f"{path}, {chosen}", "image", _unnamed(partial(_array, path, chosen, shape)), note)


def _tree(tree: Tree) -> Pictures:
    names = [name for name in tree.names() if name[-1].lower().endswith(SUFFIXES)]
    if not names:
        raise DataError(
            Problem("it holds no image files", f"give files such as {', '.join(SUFFIXES[:3])}", "", tree.place)
        )

    def batches() -> Iterator[tuple[Sequence[str], Contents]]:
        for start in range(0, len(names), _PICTURES):
            some = names[start : start + _PICTURES]
            yield ["/".join(name) for name in some], partial(tree.contents, some)

    return Pictures(tree.place, batches)


def _parquet(path: Path, reading: Reading) -> Numbers | Pictures:
    is_numbers, has_labels, chunks = parquet_images(path, reading)
    note = _labels_note(path) if has_labels else ""
    if is_numbers:
        return Numbers(str(path), "row", _unnamed(chunks), note)

    def batches() -> Iterator[tuple[Sequence[str], Contents]]:
        row = 1
        for contents in chunks():
            yield [f"row {row + k}" for k in range(len(contents))], partial(enumerate, contents)
            row += len(contents)

    return Pictures(str(path), batches, is_named=False, note=note)


def _table(
    path: Path, shape: tuple[int, int, int], reading: Reading, groups: Groups | None, extra: Extra | None
) -> Numbers | Pictures:
    """A table of pixels, one image a row, or of the names of image files."""
    rows = first_rows(path)
    if not rows or not rows[0]:
        fix = "give images, a folder, a table, IDX, Parquet or .npz"
        raise DataError(Problem("it is empty, or no file of images", fix, file=str(path)))
    if not is_list(path, reading):
        layout = pixels_layout_of(path, shape, reading, groups, extra)
        note = "" if layout.label is None else _labels_note(path)
        return Numbers(str(path), "row", partial(table_chunks, path, layout), note)
    cells, _, column = listed_files(path, reading)
    names = [row[column].strip() for row in cells]
    files, _ = located(path, names)

    def batches() -> Iterator[tuple[Sequence[str], Contents]]:
        for start in range(0, len(names), _PICTURES):
            some = names[start : start + _PICTURES]
            yield some, partial(contents_of, files[start : start + _PICTURES])

    return Pictures(str(path), batches, note=_labels_note(path) if len(cells[0]) > 1 else "")


def _labels_note(path: Path) -> str:
    return f"The labels in {path.name} are not used."
