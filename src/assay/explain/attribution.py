"""How much each pixel matters to a class: integrated gradients and occlusion. Tests hold both against captum's."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as torch's own documents call it
from numpy.typing import NDArray
from torch import Tensor

from ..nets.build import Network

_STEPS = 50  # points of the Gauss-Legendre rule, as many as captum takes
_AT_ONCE = 256  # images in one forward pass


def integrated_gradients(
    network: Network,
    scaled_images: Tensor,
    classes: Tensor | None = None,
    *,
    baseline: Tensor | None = None,
) -> NDArray[np.float32]:
    """Each pixel's share in a class's logit above the baseline's: over an image, shares sum to that difference.

    Args:
        network: In evaluation mode.
        scaled_images: float32 [n, channels, height, width], scaled as in training.
        classes: int64 [n]; the predicted ones if ``None``.
        baseline: float32 [channels], the pixel of an image that shows nothing, scaled as in training; 0 if ``None``.

    Returns:
        float32 [n, height, width], summed over channels; positive pixels speak for the class.

    Source: Sundararajan, Taly and Yan (2017), "Axiomatic attribution for deep networks", ICML.
    """
    images, blank = scaled_images.detach(), _blank(scaled_images, baseline)
    targets = _target_classes(network, scaled_images, classes)
    nodes, weights = np.polynomial.legendre.leggauss(_STEPS)
    # The mean gradient on the straight way from the blank image to the image: the rule's points, from 0 to 1.
    points = list(zip((1 + nodes) / 2, weights / 2, strict=True))
    mean = torch.zeros_like(images)
    at_once = max(1, _AT_ONCE // len(images))
    for start in range(0, _STEPS, at_once):
        chosen = points[start : start + at_once]
        way = torch.cat([blank + float(share) * (images - blank) for share, _ in chosen]).requires_grad_(True)
        logits = network(way).gather(1, targets.repeat(len(chosen))[:, None])
        (gradients,) = torch.autograd.grad(logits.sum(), way)
        for gradient, (_, weight) in zip(torch.split(gradients, len(images)), chosen, strict=True):
            mean += float(weight) * gradient
    return _over_channels(mean * (images - blank))


def occlusion(
    network: Network,
    scaled_images: Tensor,
    classes: Tensor | None = None,
    *,
    window: int | None = None,
    baseline: Tensor | None = None,
) -> NDArray[np.float32]:
    """How far a class's logit falls when a square is covered, for each pixel the mean over the squares that cover it.

    Args:
        network: In evaluation mode.
        scaled_images: float32 [n, channels, height, width], scaled as in training.
        classes: int64 [n]; the predicted ones if ``None``.
        window: Side of the square; a sixth of the shorter side of the image, 3 or more and odd, if ``None``.
        baseline: float32 [channels], the pixel of the cover, scaled as in training; 0 if ``None``.

    Returns:
        float32 [n, height, width]; where it is positive, covering speaks against the class.

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", ECCV.
    """
    height, width = scaled_images.shape[2:]
    side = min(height, width, occlusion_window((height, width)) if window is None else window)
    images, blank = scaled_images.detach(), _blank(scaled_images, baseline)
    targets = _target_classes(network, scaled_images, classes)[:, None]
    places = [(row, column) for row in range(height - side + 1) for column in range(width - side + 1)]
    falls = []
    with torch.no_grad():
        whole = network(images).gather(1, targets)
        at_once = max(1, _AT_ONCE // len(images))
        for start in range(0, len(places), at_once):
            chosen = places[start : start + at_once]
            covered = images.repeat(len(chosen), 1, 1, 1)
            for copy, (row, column) in zip(torch.split(covered, len(images)), chosen, strict=True):
                square = (slice(None), slice(None), slice(row, row + side), slice(column, column + side))
                copy[square] = blank[square]
            logits = network(covered).gather(1, targets.repeat(len(chosen), 1))
            falls.append(whole - logits.view(len(chosen), len(images)).T)
        fall = torch.cat(falls, 1).view(len(images), 1, height - side + 1, width - side + 1)
        squares = torch.ones(1, 1, side, side)
        sums = F.conv_transpose2d(fall, squares)
        counts = F.conv_transpose2d(torch.ones_like(fall[:1]), squares)
    return _over_channels(sums / counts)


def occlusion_window(shape: tuple[int, int]) -> int:
    """Side of the square that covers a part of an image: 5 for 28 x 28, 17 for 96 x 96."""
    return max(3, min(shape) // 6 // 2 * 2 + 1)


def _target_classes(network: Network, images: Tensor, classes: Tensor | None) -> Tensor:
    if classes is not None:
        return classes
    with torch.no_grad():
        return network(images).argmax(1)  # type: ignore[no-any-return]


def _blank(images: Tensor, baseline: Tensor | None) -> Tensor:
    return torch.zeros_like(images) if baseline is None else baseline[:, None, None].expand_as(images).contiguous()


def _over_channels(attributions: Tensor) -> NDArray[np.float32]:
    maps: NDArray[np.float32] = attributions.detach().to(torch.float32).sum(1).numpy()
    return maps
