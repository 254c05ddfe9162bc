"""Convolutions that begin by whitening the images' patches: outputs without correlation, of variance 1 and mean 0.

The components' kernels stand by falling variance, and behind them their negatives, of which an activation such as relu
would otherwise keep nothing.

Sources: Krizhevsky (2009), "Learning multiple layers of features from tiny images" (whitened images); Page (2018), "How
to train your ResNet" (as a first convolution); Jordan (2024), "94% on CIFAR-10 in 3.29 seconds on a single GPU".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from . import layers as words
from .build import Network
from .threads import one_thread
from .weighted import Conv

MOST_IMAGES = 2000
SMALLEST = 5e-4  # of the mean variance: added to every variance, so that noise is not blown up
_AT_ONCE = 4_000_000  # values of patches


def is_whitening(network: Network) -> bool:
    """Whether any of its layers begins so."""
    return any(True for _ in _layers(network))


@torch.no_grad()
def whiten(network: Network, pixels: Callable[[int, int], Tensor], count: int) -> None:
    """Give layers with ``init=whitening`` their first kernels, and biases that bring the outputs' means to 0.

    The same bits with any number of threads.

    Args:
        network: With its other initial weights.
        pixels: The images from one number up to another, as the network sees them [n, channels, height, width].
        count: How many images there are.
    """
    for module in _layers(network):
        with one_thread():
            kernel, bias = _components(module.layer, pixels, count, module.kernel.shape[1])
        module.kernel.copy_(kernel)
        if module.bias is not None:
            module.bias.copy_(bias)


def _layers(network: Network) -> Iterator[Conv]:
    for row in network.summary.layers:
        if not isinstance(row.layer, words.Conv) or row.layer.init != "whitening" or row.block:
            continue
        module = network.get_submodule(row.name)
        if isinstance(module, Conv):
            yield module


def _components(
    layer: words.Conv, pixels: Callable[[int, int], Tensor], count: int, channels: int
) -> tuple[Tensor, Tensor]:
    """Kernel [filters, channels, height, width] and bias [filters]."""
    size = channels * layer.kernel[0] * layer.kernel[1]
    height, width = pixels(0, 1).shape[2:]
    step = max(_AT_ONCE // (size * height * width), 1)
    total, sums, squares = 0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    for start in range(0, count, step):
        images = pixels(start, min(start + step, count)).double()
        patches = F.unfold(images, layer.kernel, dilation=layer.dilation, stride=layer.stride)
        patches = patches.transpose(1, 2).reshape(-1, size)
        total += len(patches)
        sums += patches.sum(0)
        squares += patches.T @ patches
    mean = sums / total
    variances, vectors = torch.linalg.eigh(squares / total - torch.outer(mean, mean))
    variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1).T
    # A component's sign is anyone's choice: its largest element is positive here.
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = vectors * torch.where(largest < 0, -1.0, 1.0)
    smallest = SMALLEST * variances.mean().clamp(min=torch.finfo(torch.float32).tiny)
    rows = vectors / (variances + smallest).sqrt()[:, None]
    rows = torch.cat([rows, -rows])[: layer.filters]
    return rows.reshape(-1, channels, *layer.kernel).float(), -(rows @ mean).float()
