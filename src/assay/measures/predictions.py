"""What one network says of labelled images, which every measure is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Predictions:
    """Predictions of one network on labelled images.

    Args:
        log_probabilities: Natural logarithms of each class's probability [images, classes]; of stored runs, as float16
            keeps them.
        labels: Indices of classes [images].
        classes: Their names.
        groups: To which group each image belongs, whole numbers [images]; ``None`` where the data have no groups.

    Raises:
        DataError: There is no image, arrays differ in length, a label is no class, or a value is not a number.
    """

    log_probabilities: NDArray[np.floating]
    labels: NDArray[np.integer]
    classes: tuple[str, ...]
    groups: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        shape, n, k = self.log_probabilities.shape, len(self.labels), len(self.classes)
        if shape != (n, k) or (self.groups is not None and len(self.groups) != n):
            what = f"predictions have shape {list(shape)} for {n} labels and {k} classes"
            raise DataError(Problem(what, "give one row an image and one column a class"))
        if not n:
            raise DataError(Problem("there are no images to compute a measure from", "give some"))
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= k:
            what = f"labels run from {self.labels.min()} to {self.labels.max()} for {k} classes"
            raise DataError(Problem(what, f"give 0 to {k - 1}"))
        if np.isnan(self.log_probabilities).any():
            row = int(np.flatnonzero(np.isnan(self.log_probabilities).any(1))[0])
            raise DataError(Problem(f"a probability of image {row} is not a number", "train the run anew"))

    @classmethod
    def of_probabilities(
        cls,
        probabilities: NDArray[np.floating],
        labels: NDArray[np.integer],
        classes: tuple[str, ...] | None = None,
        groups: NDArray[np.integer] | None = None,
    ) -> Predictions:
        """From probabilities [images, classes]; classes are numbered unless named."""
        with np.errstate(divide="ignore"):
            logs = np.log(np.asarray(probabilities, dtype=np.float64))
        names = tuple(map(str, range(logs.shape[1]))) if classes is None else classes
        return cls(logs, np.asarray(labels), names, groups)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Of each class, summing to 1 for each image [images, classes]."""
        values = np.exp(self.log_probabilities.astype(np.float64))
        normalized: NDArray[np.float64] = values / values.sum(1, keepdims=True)
        return normalized

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image; of equal ones the first [images]."""
        most_probable: NDArray[np.int64] = self.log_probabilities.argmax(1).astype(np.int64)
        return most_probable

    @cached_property
    def is_hit(self) -> NDArray[np.bool_]:
        """Whether each image is classified correctly [images]."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Images of each class [classes]."""
        counts: NDArray[np.int64] = np.bincount(self.labels, minlength=len(self.classes))
        return counts
