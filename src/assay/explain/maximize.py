"""Activation maximization: the input that excites a filter most, by gradient ascent."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..nets.build import Network
from .choose import kernel_layer, row_of

_RATE = 0.2


def maximize_filters(
    network: Network,
    low: Tensor,
    high: Tensor,
    layer: str | None = None,
    *,
    filters: Sequence[int] | None = None,
    steps: int = 64,
    smoothness: float = 0.1,
    seed: int = 0,
) -> NDArray[np.float32]:
    """For each filter of a convolution the picture that excites the middle of its map most, of all pictures in a box.

    Gradient ascent (Adam) on pixels between ``low`` and ``high``, from grey with a little noise, on the filter's output
    before its activation: a filter that is silent at the start still has a direction. Neighbouring pixels are drawn
    together a little. What the filter does not see stays grey.

    Args:
        network: It is not changed.
        low: float32 [channels], the lowest value that a pixel takes, scaled as in training.
        high: float32 [channels], the highest.
        layer: Name of a convolution; the first one if ``None``.
        filters: Which; all if ``None``.
        steps: Of gradient ascent.
        smoothness: Weight of the mean absolute difference between neighbours, in shares of the filter's largest gain.
        seed: Of the noise.

    Returns:
        float32 [filters, height, width, channels], 0 where a pixel is ``low`` and 1 where it is ``high``, cut to the
        pixels that the filter's middle can see.

    Raises:
        SpecError: The layer, or the network, has no kernels.

    Source: Erhan, Bengio, Courville and Vincent (2009), "Visualizing higher-layer features of a deep network".
    """
    chosen = kernel_layer(network.summary, layer)
    linear = copy.deepcopy(network).requires_grad_(False)
    module: Any = linear.get_submodule(chosen)
    if network.summary.own is None:  # torch's convolutions have no activation of their own
        module.layer = replace(module.layer, activation="linear")
    row = row_of(network.summary, chosen)
    height, width, channels = network.summary.input_shape
    shape: tuple[int, ...] = row.output_shape
    rows, columns, count = shape
    chosen_filters = torch.arange(count) if filters is None else torch.tensor(filters)
    middle = (rows // 2, columns // 2)
    noise = torch.randn(len(chosen_filters), channels, height, width, generator=torch.Generator().manual_seed(seed))
    free = (0.01 * noise).requires_grad_(True)
    optimizer = torch.optim.Adam([free], lr=_RATE)
    span = (high - low)[:, None, None]
    scale: Tensor | None = None
    for _ in range(steps):
        optimizer.zero_grad()
        pixels = torch.sigmoid(free)
        excited = _excited(linear, low[:, None, None] + span * pixels, chosen, middle, chosen_filters)
        if scale is None:  # what a filter's gradient would gain over the whole box, so that all are smoothed alike
            (slope,) = torch.autograd.grad(excited.sum(), pixels, retain_graph=True)
            scale = slope.abs().sum((1, 2, 3)).clamp_min(1e-6) / 2
        (smoothness * _roughness(pixels) - excited / scale).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    pictures = torch.sigmoid(free.detach()).permute(0, 2, 3, 1).numpy()
    field = row.receptive_field
    (top, bottom), (left, right) = (
        (max(axis.start + at * axis.stride, 0), min(axis.start + at * axis.stride + axis.size, length))
        for axis, at, length in zip((field.rows, field.columns), middle, (height, width), strict=True)
    )
    cut: NDArray[np.float32] = pictures[:, top:bottom, left:right]
    return cut


def _excited(network: Network, images: Tensor, layer: str, middle: tuple[int, int], filters: Tensor) -> Tensor:
    """Output of each filter in the middle of its map, for the image of the same place [filters]."""

    def stop(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        raise _Output(output)

    handle = network.get_submodule(layer).register_forward_hook(stop)
    try:
        network(images)
    except _Output as reached:
        return reached.output[torch.arange(len(filters)), filters, middle[0], middle[1]]
    finally:
        handle.remove()
    raise ValueError(f"{layer} is not reached")


class _Output(Exception):
    """Carries a layer's output out of the forward pass, so that later layers are not computed."""

    def __init__(self, output: Tensor) -> None:
        self.output = output
        super().__init__()


def _roughness(pixels: Tensor) -> Tensor:
    down = (pixels[:, :, 1:] - pixels[:, :, :-1]).abs().mean((1, 2, 3))
    across = (pixels[:, :, :, 1:] - pixels[:, :, :, :-1]).abs().mean((1, 2, 3))
    return down + across
