"""Writes subsets and variations of data sets as files, in any format that Assay reads."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..disk import disk_errors, write
from ..errors import DataError, Problem, SpecError, nearest
from ..spec import Data
from .croissant import FILE, as_json, croissant_of
from .prepare import prepare
from .readers.delimited import write_delimited
from .readers.folders import write_tree
from .readers.idx import write_idx
from .readers.labels import shown
from .readers.lists import write_list
from .readers.npy import write_npz
from .readers.parquet import write_parquet
from .types import Images
from .variations import VARIATIONS, Settings, generator_of, noisy_labels

Labels = npt.NDArray[Any]
_DRAWN_AT_A_TIME = 1000


@dataclass(frozen=True, eq=False)
class Subset:
    """One split's images and labels, ready to be written.

    Args:
        images: uint8 [n, height, width, channels].
        labels: int64 [n].
        classes: Class names.
    """

    images: Images
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


Writer = Callable[[Path, Subset, "Subset | None", bool], list[Path]]


def make(
    source: str | Data,
    folder: Path,
    *,
    variation: str | None = None,
    settings: Settings | None = None,
    form: str = "csv",
    num_training: int | None = None,
    num_test: int | None = None,
    seed: int = 0,
    test_labels: bool = True,
    force: bool = False,
    croissant: bool = False,
) -> list[Path]:
    """Writes images of a data set, or a variation of them, into a folder.

    Training images are drawn without replacement from the training split. Test images are drawn from the test split,
    and when it has too few, from those training images that were not taken: no image is on both sides.

    Args:
        source: A name from the registry, or data as a study names them.
        folder: Where to write; created if it does not exist.
        variation: One of ``VARIATIONS``; the images as they are if ``None``.
        settings: How strong the variation is.
        form: One of ``FORMS``.
        num_training: How many training images; all if ``None``.
        num_test: How many test images; all of the test split if ``None``.
        seed: The same seed gives the same images.
        test_labels: Write the test images' labels.
        force: Replace files that are there.
        croissant: Also write ``croissant.json``, which describes the Parquet files to loaders and data hubs.

    Returns:
        The files, or the folders of images. With noisy labels, the last one lists the changed training images.

    Raises:
        SpecError: There is no such variation or form, there are too few images, or files are there already.
        DataError: The source cannot be read or the folder not written.
        DiskFull: There is no space left.
    """
    if variation is not None and variation not in VARIATIONS:
        raise SpecError(Problem(f'"{variation}" is no known variation', nearest(variation, list(VARIATIONS))))
    if form not in FORMS:
        raise SpecError(Problem(f'"{form}" is no known format', nearest(form, list(FORMS))))
    if form in NEEDS_LABELS and not test_labels:
        raise SpecError(Problem(f"{form} cannot be written without labels", "use csv, tsv, amat, idx or npz"))
    if croissant and form != "parquet":
        raise SpecError(
            Problem(f"Croissant describes Parquet files, and {form} was asked for", "give --format parquet")
        )
    training, test = _parts(source, num_training, num_test, seed)
    lists = (["changed_labels.csv"] if variation == "noisy-labels" else []) + ([FILE] if croissant else [])
    earlier = _earlier(folder, form, test is not None, lists, force)
    settings = settings or Settings()
    changed = None
    if variation == "noisy-labels":
        if not 0 < settings.share < 1:
            raise SpecError(Problem(f"got a share of {settings.share}", "give one between 0 and 1"))
        generator = generator_of(seed, variation, "training")
        labels, changed = noisy_labels(training.labels, len(training.classes), generator, settings)
        clean, training = training.labels, replace(training, labels=labels)
    elif variation is not None:
        _check(variation, settings, training)
        training = _varied(training, variation, settings, seed, "training")
        test = None if test is None else _varied(test, variation, settings, seed, "test")
    with disk_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in earlier:
            shutil.rmtree(path)
    paths = FORMS[form](folder, training, test, test_labels)
    if changed is not None:
        rows = [f"{index},{training.classes[clean[index]]},{training.classes[labels[index]]}" for index in changed]
        write(folder / "changed_labels.csv", "\n".join(["image,true,written", *rows, ""]).encode())
        paths.append(folder / "changed_labels.csv")
    if croissant:
        paths.append(_describe(source, folder, paths, training, test, variation))
    return paths


def _describe(
    source: str | Data, folder: Path, paths: list[Path], training: Subset, test: Subset | None, variation: str | None
) -> Path:
    """Writes the files' description: of the data set, unless only a part or a variation of it was written."""
    info = prepare(source).info
    counts = {"num_training": len(training.images), "num_test": 0 if test is None else len(test.images)}
    is_part = any(getattr(info, key) != count for key, count in counts.items())
    about = replace(info, **counts)  # type: ignore[arg-type]
    if variation is not None or is_part:
        name = f"{info.name}-{variation or 'part'}"
        title = f"{info.title}, {variation or 'a part of it'}"
        about = replace(about, name=name, title=title, content="")
    files = {path.name.partition("-")[0]: path for path in paths if path.suffix == ".parquet"}
    target = folder / FILE
    write(target, as_json(croissant_of(about, files)))
    return target


