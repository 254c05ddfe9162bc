"""Layer outputs, for one image and over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..nets.build import Network
from .choose import kernel_layer, last_dense_layer, row_of


@torch.no_grad()
def outputs_of(network: Network, scaled_images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The outputs of these layers for a batch, by layer name; an empty name is the input.

    Args:
        network: In evaluation mode.
        scaled_images: float32 [n, channels, height, width], scaled as in training.
        layers: Names of layers.
    """
    outputs: dict[str, Tensor] = {"": scaled_images}

    def keep(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            outputs[name] = output.clone()  # the next layer of a module of one's own may work in place

        return network.get_submodule(name).register_forward_hook(hook)

    hooks = [keep(name) for name in layers if name]
    try:
        network(scaled_images)
    finally:
        for handle in hooks:
            handle.remove()
    return {name: outputs[name] for name in layers}


def activation_maps(network: Network, scaled_image: Tensor) -> dict[str, NDArray[np.float32]]:
    """Every layer's output for one image: [channels, height, width] by layer name, as long as it is an image.

    Args:
        network: In evaluation mode.
        scaled_image: float32 [channels, height, width], scaled as in training.
    """
    layers = [row.name for row in network.summary.layers if len(row.output_shape) == 3]
    return {name: values[0].numpy() for name, values in outputs_of(network, scaled_image[None], layers).items()}


@torch.no_grad()
def penultimate_features(network: Network, batches: Iterable[Tensor]) -> NDArray[np.float32]:
    """The inputs of the last dense layer: float32 [n, features], of all batches in turn."""
    parts: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        parts.append(inputs[0].flatten(1).clone())

    handle = network.get_submodule(last_dense_layer(network.summary)).register_forward_pre_hook(keep)
    try:
        for batch in batches:
            network(batch)
    finally:
        handle.remove()
    features: NDArray[np.float32] = torch.cat(parts).numpy()
    return features


@dataclass(frozen=True)
class Strongest:
    """The images that excite each filter of a layer most.

    Args:
        images: Their indices among all images, the strongest first [filters, count].
        values: The filter's highest output in each [filters, count].
        boxes: That output's receptive field in the image: top, left, bottom, right in pixels, the last two exclusive
            [filters, count, 4].
    """

    images: NDArray[np.int64]
    values: NDArray[np.float32]
    boxes: NDArray[np.int64]


def strongest_images(
    network: Network, batches: Iterable[Tensor], layer: str | None = None, *, count: int = 8
) -> Strongest:
    """The images that excite each filter of a convolution most, by its highest output anywhere in the image.

    Args:
        network: In evaluation mode.
        batches: Scaled images, float32 [n, channels, height, width] each.
        layer: Name of a convolution; the first one if ``None``.
        count: Images for each filter, fewer where there are no more.

    Raises:
        SpecError: The layer, or the network, has no kernels.

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", ECCV.
    """
    chosen = kernel_layer(network.summary, layer)
    field = row_of(network.summary, chosen).receptive_field
    values, places = [], []
    width = 1
    for batch in batches:
        output = outputs_of(network, batch, [chosen])[chosen]
        width = output.shape[3]
        highest, place = output.flatten(2).max(2)
        values.append(highest)
        places.append(place)
    best, images = torch.cat(values).topk(min(count, sum(map(len, values))), dim=0)  # [count, filters]
    at = torch.cat(places).gather(0, images)
    rows, columns = at // width, at % width
    top, left = field.rows.start + rows * field.rows.stride, field.columns.start + columns * field.columns.stride
    boxes = torch.stack([top, left, top + field.rows.size, left + field.columns.size], dim=2)
    return Strongest(images.T.numpy(), best.T.numpy(), boxes.transpose(0, 1).numpy())
