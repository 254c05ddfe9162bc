"""Many contrasts on the same pairs, tested together by flipping pairs: their dependence costs no power."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

from .many import holm

_ENUMERATED = 13  # pairs up to which every flip is tried
_DRAWS = 9_999  # and the observed one
_BLOCK = 1000


def joint_flip_ps(rows: npt.ArrayLike, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Adjusted two-sided p of each contrast, when each pair's differences could as well all have had the other sign.

    A flip turns the signs of a pair in all contrasts together, as nature would, so contrasts that say the same count
    once. Each contrast is measured by abs(sum) / sqrt(sum of squares), and compared, stepping down from the largest,
    with the largest of those not yet passed under each flip: at most alpha of families hold a false call where p is
    compared with alpha. Every flip is tried up to 13 pairs; beyond, 9,999 random ones and the observed.

    Args:
        rows: b minus a [contrasts, pairs]; 0 where a contrast lacks a pair.
        seed: Of the random flips.

    Returns:
        [contrasts]; with n pairs at least 2 / 2**n.

    Raises:
        ValueError: The rows are not [contrasts, pairs], or a difference is not finite.

    Source: Westfall and Young (1993), "Resampling-based multiple testing", algorithm 4.1; Fisher (1935), section 21.
    """
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"rows have shape {values.shape}; give finite differences [contrasts, pairs]")
    if not values.size:
        return np.ones(len(values))
    sizes = np.sqrt((values**2).sum(1))
    weights = (values / np.where(sizes > 0, sizes, 1)[:, None]).T
    observed = np.abs(weights.sum(0)) - 1e-9  # equal sums stay equal whatever order they are added in
    order = np.argsort(-observed, kind="stable")
    weights, observed = weights[:, order], observed[order]
    as_large, count = np.zeros(len(order)), 0
    for signs in _flips(values.shape[1], seed):
        flipped = np.abs(signs @ weights)
        rest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]
        as_large += (rest >= observed).sum(0)
        count += len(signs)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(as_large / count)
    return np.where(sizes > 0, adjusted, 1.0)


def one_sided_joint_p(rows: npt.ArrayLike, *, seed: int = 0) -> float:
    """One-sided p of "no contrast is above zero", when all differences of a pair could as well have the other sign.

    The largest sum / sqrt(sum of squares) of the contrasts is compared with the largest under each flip, as
    ``joint_flip_ps`` does without stepping down.

    Args:
        rows: Differences [contrasts, pairs]; 0 where a contrast lacks a pair.
        seed: Of the random flips beyond 13 pairs.

    Returns:
        With n pairs at least 1 / 2**n.

    Source: Westfall and Young (1993).
    """
    values = np.asarray(rows, np.float64)
    sizes = np.sqrt((values**2).sum(1))
    weights = (values[sizes > 0] / sizes[sizes > 0][:, None]).T
    if not weights.size:
        return 1.0
    observed = weights.sum(0).max() - 1e-9
    as_large = count = 0
    for signs in _flips(values.shape[1], seed):
        flipped = signs @ weights  # and each of them with all signs turned
        as_large += int((flipped.max(1) >= observed).sum() + ((-flipped).max(1) >= observed).sum())
        count += 2 * len(signs)
    return as_large / count


def joint_ps(student: npt.ArrayLike, rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The larger of two adjusted p values of each contrast: Holm's of its own p, and ``joint_flip_ps``.

    Each alone keeps the family's errors; both together guard against what either rests on.

    Args:
        student: p of each contrast alone, such as ``crossed_p`` [contrasts].
        rows: As for ``joint_flip_ps``.
    """
    return np.asarray(np.maximum(holm(student), joint_flip_ps(rows)))


@functools.lru_cache(maxsize=4)  # many arms of a study are asked about at the same pairs
def _flips(pairs: int, seed: int) -> list[npt.NDArray[np.float64]]:
    """Signs [flips, pairs], some at a time; two-sided, so that the first sign can stand still."""
    if pairs <= _ENUMERATED:
        every = np.array(list(itertools.product((1.0, -1.0), repeat=pairs - 1))).reshape(2 ** (pairs - 1), pairs - 1)
        return [np.hstack([np.ones((len(every), 1)), every])]
    generator = np.random.Generator(np.random.Philox(key=seed))
    drawn = [np.where(generator.random((_BLOCK, pairs)) < 0.5, -1.0, 1.0) for _ in range(_DRAWS // _BLOCK + 1)]
    drawn[0][0] = 1.0  # the observed one
    return drawn
