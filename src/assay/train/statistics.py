"""Statistics of batch normalization for weights that no step has trained: those of an average.

Sources: Izmailov et al. (2018), "Averaging weights leads to wider optima and better generalization"; torch's
``swa_utils.update_bn``, which takes all training images and leaves dropout on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..nets.build import Network
from ..nets.norms import BatchNorm
from ..nets.threads import one_thread
from .learner import Learner

MOST_IMAGES = 4096  # moments of so many images are known to 2 % of a deviation at worst, for a vector's units

Refresh = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def needs_statistics(network: Network) -> bool:
    """Whether training moves statistics of any of its layers."""
    return bool(_moved(network))


@torch.no_grad()
def with_statistics(network: Network, weights: dict[str, Tensor], batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The weights with the means and variances that their layers of batch normalization see, over all the batches.

    A layer normalizes a batch by the batch's own moments, as in training; its statistics become the means of these
    moments over all images (each batch counts by its images). Dropout is off, since it is off where they are used.

    Args:
        network: Of these weights; it takes them over, and is left in evaluation mode.
        weights: As ``Network.state`` has them.
        batches: Images as the network sees them [batch, channels, height, width].
    """
    network.load(weights)
    layers = _moved(network)
    network.eval()
    own = {layer: layer.momentum for layer in layers}
    for layer in layers:
        layer.train()
    seen = 0
    try:
        for images in batches:
            seen += len(images)
            for layer in layers:  # the running mean of n batches takes in the next with 1 / (n + 1)
                share = len(images) / seen
                layer.momentum = 1 - share if isinstance(layer, BatchNorm) else share
            with one_thread():  # so that bits do not depend on threads
                network(images)
    finally:
        for layer, momentum in own.items():
            layer.momentum = momentum
        network.eval()
    return {name: value.detach().clone() for name, value in network.state().items()}


def _moved(network: Network) -> list[BatchNorm | _BatchNorm]:
    """The layers whose statistics training moves: not those of a base that keeps its own."""
    was_training = network.training
    network.train()
    layers = [
        layer
        for layer in network.modules()
        if layer.training
        and (isinstance(layer, BatchNorm) or (isinstance(layer, _BatchNorm) and layer.track_running_stats))
    ]
    network.train(was_training)
    return layers


@contextlib.contextmanager
def refreshed(learner: Learner, refresh: Refresh | None) -> Iterator[None]:
    """Inside, a learner whose weights are an average has statistics that were computed for them."""
    if refresh is None:
        yield
        return
    before = learner.weights()
    learner.load_weights(refresh(before))
    try:
        yield
    finally:
        learner.load_weights(before)
