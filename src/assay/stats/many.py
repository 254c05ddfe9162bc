"""Adjustments of p values for several contrasts: Holm's, and Benjamini and Yekutieli's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .checks import numbers


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's adjusted p values, in the order given.

    Calling a contrast real when its adjusted p is below 0.05 makes one or more false calls in at most 5 % of
    studies, however the contrasts depend on each other.

    Raises:
        ValueError: They are not one row, or one of them is outside [0, 1] or not a number.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6(2).
    """
    values = _checked(p_values)
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def benjamini_yekutieli(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Benjamini and Yekutieli's adjusted p values, in the order given.

    Of the hypotheses rejected where the adjusted p is below 0.05, at most 5 % are true on average (the false discovery
    rate), however they depend on each other.

    Raises:
        ValueError: As :func:`holm`.

    Source: Benjamini and Yekutieli (2001), "The control of the false discovery rate in multiple testing under
    dependency", Annals of Statistics 29(4).
    """
    values = _checked(p_values)
    m = len(values)
    order = np.argsort(values, kind="stable")[::-1]
    factors = m * harmonic(m) / np.arange(m, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(values[order] * factors), 1.0)
    return adjusted


def harmonic(m: int) -> float:
    """1 + 1/2 + ... + 1/m: what dependence costs Benjamini and Yekutieli's procedure."""
    return float((1 / np.arange(1, m + 1)).sum())


def _checked(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = numbers(p_values)
    if values.ndim != 1:
        raise ValueError(f"the p values have shape {values.shape}; give one row of values between 0 and 1")
    if (wrong := np.flatnonzero(~((values >= 0) & (values <= 1)))).size:
        raise ValueError(f"p value {wrong[0]} is {values[wrong[0]]}; give p values between 0 and 1")
    return values
