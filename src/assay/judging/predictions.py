"""A folder of saved predictions: what each run says of each image, and the images' labels.

predictions/
  labels.npy              the right class of each image, 0 to C - 1 [images]; or labels.csv with a column "label"
  baseline/seed-0.npy     probabilities (or any scores of classes) [images, classes], or classes [images]
  baseline/seed-1.npz     the same as "probabilities" or "predictions"; if there "labels", and "images", which are
                          their numbers where runs are scored on different images
  wide/seed-0.csv         a column for each class, or one column "predicted"; if there "label" and "image"
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk import disk_errors
from ..errors import DataError, Problem
from ..store.image_sets import ImageHits
from ..store.predictions import KeptPredictions
from .columns import naturally
from .files import read_table
from .scores import Score, Scores

SUFFIXES = (".npy", ".npz", ".csv")
_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_MOST_IMAGES = 10**8
_SUM = 0.01  # by how much probabilities of half precision may miss 1
_PROBABILITIES = ("probabilities", "predictions", "probs", "logits", "y_prob", "y_pred", "arr_0")


@dataclass(frozen=True)
class _Predicted:
    """One run: classes [images], right classes where the file has them, the images' numbers, and probabilities."""

    classes: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    images: NDArray[np.int64] | None
    probabilities: NDArray[np.float64] | None = None


def prediction_scores(folder: Path) -> Scores:
    """The accuracy of every saved run, with which images it gets right.

    Raises:
        DataError: A file cannot be read, holds values that are no predictions, or differs from its labels in length.
    """
    files = prediction_files(folder)
    if not files:
        what = "there are no predictions here: a folder for each arm, with a file for each seed"
        raise DataError(Problem(what, "call them such as wide/seed-0.npy (docs/guides/judge.md)", file=str(folder)))
    common = _labels_of(folder)
    rows: list[Score] = []
    counts: dict[int, int] = {}
    for arm, path in files:
        match = _NUMBER.search(path.stem)
        if match is None:
            raise DataError(Problem("this name holds no seed", f"call it such as seed-0{path.suffix}", file=str(path)))
        predicted = _predictions(path)
        labels = predicted.labels if predicted.labels is not None else _labels_of(path.parent)
        labels = labels if labels is not None else common
        if labels is None:
            fix = f"add {folder.name}/labels.npy, the right class of each image"
            raise DataError(Problem("nothing says the right classes", fix, file=str(path)))
        images = predicted.images
        if images is not None and predicted.labels is None and len(labels) > images.max(initial=-1):
            labels = labels[images]
        if len(labels) != len(predicted.classes):
            what = f"there are predictions for {len(predicted.classes):,} images, and {len(labels):,} labels"
            raise DataError(Problem(what, "give both for the same images, in one order", file=str(path)))
        order = np.arange(len(labels)) if images is None else np.argsort(images, kind="stable")
        numbers = order if images is None else images[order]
        if len(numbers) > 1 and (np.diff(numbers) == 0).any():
            raise DataError(Problem("an image is there twice", "give each image once", file=str(path)))
        is_hit = predicted.classes[order] == labels[order]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + int(count)
        hits = ImageHits.of("training", numbers, is_hit)
        rows.append(
            Score(
                arm, int(match[1]), float(is_hit.mean()), str(path.relative_to(folder)), metric="accuracy",
                images=hits.images, hits=hits.hits, predictions=_kept(predicted.probabilities, labels, order),
            )
        )  # fmt: skip
    updated = max(path.stat().st_mtime for _, path in files)
    chance = max(counts.values()) / sum(counts.values())
    return Scores(tuple(rows), f"predictions in {folder.name}", folder.name or "predictions", (), updated, chance)


def prediction_files(folder: Path) -> list[tuple[str, Path]]:
    """Arm and file of each saved run."""
    return [
        (arm.name, path)
        for arm in sorted((path for path in folder.iterdir() if path.is_dir()), key=_name)
        for path in sorted(arm.iterdir(), key=_name)
        if path.suffix.lower() in SUFFIXES and path.stem.lower() != "labels"
    ]


def _name(path: Path) -> list[tuple[int, str]]:
    return naturally(path.name)


def _kept(
    probabilities: NDArray[np.float64] | None, labels: NDArray[np.int64], order: NDArray[np.int64]
) -> KeptPredictions | None:
    """Probabilities as a record keeps them, where every label is one of their classes."""
    if probabilities is None or labels.max(initial=0) >= probabilities.shape[1]:
        return None
    with np.errstate(divide="ignore"):
        return KeptPredictions.of(np.log(probabilities[order]), labels[order])


