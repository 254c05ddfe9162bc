"""The forms of data: how each is recognised by name and content, which ``read`` keys it takes, and what reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...disk import disk_errors, refuse_special, regular_file
from ...errors import DataError, Problem, SpecError
from ...spec import Groups, Reading
from . import hdf5, sparse
from .arff import read_arff
from .bundles import is_array_folder
from .cells import holds_images_in_cells, read_cells
from .cifar import batch_folder, is_batch_name, read_cifar
from .content import RawSplits
from .delimited import read_delimited
from .file_names import read_by_names
from .folders import VOLUMES, read_tree
from .idx_files import is_idx_folder, is_idx_name, read_idx_folder, read_idx_pair
from .lists import is_json_name, is_list, read_list
from .name_patterns import is_pattern
from .numpy_files import read_npz
from .one_hot import one_hot_columns, read_one_hot
from .parquet import holds_numbers, is_parquet_folder, read_parquet
from .pixels import NO_VOLUMES
from .placeholders import placeholder
from .sparse import is_sparse, read_sparse
from .tfrecord import is_tfrecord_name, read_tfrecords, tfrecord_files
from .trees import is_archive_name, tree_of
from .webdataset import is_shard, is_shard_folder, read_webdataset

TABLES = (".csv", ".tsv", ".txt", ".amat", ".data", ".tra", ".tes")
_PICTURES = frozenset({"size", "channels", "skip_bad"})
Reader = Callable[[Path, Reading, Groups | None], RawSplits]


@dataclass(frozen=True)
class Form:
    """A form of data.

    Args:
        name: What it is, a plural for messages.
        keys: The ``read`` keys that it takes, besides those for any data.
        read: Reads a file or folder of this form.
    """

    name: str
    keys: frozenset[str]
    read: Reader


def _pixels(path: Path, reading: Reading, groups: Groups | None) -> RawSplits:
    return read_delimited(path, reading, groups=groups)[0]


IDX_FOLDER = Form("folders of IDX files", frozenset({"shape"}), lambda path, reading, _: read_idx_folder(path, reading))
IDX = Form("IDX files", frozenset({"shape", "labels"}), lambda path, reading, _: read_idx_pair(path, reading))
ARRAYS = Form("NumPy files", frozenset({"image", "label", "shape", "labels"}), read_npz)
HDF5 = Form("HDF5 and MATLAB files", frozenset({"image", "label", "shape", "labels"}), hdf5.read_hdf5)
CIFAR = Form("CIFAR's files", frozenset({"label"}), read_cifar)
PIXELS = Form("tables of pixels", frozenset({"label", "header", "shape"}), _pixels)
ONE_HOT = Form("tables of pixels with one-hot columns", frozenset({"shape"}), read_one_hot)
SPARSE = Form("libsvm files", frozenset({"shape"}), read_sparse)
ARFF = Form("ARFF files", frozenset({"label", "shape"}), read_arff)
CELLS = Form("tables with an image a cell", frozenset({"label", "shape"}), read_cells)
LIST = Form("tables of file names", frozenset({"image", "label", "header"}) | _PICTURES, read_list)
TREE = Form("folders of images", _PICTURES, read_tree)
NAMES = Form("images with labels in their names", frozenset({"labels"}) | _PICTURES, read_by_names)
WEBDATASET = Form("WebDataset's tar files", frozenset({"label"}) | _PICTURES, read_webdataset)
TFRECORD = Form("TFRecords", frozenset({"image", "label"}) | _PICTURES, read_tfrecords)
PARQUET = Form("Parquet files of encoded images", frozenset({"image", "label"}) | _PICTURES, read_parquet)
PARQUET_NUMBERS = Form("Parquet files of numbers", frozenset({"image", "label", "shape"}), read_parquet)
_ANY = Reading.OF_PICTURES | {"classes"}


def form_of(path: Path, reading: Reading) -> Form:
    """The form of a file or folder.

    Raises:
        DataError: Assay does not read this form, or a Parquet file is damaged.
    """
    with disk_errors(path, "read"):
        refuse_special(path)
    if path.is_dir():
        if is_idx_folder(path):
            return IDX_FOLDER
        if is_parquet_folder(path):
            return PARQUET_NUMBERS if holds_numbers(path, reading) else PARQUET
        if batch_folder(path) is not None:
            return CIFAR
        if tfrecord_files(path):
            return TFRECORD
        if is_shard_folder(path):
            return WEBDATASET
        if is_pattern(reading.labels):
            return NAMES
        return ARRAYS if is_array_folder(path) else TREE
    refuse_placeholder(path)
    if suffix(path) in (".npz", ".npy"):
        return ARRAYS
    if path.name.lower().endswith(VOLUMES):
        raise DataError(Problem("it is a volume (3-D)", f"give slices as image files: {NO_VOLUMES}", file=str(path)))
    if is_batch_name(path.name):
        return CIFAR
    if suffix(path) in hdf5.ENDINGS:
        return HDF5
    if suffix(path) == ".parquet":
        return PARQUET_NUMBERS if holds_numbers(path, reading) else PARQUET
    if is_archive_name(path.name):
        if is_pattern(reading.labels):
            return NAMES
        return WEBDATASET if is_shard(tree_of(path).names()) else TREE
    if is_tfrecord_name(path.name):
        return TFRECORD
    if is_idx_name(path.name):
        return IDX
    if is_json_name(path.name):
        return LIST
    if suffix(path) == ".arff":
        return ARFF
    if suffix(path) in sparse.ENDINGS or is_sparse(path):
        return SPARSE
    if suffix(path) in TABLES:
        if holds_images_in_cells(path):
            return CELLS
        if is_list(path, reading):
            return LIST
        return PIXELS if one_hot_columns(path, reading) is None else ONE_HOT
    if path.name.lower().endswith((".7z", ".rar", ".zst", ".lz4")):
        raise DataError(
            Problem("it is an archive of a kind that is not read", "unpack it, or pack it as .zip", file=str(path))
        )
    known = "a folder or an archive of images, a table, .npz, HDF5, Parquet, IDX, TFRecord (all: docs/guides/data.md)"
    raise DataError(Problem("this is no form of data that Assay reads", f"give {known}", file=str(path)))


def refuse_placeholder(path: Path) -> None:
    with disk_errors(path, "read"), regular_file(path) as file:
        if (kind := placeholder(path.name, file.read(4096))) is not None:
            raise DataError(Problem(*kind, file=str(path)))


def suffix(path: Path) -> str:
    """A file's format by its name: its last suffix in lower case, without ``.gz``."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def refuse_other_keys(reading: Reading, forms: tuple[Form, ...], place: str) -> None:
    """Refuses ``read`` keys that none of a data set's forms takes: nothing would come of them.

    Raises:
        SpecError: There are such keys; each is named.
    """
    known = frozenset().union(*(form.keys for form in forms)) | _ANY
    names = " and ".join(dict.fromkeys(form.name for form in forms))
    problems = [
        Problem(f"this has no meaning for {names}", f"remove it; they take {', '.join(sorted(known))}", key, place)
        for key in (f"data.read.{key}" for key in sorted(reading.model_dump(exclude_defaults=True).keys() - known))
    ]
    if problems:
        raise SpecError(problems)
