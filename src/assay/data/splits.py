"""Which training images are set aside for choices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import Problem, SpecError
from .types import Split

_KEY = "data.validation"


def split(
    labels: npt.NDArray[np.integer], validation: float | int, *, stratified: bool, generator: np.random.Generator
) -> Split:
    """Sets a share or a count of the training images aside for validation.

    The draw reads only the raw bits of the generator, which NumPy promises not to change between versions.

    Args:
        labels: Integers [n], one for each training image.
        validation: A share (float in (0, 1), rounded to the nearest whole image) or a count (integer).
        stratified: Give each class its share of the validation images, by largest remainder: a class gets its
            exact share rounded down or up, and the total is exact. Of equal remainders, the lower label's is first.
        generator: Draws which images; the same generator state gives the same split.

    Raises:
        SpecError: No validation or no training image would be left, or fewer validation images than classes when
            stratified.
    """
    count = _count(len(labels), validation)
    if not stratified:
        chosen = _smallest(_keys(len(labels), generator), count)
    else:
        classes, sizes = np.unique(labels, return_counts=True)
        if count < len(classes):
            what = f"got {validation!r}, which is {count} of {len(labels)} images for {len(classes)} classes"
            raise SpecError(Problem(what, f"set at least {len(classes)} aside, or stratified = false", _KEY))
        keys = _keys(len(labels), generator)
        parts = []
        for label, share in zip(classes, largest_remainder(sizes, count), strict=True):
            members = np.flatnonzero(labels == label)
            parts.append(members[_smallest(keys[members], share)])
        chosen = np.concatenate(parts)
    is_validation = np.zeros(len(labels), dtype=bool)
    is_validation[chosen] = True
    return Split(training=np.flatnonzero(~is_validation), validation=np.flatnonzero(is_validation))


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


def _count(num_images: int, validation: float | int) -> int:
    if isinstance(validation, float):
        if not 0 < validation < 1:
            raise SpecError(Problem(f"got {validation!r}", "give a share between 0 and 1, or a count", _KEY))
        count = round(validation * num_images)
    else:
        count = validation
    if count < 1:
        what = f"got {validation!r}, which sets none of {num_images} images aside"
        raise SpecError(Problem(what, "set at least 1 aside", _KEY))
    if count >= num_images:
        what = f"got {validation!r}, which leaves none of {num_images} images to train on"
        raise SpecError(Problem(what, f"set at most {num_images - 1} aside", _KEY))
    return count


def _keys(num_images: int, generator: np.random.Generator) -> npt.NDArray[np.uint64]:
    return np.asarray(generator.bit_generator.random_raw(num_images), dtype=np.uint64)


def _smallest(keys: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.int64]:
    return np.argsort(keys, kind="stable")[:count]
