"""Grad-CAM: where in an image the evidence for a class lies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..nets.build import Network
from .choose import map_layer


def grad_cam(
    network: Network, scaled_images: Tensor, classes: Tensor | None = None, layer: str | None = None
) -> NDArray[np.float32]:
    """Heat maps of the evidence for a class, each scaled so that its highest value is 1.

    A map is the weighted sum of a layer's channels, each weighted by its mean gradient of the class's logit, cut at 0
    and stretched (bilinear) to the image. It is 0 everywhere where nothing speaks for the class.

    Args:
        network: In evaluation mode.
        scaled_images: float32 [n, channels, height, width], scaled as in training.
        classes: int64 [n], the class to look for in each image; the predicted one if ``None``.
        layer: Name of a layer that puts out feature maps; the last convolution's, before any pooling, if
            ``None``.

    Returns:
        float32 [n, height, width], 0 to 1.

    Raises:
        SpecError: The layer, or the network, has no feature maps.

    Source: Selvaraju et al. (2017), "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", ICCV.
    """
    chosen = map_layer(network.summary, layer)
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        # A leaf of its own: nothing below the layer is differentiated.
        outputs.append(output.detach().requires_grad_(True))
        return outputs[0].clone()  # the next layer of a module of one's own may work in place

    hook = network.get_submodule(chosen).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = network(scaled_images)
            targets = logits.argmax(1) if classes is None else classes
            evidence = logits.gather(1, targets[:, None]).sum()
    finally:
        hook.remove()
    (features,) = outputs
    (gradients,) = torch.autograd.grad(evidence, features)
    weights = gradients.mean((2, 3), keepdim=True)
    heat = (weights * features.detach()).sum(1, keepdim=True).clamp_min(0)
    heat = interpolate(heat, scaled_images.shape[2:], mode="bilinear", align_corners=False)
    highest = heat.amax((1, 2, 3), keepdim=True)
    maps: NDArray[np.float32] = (heat / highest.where(highest > 0, torch.ones(()))).squeeze(1).numpy()
    return maps
