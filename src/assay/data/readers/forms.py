"""Which form of data a file or folder is, by its name and content, and which ``read`` keys go with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem, SpecError
from ...spec import Reading
from .bundles import is_array_folder
from .cells import holds_images_in_cells
from .idx_files import is_idx_folder, is_idx_name
from .lists import is_list
from .parquet import holds_numbers, is_parquet_folder
from .pictures import is_pointer
from .trees import is_archive_name

TABLES = (".csv", ".tsv", ".txt", ".amat")
_PICTURES = frozenset({"size", "channels", "skip_bad"})


@dataclass(frozen=True)
class Form:
    """A form of data.

    Args:
        name: What it is, a plural for messages.
        keys: The ``read`` keys that it takes, besides those for any data.
    """

    name: str
    keys: frozenset[str]


IDX_FOLDER = Form("folders of IDX files", frozenset({"shape"}))
IDX = Form("IDX files", frozenset({"shape", "labels"}))
ARRAYS = Form("NumPy files", frozenset({"image", "label", "shape", "labels"}))
PIXELS = Form("tables of pixels", frozenset({"label", "header", "shape"}))
CELLS = Form("tables with an image a cell", frozenset({"label", "shape"}))
LIST = Form("tables of file names", frozenset({"image", "label", "header"}) | _PICTURES)
TREE = Form("folders of images", _PICTURES)
PARQUET = Form("Parquet files of encoded images", frozenset({"image", "label"}) | _PICTURES)
PARQUET_NUMBERS = Form("Parquet files of numbers", frozenset({"image", "label", "shape"}))
_ANY = Reading.OF_PICTURES | {"classes"}


def form_of(path: Path, reading: Reading) -> Form:
    """The form of a file or folder.

    Raises:
        DataError: Assay does not read this form, or a Parquet file is damaged.
    """
    if path.is_dir():
        if is_idx_folder(path):
            return IDX_FOLDER
        if is_parquet_folder(path):
            return PARQUET_NUMBERS if holds_numbers(path, reading) else PARQUET
        return ARRAYS if is_array_folder(path) else TREE
    _refuse_pointer(path)
    if suffix(path) in (".npz", ".npy"):
        return ARRAYS
    if suffix(path) == ".parquet":
        return PARQUET_NUMBERS if holds_numbers(path, reading) else PARQUET
    if is_archive_name(path.name):
        return TREE
    if is_idx_name(path.name):
        return IDX
    if suffix(path) in TABLES:
        if holds_images_in_cells(path):
            return CELLS
        return LIST if is_list(path, reading) else PIXELS
    known = "IDX, .npz, .npy, .csv, .tsv, .amat, .parquet, .zip, .tar or a folder of images"
    raise DataError(Problem("this is no form of data that Assay reads", f"give {known}", file=str(path)))


def _refuse_pointer(path: Path) -> None:
    with disk_errors(path, "read"), open(path, "rb") as file:
        if is_pointer(file.read(64)):
            what = "it is a Git LFS pointer, which stands for a file that was not fetched"
            raise DataError(Problem(what, "fetch it with git lfs pull", file=str(path)))


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
