"""What every function here asks of its input: bad input gives a sentence, never a wrong number."""

from __future__ import annotations

import math
import operator
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

# Squares of larger numbers, and sums of those, would leave the range of a float.
LARGEST = 1e100


def finite_scores(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The scores as one row of finite numbers.

    Raises:
        ValueError: They are not one row, or one of them is not finite or is beyond 1e100.
    """
    values = numbers(scores)
    if values.ndim != 1:
        raise ValueError(f"the scores have shape {values.shape}; give one row, one score per seed")
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        first = int(broken[0])
        raise ValueError(
            f"score {first} is {values[first]}, which is not finite; "
            "a diverged run is a result: report it, don't drop it"
        )
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if large.size:
        first = int(large[0])
        raise ValueError(f"score {first} is {values[first]}, too large to be squared; give the scores in another unit")
    return values


def are_finite(values: npt.NDArray[np.float64]) -> bool:
    """Whether all are finite, and small enough to be squared and summed."""
    return bool(np.all(np.abs(values) <= LARGEST))  # comparisons with NaN are false


def numbers(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The values as float64, of any shape.

    Raises:
        ValueError: One of them is no real number, or rows differ in length.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cSUMm":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"got {_shortened(values)}; give real numbers, in rows of equal length") from None


def check_share(value: float, name: str, *, below: float = 1.0) -> None:
    """A confidence or a level lies inside (0, 1).

    Raises:
        ValueError: It does not.
    """
    is_share = not isinstance(value, bool | np.bool) and 0 < value < below and (1 + value) / 2 < 1 and 1 - value < 1
    if not is_share:
        example = 0.95 if name == "confidence" else 0.05
        raise ValueError(f"{name} is {value!r}; give a share between 0 and {below:g}, such as {example}")


def check_count(value: SupportsIndex, name: str, *, least: int) -> int:
    """A whole number of at least ``least``.

    Raises:
        ValueError: It is not.
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if isinstance(value, bool | np.bool) or count < least:
        raise ValueError(f"{name} is {value!r}; give a whole number of {least} or more")
    return count


def check_number(value: float, name: str, *, least: float = -math.inf) -> float:
    """A finite number of at least ``least``.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool | np.bool) or not (-LARGEST <= value <= LARGEST and value >= least):
        rule = "a finite number" if least == -math.inf else f"a finite number of {least:g} or more"
        raise ValueError(f"{name} is {value!r}; give {rule}")
    return value


def check_margin(margin: float) -> None:
    """A difference that matters is finite and above 0.

    Raises:
        ValueError: It is not.
    """
    if isinstance(margin, bool | np.bool) or not 0 < margin <= LARGEST:
        raise ValueError(f"margin is {margin!r}; give a difference above 0")


def _shortened(values: object) -> str:
    text = repr(values)
    return text if len(text) <= 60 else f"{text[:57]}..."
