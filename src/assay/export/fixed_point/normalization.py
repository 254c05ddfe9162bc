"""Normalization of each image by itself in whole numbers: mean, variance and the root's reciprocal, set by set.

Of ``n`` whole numbers with sum S and sum of squares Q, the mean M is S / n without its fraction, R = S - n M what that
leaves, and ``D = Q - M (S + R)`` the squared distances from M: ``n`` times the variance is D - R^2 / n. It is kept as
large as 32 bits allow, epsilon is added, and its root is taken digit by digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nets.fixed_point import Normalize
from .arithmetic import Ints

_SQUARE = 255 * 255  # the largest of a byte
_WORD = (1 << 32) - 1
_FINE = 6  # bits of a mean's fraction
_MOST = (1 << 15) - 1
_MOST_SHIFT = 30
_FAR = 1 << 28  # of a bias, in units of what is put out


@dataclass(frozen=True, eq=False)
class Normalizer:
    """A normalization's constants.

    Args:
        factors: int16 [channels]: what a normalized number is multiplied by.
        biases: int16 [channels], in units of the product times ``2**bias_shift``.
        bias_shift: Its shift.
        shift: That of the sum.
        scale: By how many bits the variance is enlarged; even.
        epsilon: What is added to ``n`` times the enlarged variance.
    """

    factors: NDArray[np.int16]
    biases: NDArray[np.int16]
    bias_shift: int
    shift: int
    scale: int
    epsilon: int

    @property
    def reach(self) -> int:
        """By how many bits the product with the reciprocal is shifted where the variance is the largest."""
        return 22 - self.scale // 2

    @classmethod
    def of(
        cls, operation: Normalize, gamma: NDArray[Any], beta: NDArray[Any], source: float, target: float
    ) -> Normalizer:
        """The constants for values of which 1 stands for ``source``, and ``target`` behind it.

        Args:
            operation: The normalization.
            gamma, beta: Factor and shift of each channel [channels].
            source, target: What 1 stands for.
        """
        count = operation.together
        scale = min(14, int(math.log2(_WORD / (2 * count * _SQUARE))) & ~1)
        largest = count * _SQUARE << scale
        epsilon = min(round(count * operation.epsilon / source**2 * 2**scale), _WORD - largest)
        unit = math.sqrt(count * 2**scale) * 2.0 ** (22 - scale // 2 - 31 - _FINE)  # of a normalized number
        biases = np.clip(beta / target, -_FAR, _FAR)
        factors = np.clip(gamma * unit / target, -_MOST / 2, _MOST / 2)
        most, far = float(np.abs(factors).max()), float(np.abs(biases).max())
        shift = min(_room(most, _MOST), _room(far, 2 * _FAR), _MOST_SHIFT)
        bias_shift = max(0, math.ceil(math.log2(max(far * 2.0**shift, 1.0) / _MOST)))
        return cls(
            np.rint(factors * 2.0**shift).astype(np.int16),
            np.rint(biases * 2.0 ** (shift - bias_shift)).astype(np.int16),
            bias_shift,
            shift,
            scale,
            epsilon,
        )


def least_scale(operation: Normalize) -> float:
    """The least that 1 may stand for in what is normalized: below it epsilon hides whatever there is."""
    return math.sqrt(operation.epsilon / _SQUARE)


def normalized(x: NDArray[Any], operation: Normalize) -> NDArray[Any]:
    """Images [n, height, width, channels] with mean 0 and variance 1, in float, without factor and shift."""
    sets = _sets(x, operation)
    mean, variance = sets.mean((2, 4), keepdims=True), sets.var((2, 4), keepdims=True)
    out: NDArray[Any] = ((sets - mean) / np.sqrt(variance + x.dtype.type(operation.epsilon))).reshape(x.shape)
    return out


def whole_normalized(x: Ints, operation: Normalize, constants: Normalizer, limits: tuple[int, int]) -> Ints:
    """The same in whole numbers, with factor and shift: what C computes, bit for bit."""
    sets, count = _sets(x, operation), operation.together
    total = sets.sum((2, 4), keepdims=True)
    mean = np.sign(total) * (np.abs(total) // count)  # as C divides: towards zero
    rest = total - mean * count
    spread = (sets**2).sum((2, 4), keepdims=True) - mean * (total + rest)
    variance = (spread << constants.scale) - (rest**2 << constants.scale) // count + constants.epsilon
    variance = np.maximum(variance, 1)
    doublings = np.zeros_like(variance)
    for step in (8, 4, 2, 1):
        is_small = variance < 1 << (32 - 2 * step)
        variance = np.where(is_small, variance << 2 * step, variance)
        doublings += np.where(is_small, step, 0)
    inverse = (1 << 31) // np.sqrt(variance.astype(np.float64)).astype(np.int64)
    offset = (mean << _FINE) + np.sign(rest) * (((np.abs(rest) << _FINE) + count // 2) // count)
    shift = constants.reach - doublings
    value = (((sets << _FINE) - offset) * inverse + (1 << shift >> 1)) >> shift
    value = np.clip(value, -_MOST, _MOST).reshape(x.shape) * constants.factors.astype(np.int64)
    value += (constants.biases.astype(np.int64) << constants.bias_shift) + (1 << (constants.shift - 1))
    whole: Ints = np.clip(value >> constants.shift, *limits)
    return whole


def _sets(x: NDArray[Any], operation: Normalize) -> NDArray[Any]:
    """[n, positions that stand alone, positions together, groups, channels of a group]."""
    num, height, width, channels = x.shape
    alone = height * width if operation.is_by_position else 1
    return x.reshape(num, alone, -1, operation.groups, channels // operation.groups)


def _room(value: float, most: int) -> int:
    """The largest power of two by which a value stays below ``most``, from 1 on."""
    return max(1, math.floor(math.log2(most / value))) if value > most / 2.0**_MOST_SHIFT else _MOST_SHIFT