def _earlier(folder: Path, form: str, has_test: bool, lists: list[str], force: bool) -> list[Path]:
    """Existing image folders to delete first, or old images would stay among the new ones; only if ``force``.

    Raises:
        SpecError: Something would be overwritten, or a folder to replace holds files that ``make`` did not write.
    """
    names = [name.format(part=part) for part in ("train", "test")[: 1 + has_test] for name in _NAMES[form]]
    names += lists
    existing = [path for path in map(folder.joinpath, dict.fromkeys(names)) if path.exists()]
    if existing and not force:
        what = f"it holds {shown([path.name for path in existing])} already"
        fix = "give another folder, or replace them with --force (force=True in Python)"
        raise SpecError(Problem(what, fix, file=str(folder)))
    folders = [path for path in existing if path.is_dir()]
    own_file = re.compile(r"\d+\.png" if form == "list" else r"[^/]+/\d+\.png")
    for path in folders:
        files = sorted(str(file.relative_to(path).as_posix()) for file in path.rglob("*") if not file.is_dir())
        foreign = [name for name in files if not own_file.fullmatch(name)]
        if foreign:
            what = f"it holds files that Assay did not write ({shown(foreign)})"
            raise SpecError(Problem(what, "give another folder, or remove this one", file=str(path)))
    return folders


def _check(variation: str, settings: Settings, part: Subset) -> None:
    if "image-background" in variation and not settings.backgrounds:
        raise SpecError(Problem(f"{variation} needs pictures", "name a folder of them with --backgrounds"))
    if part.images.shape[3] != 1:
        raise SpecError(Problem(f"the images have {part.images.shape[3]} channels", "variations are for grey images"))
    side = min(part.images.shape[1:3])
    if variation == "translated" and not 1 <= settings.shift < side:
        raise SpecError(Problem(f"got a shift of {settings.shift}", f"give 1 to {side - 1} pixels"))


def _parts(
    source: str | Data, num_training: int | None, num_test: int | None, seed: int
) -> tuple[Subset, Subset | None]:
    dataset = prepare(source)
    info, training = dataset.info, dataset.training()
    if training.images.dtype != np.uint8:
        raise DataError(Problem(f"{info.title} is float32", "make starts from images of bytes"))
    count = len(training) if num_training is None else num_training
    order = np.argsort(generator_of(seed, "training").bit_generator.random_raw(len(training)), kind="stable")
    if not 1 <= count <= len(training):
        raise SpecError(Problem(f"got {count} training images, and {info.title} has {len(training)}", "ask for fewer"))
    chosen = order[:count] if num_training is not None else np.arange(len(training))
    subset = Subset(training.images[chosen], training.labels[chosen], info.classes)
    if num_test == 0 or (num_test is None and not info.num_test):
        return subset, None
    sealed = dataset.test() if info.num_test else None
    available = 0 if sealed is None else len(sealed)
    count = available if num_test is None else num_test
    if count > available + len(training) - len(chosen):
        what = f"got {count} test images, and {info.title} has {available + len(training) - len(chosen)} left"
        raise SpecError(Problem(what, "ask for fewer"))
    num_sealed = min(count, available)
    if sealed is None:
        images, labels = subset.images[:0], subset.labels[:0]
    else:
        keys = generator_of(seed, "test").bit_generator.random_raw(available)
        first = np.argsort(keys, kind="stable")[:num_sealed] if num_test is not None else np.arange(available)
        images, labels = sealed.images[first], sealed.labels[first]
    rest = order[len(chosen) : len(chosen) + count - num_sealed]
    images = np.concatenate([images, training.images[rest]]) if len(rest) else images
    labels = np.concatenate([labels, training.labels[rest]]) if len(rest) else labels
    return subset, Subset(images, labels, info.classes)


