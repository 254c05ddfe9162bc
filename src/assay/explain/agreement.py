"""Agreement between runs: images that every run misses, and images that only some runs miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """How the runs of one arm fare on images that two or more of them did not train on.

    Args:
        images: Which of all images these are [n].
        scored: Runs that were scored on each [n].
        missed: Runs that got it wrong [n].
        expected: Images that no run, some runs and every run would miss if each run erred on images of its own,
            as often as it does [3].
    """

    images: NDArray[np.int64]
    scored: NDArray[np.int64]
    missed: NDArray[np.int64]
    expected: NDArray[np.float64]

    @property
    def hard(self) -> NDArray[np.int64]:
        """Images that every run misses, those that most runs were scored on first."""
        is_chosen = self.missed == self.scored
        order = np.argsort(-self.scored[is_chosen], kind="stable")
        images: NDArray[np.int64] = self.images[is_chosen][order]
        return images

    @property
    def chancy(self) -> NDArray[np.int64]:
        """Images that some runs miss and others do not, the most evenly divided first."""
        is_chosen = (self.missed > 0) & (self.missed < self.scored)
        uneven = np.abs(self.missed[is_chosen] / self.scored[is_chosen] - 0.5).round(9)
        order = np.lexsort((-self.scored[is_chosen], uneven))
        images: NDArray[np.int64] = self.images[is_chosen][order]
        return images

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images that no run, some runs and every run miss [3]."""
        hard, chancy = len(self.hard), len(self.chancy)
        return np.array([len(self.images) - hard - chancy, chancy, hard])


def agreement(hits: NDArray[np.bool_], scored: NDArray[np.bool_] | None = None) -> Agreement:
    """Compare runs image by image.

    Args:
        hits: Whether a run gets an image right [runs, images].
        scored: Whether the image counts for the run, because it did not train on it [runs, images]; all if ``None``.

    Raises:
        ValueError: There are fewer than two runs.
    """
    if len(hits) < 2:
        raise ValueError(f"got {len(hits)} runs, and agreement needs two")
    counts = np.ones_like(hits) if scored is None else scored
    shared = np.flatnonzero(counts.sum(0) >= 2)
    counts, misses = counts[:, shared], counts[:, shared] & ~hits[:, shared]
    rates = misses.sum(1) / np.maximum(counts.sum(1), 1)
    every = np.where(counts, rates[:, None], 1.0).prod(0).sum()
    none = np.where(counts, 1 - rates[:, None], 1.0).prod(0).sum()
    expected = np.array([none, len(shared) - none - every, every])
    return Agreement(shared, counts.sum(0), misses.sum(0), expected)
