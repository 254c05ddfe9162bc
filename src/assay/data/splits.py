"""Splits the training images into training and validation: random, stratified, grouped, last images, or folds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..errors import Problem, SpecError
from ..seeds import Streams
from ..spec.data import Data, Folds, Last, Validation
from .grouped import draw_groups, fold_groups
from .types import DatasetInfo, SplitIndices, TrainingData

_KEY = "data.validation"


def split(
    labels: npt.NDArray[np.integer],
    validation: Validation,
    *,
    stratified: bool,
    generator: np.random.Generator,
    fold: int | None = None,
    groups: npt.NDArray[np.integer] | None = None,
    key: str = _KEY,
    per_class: int | None = None,
    given: npt.NDArray[np.bool_] | None = None,
) -> SplitIndices:
    """Sets some of the training images aside for validation.

    The draw reads only the raw bits of the generator, which NumPy promises not to change between versions.

    Args:
        labels: Integers [n], one for each training image.
        validation: A share (float in (0, 1), rounded to the nearest whole image) or a count (integer), drawn; the last
            such in file order; folds; ``given``; ``none`` and ``test`` set no training image aside.
        stratified: Give each class its share of the validation images, by largest remainder: a class gets its
            exact share rounded down or up, and the total is exact. Of equal remainders, the lower label's is first.
            Folds differ by at most one image of each class, and by one in total.
        generator: Draws which images; the same generator state gives the same split, and the same folds.
        fold: Which fold is validation, from 1, where there are folds.
        groups: 0 to the number of groups less one [n]: images of one group are never on both sides. Sizes, and class
            shares when stratified, are then as near as whole groups allow.
        key: Whose value ``validation`` is, for messages.
        per_class: How many images of each class are kept for training, drawn from those that validation leaves. A
            smaller number selects a subset of a larger one. All if ``None``.
        given: Which images are the source's own validation part [n].

    Raises:
        SpecError: No validation or no training image would be left, fewer validation images than classes when
            stratified, the last images would divide a group, or a class has fewer images than are to be kept.
        ValueError: A fold is missing, or is none of the folds.
    """
    if validation == "given":
        if given is None:
            what = "the data have no validation part of their own"
            raise SpecError(Problem(what, "give a share such as 0.1, which is drawn", key))
        parts = _parts(given)
        label = labels[parts.validation[0]]
        if (labels[given] == label).all() and len(np.unique(labels)) > 1:
            what = f"the source's own validation images are all of one class, number {label}"
            raise SpecError(Problem(what, "give a share such as 0.1, which is drawn from each class", key))
    else:
        parts = _set_aside(labels, validation, stratified, generator, fold, groups, key)
    if per_class is None:
        return parts
    keys = _keys(len(labels), generator)  # behind those of validation, which is the same for any number
    remaining, chosen = labels[parts.training], []
    for label in np.unique(labels):
        members = parts.training[remaining == label]
        if len(members) < per_class:
            what = f"got {per_class} per class, and class {label} has {len(members)} besides the validation images"
            raise SpecError(Problem(what, f"give at most {len(members)}", "data.training"))
        chosen.append(members[_smallest(keys[members], per_class)])
    return SplitIndices(training=np.sort(np.concatenate(chosen)), validation=parts.validation)


def split_for(
    training: TrainingData, data: Data, *, seed: int, vary: Iterable[str], fold: int | None = None
) -> SplitIndices:
    """The training and validation images of a run, by index.

    Args:
        training: The study's training data, validation images included.
        data: How the study splits them; ``Data.for_retraining`` for a run that is trained on all of them.
        seed: The run's root seed.
        vary: Streams that the seed changes: without ``"split"``, every seed has the same split.
        fold: Which fold is validation, from 1, where there are folds.

    Raises:
        SpecError: The images are too few, or their groups too large, for what is asked (see ``split``).
        ValueError: A fold is missing, or is none of the folds.
    """
    return split(
        training.labels,
        data.validation,
        stratified=data.stratified,
        generator=Streams(seed, frozenset(vary)).generator("split"),
        fold=fold,
        groups=training.groups,
        per_class=data.per_class,
        given=training.validation,
    )


def num_learned(data: Data, info: DatasetInfo) -> int:
    """How many images a run learns from: those that validation leaves (of groups, about), or so many per class.

    Raises:
        SpecError: Validation would take none, or all.
    """
    if data.per_class is not None:
        return data.per_class * len(info.classes)
    validation = data.validation.last if isinstance(data.validation, Last) else data.validation
    if isinstance(validation, Folds):
        return info.num_training - info.num_training // validation.folds
    if isinstance(validation, str):
        return info.num_training - (info.num_validation if data.is_given else 0)
    return info.num_training - _count(info.num_training, validation, _KEY)


def num_validation(data: Data, info: DatasetInfo) -> int:
    """How many images a run is validated on (of groups, about; of folds, one of them).

    Raises:
        SpecError: Validation would take none, or all.
    """
    if data.is_leaky:
        return info.num_test
    return info.num_training - num_learned(data.model_copy(update={"training": None}), info)


def _set_aside(
    labels: npt.NDArray[np.integer],
    validation: Validation,
    stratified: bool,
    generator: np.random.Generator,
    fold: int | None,
    groups: npt.NDArray[np.integer] | None,
    key: str,
) -> SplitIndices:
    if validation in ("none", "test"):
        return SplitIndices(training=np.arange(len(labels)), validation=np.arange(0))
    if isinstance(validation, Folds):
        validation_fold = _checked(fold, validation.folds)
        if groups is not None:
            return _parts(_group_folds(labels, groups, validation.folds, stratified, generator) == validation_fold)
        return _parts(_folds(labels, validation.folds, stratified, generator) == validation_fold)
    is_last = isinstance(validation, Last)
    size: float | int = validation.last if isinstance(validation, Last) else validation  # type: ignore[assignment]
    count = _count(len(labels), size, key)
    if groups is not None and not is_last:
        return _parts(_draw_groups(labels, groups, size, count, stratified, generator, key))
    # The images of the smallest keys are taken.
    keys = np.arange(len(labels), 0, -1, dtype=np.uint64) if is_last else _keys(len(labels), generator)
    if not stratified:
        chosen = _smallest(keys, count)
    else:
        classes, sizes = np.unique(labels, return_counts=True)
        if count < len(classes):
            what = f"got {size!r}, which is {count} of {len(labels)} images for {len(classes)} classes"
            raise SpecError(Problem(what, f"set at least {len(classes)} aside, or stratified = false", key))
        parts = []
        for label, share in zip(classes, largest_remainder(sizes, count), strict=True):
            members = np.flatnonzero(labels == label)
            parts.append(members[_smallest(keys[members], share)])
        chosen = np.concatenate(parts)
    is_validation = np.zeros(len(labels), dtype=bool)
    is_validation[chosen] = True
    if is_last:
        _refuse_one_class(labels, is_validation, key)
    if groups is not None:
        divided = np.intersect1d(groups[is_validation], groups[~is_validation])
        if len(divided):
            inside, outside = (
                int(np.flatnonzero((groups == divided[0]) & (is_validation == side))[0]) + 1 for side in (True, False)
            )
            what = f"the last images would divide a group: images {outside:,} and {inside:,} belong together"
            raise SpecError(Problem(what, "give a share or a count, which whole groups are drawn for", key))
    return _parts(is_validation)


def _refuse_one_class(labels: npt.NDArray[np.integer], is_last: npt.NDArray[np.bool_], key: str) -> None:
    """Files are often sorted by class: the last images are then of one class, and a score on them says nothing."""
    count = int(is_last.sum())
    for noun, part in (("the last", labels[is_last]), ("all images but the last", labels[~is_last])):
        if (part == part[0]).all() and not (labels == part[0]).all() and count > 1:
            what = f"{noun} {count:,} images in file order are all of one class, number {part[0]}"
            raise SpecError(Problem(what, "give a share such as 0.2, which is drawn from each class", key))


def largest_remainder(sizes: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """Parts of ``count``, proportional to ``sizes``, whole and exact in total.

    Args:
        sizes: Non-negative integers [classes].
        count: At most the sum of the sizes; no part then exceeds its size.

    Returns:
        int64 [classes].
    """
    whole = sizes.astype(np.int64) * count
    total = int(sizes.sum())
    parts = whole // total
    missing = count - int(parts.sum())
    parts[np.argsort(-(whole % total), kind="stable")[:missing]] += 1
    return parts


def _folds(
    labels: npt.NDArray[np.integer], num_folds: int, stratified: bool, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Each image's fold, from 1: images in a drawn order, sorted by class if stratified, dealt out like cards."""
    if num_folds > len(labels):
        raise SpecError(Problem(f"got {num_folds} folds for {len(labels)} images", "give fewer folds", _KEY))
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    if stratified and rarest < num_folds:
        what = f"got {num_folds} folds, and a class has {rarest} training images"
        raise SpecError(Problem(what, "give fewer folds, or stratified = false", _KEY))
    keys = _keys(len(labels), generator)
    order = np.lexsort((keys, labels)) if stratified else np.argsort(keys, kind="stable")
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order] = np.arange(len(labels)) % num_folds + 1
    return folds