def _varied(part: Subset, variation: str, settings: Settings, seed: int, split: Literal["training", "test"]) -> Subset:
    draw = VARIATIONS[variation]
    assert draw is not None  # noisy labels leave the images alone
    images = np.empty_like(part.images)
    generator = generator_of(seed, variation, split)
    for start in range(0, len(images), _DRAWN_AT_A_TIME):
        chosen = slice(start, start + _DRAWN_AT_A_TIME)
        images[chosen] = draw(part.images[chosen], generator, settings)
    return Subset(images, part.labels, part.classes)


def _tables(name: str, **how: Any) -> Writer:
    def write(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
        paths = [folder / name.format(part="train")]
        write_delimited(paths[0], training.images, training.labels, **how)
        if test is not None:
            paths.append(folder / name.format(part="test"))
            write_delimited(paths[1], test.images, test.labels if test_labels else None, **how)
        return paths

    return write


def _idx(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
    paths = []
    for prefix, split in (("train", training), ("t10k", test)):
        if split is None:
            continue
        images = split.images[..., 0] if split.images.shape[3] == 1 else split.images
        paths.append(folder / f"{prefix}-images-idx{images.ndim}-ubyte.gz")
        write_idx(paths[-1], images)
        if prefix == "train" or test_labels:
            paths.append(folder / f"{prefix}-labels-idx1-ubyte.gz")
            write_idx(paths[-1], split.labels.astype(np.uint8 if len(split.classes) <= 256 else np.int32))
    return paths


def _npz(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
    arrays: dict[str, npt.NDArray[Any]] = {"x_train": _without_channel(training.images), "y_train": training.labels}
    if test is not None:
        arrays["x_test"] = _without_channel(test.images)
        if test_labels:
            arrays["y_test"] = test.labels
    write_npz(folder / "data.npz", arrays)
    return [folder / "data.npz"]


def _without_channel(images: Images) -> Images:
    return images[..., 0] if images.shape[3] == 1 else images


def _folders(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
    splits = {"train": training} | ({"test": test} if test is not None else {})
    for name, split in splits.items():
        write_tree(folder / name, split.images, split.labels, split.classes)
    return [folder / name for name in splits]


def _list(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
    splits = {"train": training} | ({"test": test} if test is not None else {})
    for name, split in splits.items():
        write_list(folder / f"{name}.csv", split.images, split.labels, split.classes)
    return [folder / f"{name}.csv" for name in splits]


def _parquet(folder: Path, training: Subset, test: Subset | None, test_labels: bool) -> list[Path]:
    splits = {"train": training} | ({"test": test} if test is not None else {})
    paths = [folder / f"{name}-00000-of-00001.parquet" for name in splits]
    for path, split in zip(paths, splits.values(), strict=True):
        write_parquet(path, split.images, split.labels, split.classes)
    return paths


FORMS: dict[str, Writer] = {
    "csv": _tables("{part}_data.csv"),
    "tsv": _tables("{part}_data.tsv", label="first", values="bytes", header=True, delimiter="\t"),
    "amat": _tables("{part}.amat", values="amat", delimiter=" "),
    "idx": _idx,
    "npz": _npz,
    "folders": _folders,
    "list": _list,
    "parquet": _parquet,
}
# Every file or folder that a form may write; IDX calls the test split t10k.
_NAMES = {
    "csv": ("{part}_data.csv",),
    "tsv": ("{part}_data.tsv",),
    "amat": ("{part}.amat",),
    "idx": tuple(
        f"{part}-{kind}-ubyte.gz"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "images-idx4", "labels-idx1")
    ),
    "npz": ("data.npz",),
    "folders": ("{part}",),
    "list": ("{part}.csv", "{part}"),
    "parquet": ("{part}-00000-of-00001.parquet",),
}
NEEDS_LABELS = ("folders", "list", "parquet")