def _labels_of(folder: Path) -> NDArray[np.int64] | None:
    for suffix in SUFFIXES:
        path = folder / f"labels{suffix}"
        if not path.is_file():
            continue
        if suffix == ".csv":
            frame, _, _ = read_table(path)
            column = "label" if "label" in frame else frame.columns[-1]
            return _whole(frame[column].to_numpy(), path, "labels")
        arrays = _arrays(path)
        return _whole(arrays.get("labels", next(iter(arrays.values()))), path, "labels")
    return None


def _predictions(path: Path) -> _Predicted:
    if path.suffix.lower() == ".csv":
        return _from_table(path)
    arrays = _arrays(path)
    key = next((name for name in _PROBABILITIES if name in arrays), None)
    if key is None:
        what = f"there is no array of predictions, but {', '.join(arrays) or 'nothing'}"
        raise DataError(Problem(what, 'call it "probabilities"', file=str(path)))
    labels, images = (_whole(arrays[one], path, one) if one in arrays else None for one in ("labels", "images"))
    return _checked(_classes(arrays[key], path), labels, images, path, arrays[key])


def _from_table(path: Path) -> _Predicted:
    frame, _, _ = read_table(path)
    columns = {str(column).lower(): column for column in frame.columns}
    labels, images = (
        _whole(frame[columns[one]].to_numpy(), path, one) if one in columns else None for one in ("label", "image")
    )
    if "predicted" in columns:
        return _checked(_whole(frame[columns["predicted"]].to_numpy(), path, "predicted"), labels, images, path)
    scores = frame[[column for name, column in columns.items() if name not in ("label", "image")]]
    try:
        values = scores.to_numpy().astype(np.float64)
    except ValueError:
        what = "a cell is no number"
        raise DataError(
            Problem(what, 'give a column of probabilities for each class, or one "predicted"', file=str(path))
        ) from None
    return _checked(_classes(values, path), labels, images, path, values)


def _checked(
    classes: NDArray[np.int64],
    labels: NDArray[np.int64] | None,
    images: NDArray[np.int64] | None,
    path: Path,
    values: NDArray[Any] | None = None,
) -> _Predicted:
    for name, beside in (("labels", labels), ("images", images)):
        if beside is not None and len(beside) != len(classes):
            what = f"there are {len(classes):,} predictions and {len(beside):,} {name}"
            raise DataError(Problem(what, "give one for each image", file=str(path)))
    return _Predicted(classes, labels, images, None if values is None else _probabilities(values))


def _probabilities(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Probabilities [images, classes]; ``None`` for classes, logits and other scores."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind != "f":
        return None
    if values.ndim == 1:
        values = np.stack([1 - values, values], axis=1)  # of two classes, the probability of the second
    is_fine = (values >= 0).all() and np.abs(values.sum(1) - 1).max() < _SUM
    return values.astype(np.float64) if is_fine else None


def _classes(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """The class that is predicted for each image."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or not len(values):
        what = f"predictions have the shape {tuple(values.shape)}"
        raise DataError(Problem(what, "give [images, classes], or the class of each image", file=str(path)))
    if values.dtype.kind not in "fiub":
        raise DataError(Problem(f"predictions are of type {values.dtype}", "give numbers", file=str(path)))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))[0])
        what = f"the prediction for image {at} is no number (NaN)"
        raise DataError(
            Problem(what, "a run that diverged has no predictions: judge a table that says so", file=str(path))
        )
    if values.ndim == 2:
        return np.asarray(values.argmax(1), dtype=np.int64)
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        return np.asarray(values > 0.5, dtype=np.int64)  # of two classes, the probability of the second
    return values.astype(np.int64)


def _whole(values: NDArray[Any], path: Path, what: str) -> NDArray[np.int64]:
    try:
        numbers = np.asarray(values).astype(np.float64)
    except (ValueError, TypeError):
        numbers = np.array([np.nan])
    if numbers.ndim == 2 and numbers.shape[1] > 1 and what == "labels":  # one-hot
        numbers = numbers.argmax(1).astype(np.float64)
    numbers = numbers.reshape(-1)
    if not len(numbers) or not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        raise DataError(Problem(f"{what} are no whole numbers", "number classes and images from 0", file=str(path)))
    if numbers.min() < 0 or numbers.max() > _MOST_IMAGES:
        raise DataError(
            Problem(f"{what} reach from {numbers.min():g} to {numbers.max():g}", "number them from 0", file=str(path))
        )
    return numbers.astype(np.int64)


def _arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """The arrays of a file, without what would have to be unpickled."""
    with disk_errors(path, "read"):
        try:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"arr_0": loaded}
            with loaded:
                return {name: loaded[name] for name in loaded.files}
        except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            what = f"this is no array that NumPy reads without unpickling ({' '.join(str(error).split())[:120]})"
            raise DataError(Problem(what, "save it with numpy.save or numpy.savez", file=str(path))) from None