def _group_folds(
    labels: npt.NDArray[np.integer],
    groups: npt.NDArray[np.integer],
    num_folds: int,
    stratified: bool,
    generator: np.random.Generator,
) -> npt.NDArray[np.int64]:
    num_groups = int(groups.max()) + 1
    if num_groups < num_folds:
        raise SpecError(Problem(f"got {num_folds} folds for {num_groups} groups of images", "give fewer folds", _KEY))
    labels = labels if stratified else np.zeros_like(labels)
    return fold_groups(labels, groups, num_folds, _keys(num_groups, generator))


def _draw_groups(
    labels: npt.NDArray[np.integer],
    groups: npt.NDArray[np.integer],
    size: float | int,
    count: int,
    stratified: bool,
    generator: np.random.Generator,
    key: str,
) -> npt.NDArray[np.bool_]:
    num_groups = int(groups.max()) + 1
    labels = labels if stratified else np.zeros_like(labels)
    chosen = draw_groups(labels, groups, count, _keys(num_groups, generator))
    if chosen.all() or not chosen.any():
        side = "no group" if not chosen.any() else "every group"
        what = f"got {size!r}, and {side} of the {num_groups:,} would be taken: they are too large to be drawn so"
        raise SpecError(Problem(what, "give another share, or folds", key))
    return chosen


