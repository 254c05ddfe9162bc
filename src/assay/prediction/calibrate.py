"""Confidence that means what it says: one temperature, fitted where the network has not learned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ensemble import Floats, sharpened

_BINS = 15
_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature and what it changes on the images that it was fitted on.

    Args:
        temperature: Probabilities p become p**(1 / temperature), scaled to sum to 1.
        num_images: How many images.
        loss: Mean cross-entropy before and after, in nats.
        error: Expected calibration error before and after, a fraction.
    """

    temperature: float
    num_images: int
    loss: tuple[float, float]
    error: tuple[float, float]


def calibrate(probabilities: Floats, labels: NDArray[np.int64]) -> Calibration:
    """The temperature with the least cross-entropy on these images.

    Args:
        probabilities: float32 [n, classes], of images that the network has not trained on.
        labels: int64 [n].

    Raises:
        ValueError: There are no images.

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks".
    """
    from scipy.optimize import minimize_scalar

    if not len(labels):
        raise ValueError("a temperature is fitted on images, and there are none")

    def loss(log_temperature: float) -> float:
        return cross_entropy(sharpened(probabilities, math.exp(log_temperature)), labels)

    minimum = minimize_scalar(loss, bounds=(math.log(_LOWEST), math.log(_HIGHEST)), method="bounded")
    temperature = float(math.exp(minimum.x))
    after = sharpened(probabilities, temperature)
    return Calibration(
        temperature,
        len(labels),
        (cross_entropy(probabilities, labels), cross_entropy(after, labels)),
        (calibration_error(probabilities, labels), calibration_error(after, labels)),
    )


def cross_entropy(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Mean -log probability of the true class, in nats."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def calibration_error(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, over 15 bins of equal width.

    Source: Naeini et al. (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    confidence = probabilities.max(1).astype(np.float64)
    hits = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, confidence - hits, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(labels))
