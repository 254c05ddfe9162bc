"""Splits that keep groups whole: all images of one person, film or sheet land on the same side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Problem
from ..spec import Groups


def draw_groups(
    labels: npt.NDArray[np.integer], groups: npt.NDArray[np.integer], count: int, keys: npt.NDArray[np.uint64]
) -> npt.NDArray[np.bool_]:
    """Groups that together hold about ``count`` images and about that share of each class.

    In the order of their keys, each group is taken that brings the taken images closer to the wanted share of every
    class (in squares, relative to the classes' sizes).

    Args:
        labels: Integers [n]; all the same where classes do not matter.
        groups: 0 to the number of groups less one [n].
        count: Wanted images.
        keys: Drawn at random, one for each group.

    Returns:
        Which images are taken, bool [n].
    """
    sizes = np.bincount(labels)
    target = sizes * (count / len(labels))
    taken = np.zeros(len(keys), dtype=bool)
    taken_counts = np.zeros(len(sizes))
    members = _Members(labels, groups)
    for group in np.argsort(keys, kind="stable").tolist():
        classes, counts = members[group]
        change = counts * (counts + 2 * (taken_counts[classes] - target[classes])) / sizes[classes] ** 2
        if np.cumsum(change)[-1] < 0:  # in this order on every processor, where sum() may take another
            taken[group] = True
            taken_counts[classes] += counts
    chosen: npt.NDArray[np.bool_] = taken[groups]
    return chosen


def fold_groups(
    labels: npt.NDArray[np.integer], groups: npt.NDArray[np.integer], num_folds: int, keys: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Each image's fold, from 1, with as equal shares of each class as the groups allow.

    The groups whose images are most of one class come first, those of equal rank in the order of their keys; each goes
    to the fold in which it adds least to the variance, over folds, of the classes' shares; of equal folds to the one
    with the fewest images. There are at least as many groups as folds, so none stays empty.

    Args:
        labels: Integers [n]; all the same where classes do not matter.
        groups: 0 to the number of groups less one [n].
        num_folds: How many.
        keys: Drawn at random, one for each group.

    Source: scikit-learn's ``StratifiedGroupKFold``, whose greedy order this is.
    """
    sizes = np.bincount(labels)
    num_classes = len(sizes)
    members = _Members(labels, groups)
    spread = np.array([num_classes * (counts**2).sum() - counts.sum() ** 2 for _, counts in members])
    if num_classes == 1:
        spread = np.bincount(groups)
    shares = np.zeros((num_folds, num_classes))
    fold_sizes = np.zeros(num_folds, dtype=np.int64)
    fold_of = np.empty(len(keys), dtype=np.int64)
    for group in np.lexsort((keys, -spread)).tolist():
        classes, counts = members[group]
        # A square grows by 2ab + b^2, and b^2 is the same in every fold.
        cost = np.cumsum(shares[:, classes] * (counts / sizes[classes]), axis=1)[:, -1]
        fold = int(np.lexsort((fold_sizes, cost))[0])
        shares[fold, classes] += counts / sizes[classes]
        fold_sizes[fold] += counts.sum()
        fold_of[group] = fold + 1
    folds: npt.NDArray[np.int64] = fold_of[groups]
    return folds


class _Members:
    """By group: its classes, and how many images it has of each."""

    def __init__(self, labels: npt.NDArray[np.integer], groups: npt.NDArray[np.integer]) -> None:
        num_classes = int(labels.max()) + 1
        pairs, self._counts = np.unique(groups.astype(np.int64) * num_classes + labels, return_counts=True)
        self._classes = pairs % num_classes
        self._starts = np.searchsorted(pairs // num_classes, np.arange(int(groups.max()) + 2)).tolist()

    def __getitem__(self, group: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        rows = slice(self._starts[group], self._starts[group + 1])
        return self._classes[rows], self._counts[rows]

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        return (self[group] for group in range(len(self._starts) - 1))


def no_groups_error(groups: Groups, place: str) -> DataError:
    """The error for a source that cannot supply the groups that the study asks for."""
    what = f"nothing in it says what belongs together by {groups.description}"
    fix = (
        "groups are a column of a table, an array of an .npz, or folders and names of image files; "
        "assay.arrays(images, labels, groups=...) takes them for anything else"
    )
    return DataError(Problem(what, fix, "data.groups", place))


def number_groups(names: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Groups numbered in order of first appearance, so that the result does not depend on their names."""
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: npt.NDArray[np.int64] = rank[inverse.reshape(-1)]
    return numbered