def _checked(fold: int | None, num_folds: int) -> int:
    if fold is None or not 1 <= fold <= num_folds:
        raise ValueError(f"fold {fold} is none of 1 to {num_folds}")
    return fold


def _parts(is_validation: npt.NDArray[np.bool_]) -> SplitIndices:
    return SplitIndices(training=np.flatnonzero(~is_validation), validation=np.flatnonzero(is_validation))


def _count(num_images: int, validation: float | int, key: str) -> int:
    if isinstance(validation, float):
        if not 0 < validation < 1:
            raise SpecError(Problem(f"got {validation!r}", "give a share between 0 and 1, or a count", key))
        count = round(validation * num_images)
    else:
        count = validation
    if count < 1:
        what = f"got {validation!r}, which sets none of {num_images} images aside"
        raise SpecError(Problem(what, "set at least 1 aside", key))
    if count >= num_images:
        what = f"got {validation!r}, which leaves none of {num_images} images to train on"
        raise SpecError(Problem(what, f"set at most {num_images - 1} aside", key))
    return count


def _keys(num_images: int, generator: np.random.Generator) -> npt.NDArray[np.uint64]:
    return np.asarray(generator.bit_generator.random_raw(num_images), dtype=np.uint64)


def _smallest(keys: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.int64]:
    return np.argsort(keys, kind="stable")[:count]
