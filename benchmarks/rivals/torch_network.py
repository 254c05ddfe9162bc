"""The probes as torch modules, with Keras's initial weights and constants.

A convolution with stride and ``same`` padding pads both edges, as torch users write it, where TensorFlow pads one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from probes import Layer, Probe, layers_of
from torch import Tensor, nn


class _Flatten(nn.Module):
    """Pixels in Keras's order; in place where memory is channels-last."""

    def __init__(self, is_planar: bool) -> None:
        super().__init__()
        self.is_planar = is_planar

    def forward(self, values: Tensor) -> Tensor:
        return (values if self.is_planar else values.permute(0, 2, 3, 1)).flatten(1)


class _Residual(nn.Module):
    def __init__(self, inside: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.inside, self.shortcut, self.activation = inside, shortcut, activation

    def forward(self, values: Tensor) -> Tensor:
        return self.activation(self.inside(values) + self.shortcut(values))


def network_of(probe: Probe, *, is_planar: bool) -> nn.Module:
    """The network up to its logits; channels-last unless ``is_planar``."""
    side, _, channels = probe.shape
    network = _sequence(layers_of(probe), side, channels, is_planar)
    return network if is_planar else network.to(memory_format=torch.channels_last)


def _sequence(layers: Iterable[Layer], side: int, channels: int, is_planar: bool) -> nn.Sequential:
    modules: list[nn.Module] = []
    for layer in layers:
        module = _module(layer, side, channels, is_planar)
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        modules.append(module)
        if layer.activation == "relu" and layer.kind != "residual":
            modules.append(nn.ReLU(inplace=True))
        side, channels = layer.outputs(side, channels)
    return nn.Sequential(*modules)


def _module(layer: Layer, side: int, channels: int, is_planar: bool) -> nn.Module:
    match layer.kind:
        case "conv" | "depthwise":
            filters, kernel = layer.outputs(side, channels)[1], layer.sizes[-1]
            return nn.Conv2d(
                channels,
                filters,
                kernel,
                layer.stride,
                kernel // 2 if layer.padding == "same" else 0,
                groups=channels if layer.kind == "depthwise" else 1,
                bias=layer.has_bias,
            )
        case "batchnorm":
            return nn.BatchNorm2d(channels, eps=0.001, momentum=0.01)
        case "relu":
            return nn.ReLU(inplace=True)
        case "maxpool":  # a window over the edge, which for a maximum is the same as padding
            return nn.MaxPool2d(layer.sizes[0], ceil_mode=layer.padding == "same")
        case "globalavgpool":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "dropout":
            return nn.Dropout(layer.rate)
        case "flatten":
            return _Flatten(is_planar)
        case "dense":
            return nn.Linear(channels, layer.sizes[0], bias=layer.has_bias)
        case "residual":
            inside, shortcut = (_sequence(part, side, channels, is_planar) for part in (layer.inside, layer.shortcut))
            return _Residual(inside, shortcut, nn.ReLU(inplace=True) if layer.activation == "relu" else nn.Identity())
    raise ValueError(f"no torch layer is known here for {layer.kind!r}")
