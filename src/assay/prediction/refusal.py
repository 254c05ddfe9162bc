"""Pictures unlike the data: how far a network's features of a picture lie from those of its training images.

The distance is Mahalanobis's, to the nearest class's mean, with one covariance for all classes, in the space of the
means and deviations of feature maps at several depths, the input's own among them. Of the scores that were measured
(largest softmax, energy, Mahalanobis and nearest features, by layer and over layers) it separates best where it
matters: docs/decisions/2026-11-30-field.md has the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import Summary
from ..nets.ensemble import members_of
from .conformal import check_coverage, conformal_quantile

if TYPE_CHECKING:
    from torch import Tensor

    from ..train.predictor import Predictor

FITTED_ON = 5000  # training images
_LAYERS, _CHANNELS = 4, 64  # layers, and channels or units of each, at most: the covariance stays small
_RIDGE, _LEAST = 1e-3, 1e-9  # added to variances: a share of their mean, and where nothing varies at all
_BATCH = 500

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Refusal:
    """How far is too far, for one network.

    Args:
        layers: The layers whose outputs are described; ``""`` is the scaled image.
        channels: Which channels or units of each.
        centre: What described images are moved by [features].
        whitening: What they are then multiplied by [features, features].
        means: Of the classes that training images had, in that space [classes, features].
        threshold: The largest squared distance that is not refused.
        share: Of validation images, those that are refused.
        num_images: Validation images that the threshold comes from.
    """

    layers: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    centre: Doubles
    whitening: Doubles
    means: Doubles
    threshold: float
    share: float
    num_images: int

    def unlike(self, predictor: Predictor, images: NDArray[np.uint8] | NDArray[np.float32]) -> Doubles:
        """How unlike the data each image is: its squared distance over the threshold, refused above 1 [n]."""
        return self._distances(described(predictor, images, self.layers, self.channels)) / self.threshold

    def _distances(self, features: Doubles) -> Doubles:
        return distances((features - self.centre) @ self.whitening, self.means)


def distances(whitened: Doubles, means: Doubles) -> Doubles:
    """Squared distance to the nearest mean [n]."""
    return np.asarray(np.min([((whitened - mean) ** 2).sum(1) for mean in means], axis=0))


def fit_refusal(
    predictor: Predictor,
    training: tuple[NDArray[Any], NDArray[np.int64]],
    validation: NDArray[Any],
    *,
    share: float = 0.05,
) -> Refusal:
    """What a network's features of its training images are like, and which share of validation images is refused.

    Args:
        predictor: The network.
        training: Images that it was trained on and their labels; ``FITTED_ON`` at most are used, evenly spread.
        validation: Images that it was not trained on: the threshold is theirs alone.
        share: In (0, 1).

    Raises:
        SpecError: The share is outside (0, 1), or there are too few validation images for it.

    Source: Lee et al. (2018), "A simple unified framework for detecting out-of-distribution samples and adversarial
    attacks", NeurIPS; the threshold is a conformal p value's (Bates et al. 2023, "Testing for outliers with conformal
    p-values", Annals of Statistics 51).
    """
    check_coverage(share, "share of validation images that is refused")
    fewest = math.ceil((1 - share) / share - 1e-9)
    if len(validation) < fewest:
        what = f"there are {len(validation)} validation images, and refusing {share:.3g} of them takes {fewest}"
        raise SpecError(Problem(what, "refuse a larger share, or run with a larger validation split"))
    images, labels = training
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), FITTED_ON)).astype(np.int64)
    layers, channels = described_layers(predictor.network.summary)
    features = described(predictor, images[chosen], layers, channels)
    centre = features.mean(0)
    features -= centre
    own = labels[chosen]
    present = np.unique(own)
    means = np.stack([features[own == label].mean(0) for label in present])
    deviations = features.std(0)
    scale = np.where(deviations > 1e-6, deviations, 1.0)
    residual = (features - means[np.searchsorted(present, own)]) / scale
    covariance = residual.T @ residual / len(residual)
    covariance += (_RIDGE * np.trace(covariance) / len(covariance) + _LEAST) * np.eye(len(covariance))
    # (f - m)' C^-1 (f - m) = |(f - m) L|^2 with C^-1 = L L'.
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)) / scale[:, None]
    rule = Refusal(layers, channels, centre, whitening, means @ whitening, 1.0, share, len(validation))
    return replace(rule, threshold=conformal_quantile(rule.unlike(predictor, validation), 1 - share))


def described_layers(summary: Summary) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """The layers that are described, the input first, and which channels or units of each.

    Convolutions and dense layers but the last, evenly chosen where there are many, as are their channels.
    """
    rows = [row for row in summary.layers if row.layer.role in ("convolution", "dense")][:-1]
    if len(rows) > _LAYERS:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, _LAYERS).round().astype(int)]
    sizes = [summary.input_shape[2], *(row.output_shape[-1] for row in rows)]
    return ("", *(row.name for row in rows)), tuple(_evenly(size) for size in sizes)


def described(
    predictor: Predictor,
    images: NDArray[np.uint8] | NDArray[np.float32],
    layers: Sequence[str],
    channels: Sequence[Sequence[int]],
) -> Doubles:
    """Means and deviations of feature maps, and units as they are [n, features]."""
    from ..explain.activations import outputs_of

    parts = []
    for start in range(0, len(images), _BATCH):
        chosen = np.arange(start, min(start + _BATCH, len(images)))
        outputs = outputs_of(members_of(predictor.network)[0], predictor.scaling.apply(images, chosen), layers)
        described_ = [
            _of_layer(outputs[name], places) for name, places in zip(layers, channels, strict=True)
        ]  # fmt: skip
        parts.append(np.concatenate(described_, axis=1))
    width = sum(len(places) for places in channels)
    return np.concatenate(parts).astype(np.float64) if parts else np.empty((0, width))


def _of_layer(output: Tensor, channels: Sequence[int]) -> NDArray[np.float32]:
    chosen = output[:, list(channels)].flatten(2) if output.ndim > 2 else output[:, list(channels)]
    if chosen.ndim == 2:
        return chosen.numpy()
    return np.concatenate([chosen.mean(2).numpy(), chosen.std(2, correction=0).numpy()], axis=1)


def _evenly(size: int) -> tuple[int, ...]:
    return tuple(np.linspace(0, size - 1, min(size, _CHANNELS)).round().astype(int).tolist())
