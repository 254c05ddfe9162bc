"""How much each pixel matters to a class: integrated gradients and occlusion, as captum computes them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nets.build import Network

_STEPS = 50  # points of the Gauss-Legendre rule: Captum's own default
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
    from captum.attr import IntegratedGradients

    images = scaled_images.detach().clone().requires_grad_(True)
    attributions = IntegratedGradients(network).attribute(
        images,
        baselines=_blank(scaled_images, baseline),
        target=_target_classes(network, scaled_images, classes),
        n_steps=_STEPS,
        internal_batch_size=_AT_ONCE,
    )
    return _over_channels(attributions)


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
    from captum.attr import Occlusion

    channels, height, width = scaled_images.shape[1:]
    side = occlusion_window((height, width)) if window is None else window
    with torch.no_grad():
        attributions = Occlusion(network).attribute(
            scaled_images,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, 1, 1),
            baselines=_blank(scaled_images, baseline),
            target=_target_classes(network, scaled_images, classes),
            perturbations_per_eval=max(1, _AT_ONCE // len(scaled_images)),
        )
    return _over_channels(attributions[:, :1])  # the cover takes all channels, so each has the same value


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
