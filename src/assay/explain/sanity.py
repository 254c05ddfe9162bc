"""Sanity check of attribution maps: they must change when the weights are randomised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nets.build import Network
from ..nets.own.network import network_from
from ..seeds import Streams

ALIKE = 0.5
_SEED = 2018  # a run's own seed would bring back the weights that it began with

Method = Callable[[Network, Tensor, Tensor], NDArray[np.float32]]


@dataclass(frozen=True)
class Sanity:
    """How alike maps are to the trained network's as its layers are randomised one after another, from the top.

    Args:
        layers: The layers, in the order in which they were randomised.
        correlations: Mean over images of the maps' rank correlation, after each layer [layers].
        n: Images.
    """

    layers: tuple[str, ...]
    correlations: tuple[float, ...]
    n: int

    @property
    def is_sensitive(self) -> bool:
        """Whether the untrained network's maps are less alike than ``ALIKE``; a rule of thumb."""
        return self.correlations[-1] < ALIKE


def sanity_check(network: Network, scaled_images: Tensor, method: Method) -> Sanity:
    """Randomise layer by layer, the last one first, and compare each time the maps of the classes first predicted.

    A randomised layer has the weights of an untrained network, moving statistics included.

    Args:
        network: In evaluation mode; it is not changed.
        scaled_images: float32 [n, channels, height, width], scaled as in training.
        method: From a network, images and classes to maps [n, height, width].

    Source: Adebayo et al. (2018), "Sanity checks for saliency maps", NeurIPS: cascading randomization.
    """
    with torch.no_grad():
        classes = network(scaled_images).argmax(1)
    before = method(network, scaled_images, classes)
    changed, untrained = copy.deepcopy(network), network_from(network.summary, Streams(_SEED))
    layers = [row.name for row in reversed(network.summary.layers) if row.tensors]
    correlations = []
    for name in layers:
        changed.get_submodule(name).load_state_dict(untrained.get_submodule(name).state_dict())
        after = method(changed, scaled_images, classes)
        correlations.append(float(np.mean([rank_correlation(a, b) for a, b in zip(before, after, strict=True)])))
    return Sanity(tuple(layers), tuple(correlations), len(scaled_images))


def rank_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Spearman's correlation of two maps over the pixels where either is not 0; 0 where one is the same everywhere.

    Where both are 0, as in a black background that integrated gradients start from, neither says anything of a network.
    """
    from scipy.stats import rankdata

    is_nonzero = (a != 0) | (b != 0)
    if not is_nonzero.any():
        return 0.0
    first, second = (rankdata(values[is_nonzero]) for values in (a, b))
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / size) if size > 0 else 0.0
