"""Torch modules that compute what Keras's layers compute, and the table from layer words to modules.

Images are float (batch, channel, height, width), meant to lie in channels-last memory; vectors are (batch, unit).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..seeds import Streams
from . import layers as words
from . import norms, weighted
from .activations import ACTIVATIONS, activated
from .dropout import dropout
from .effects import Shape
from .padding import pad as _pad
from .quantizer import LayerRounds
from .shapes import LayerSummary
from .translation import Translation


class MaxPool(nn.Module):
    """Maximum over windows; padding never wins."""

    def __init__(self, layer: words.MaxPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        size, stride = self.layer.size, self.layer.stride
        images, padding = _pad(images, (size, size), stride, self.layer.padding, -math.inf)
        return F.max_pool2d(images, size, stride, padding)


class AvgPool(nn.Module):
    """Mean over the elements of each window that lie in the image."""

    def __init__(self, layer: words.AvgPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        size, stride = self.layer.size, self.layer.stride
        padded, padding = _pad(images, (size, size), stride, self.layer.padding, 0.0)
        if padded is images:
            return F.avg_pool2d(images, size, stride, padding, count_include_pad=False)
        inside, _ = _pad(torch.ones_like(images[:1, :1]), (size, size), stride, self.layer.padding, 0.0)
        return F.avg_pool2d(padded, size, stride) / F.avg_pool2d(inside, size, stride)


class GlobalPool(nn.Module):
    """Maximum or mean over all pixels."""

    def __init__(self, layer: words.GlobalMaxPool | words.GlobalAvgPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channel, height, width) in, (batch, channel) out."""
        return images.mean((2, 3)) if isinstance(self.layer, words.GlobalAvgPool) else images.flatten(2).amax(2)


class Dropout(nn.Module):
    """Inverted dropout. In training mode its mask is a pure function of (seed, ``ordinal``, ``step``, element).

    Args:
        layer: Its rate.
        ordinal: Its place among the network's dropout layers of either kind, from 0.
        streams: Of the run; ``dropout`` is the one used.

    Where ``key`` is set (int64 [2]), the mask is that key's instead.
    """

    def __init__(self, layer: words.Dropout | words.SpatialDropout, ordinal: int, streams: Streams) -> None:
        super().__init__()
        self.layer = layer
        self.ordinal = ordinal
        self.streams = streams
        self.step = 0
        self.key: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        if not self.training or self.layer.rate == 0:
            return values
        key = self.streams.key("dropout", self.ordinal, self.step) if self.key is None else self.key
        return dropout(values, key, self.layer.rate)


class SpatialDropout(Dropout):
    """Inverted dropout of whole channels: the mask's elements are (batch, channel)."""

    def forward(self, values: Tensor) -> Tensor:
        """Images in, the same shape out."""
        if not self.training or self.layer.rate == 0:
            return values
        return values * super().forward(torch.ones_like(values[:, :, 0, 0]))[:, :, None, None]


class Activate(nn.Module):
    """An activation alone."""

    rounds: LayerRounds | None = None

    def __init__(self, layer: words.Activate) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        if self.rounds is not None:
            return self.rounds.activated(values, self.layer.activation)
        return ACTIVATIONS[self.layer.activation](values)


class PReLU(nn.Module):
    """Relu with learned slopes ``alpha`` below zero, of a shape that goes over one image or vector."""

    def __init__(self, layer: words.PReLU, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = layer
        self.alpha = nn.Parameter(torch.full(shape, layer.slope))

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out. At zero neither part has a gradient, as in Keras."""
        return torch.relu(values) - torch.relu(-values) * self.alpha


class Add(nn.Module):
    """The sum of several paths, and the activation."""

    rounds: LayerRounds | None = None

    def __init__(self, layer: words.Add) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, first: Tensor, second: Tensor, *more: Tensor) -> Tensor:
        """Images or vectors of one shape in, the same shape out."""
        total = first + second
        for values in more:
            total = total + values
        name = self.layer.activation
        return activated(total, name) if self.rounds is None else self.rounds.activated(total, name)


class Concatenate(nn.Module):
    """The channels, or units, of several paths one after another."""

    def __init__(self, layer: words.Concatenate) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *paths: Tensor) -> Tensor:
        """Images or vectors in, all their channels or units out."""
        return torch.cat(paths, 1)


class Flatten(nn.Module):
    """Vectors in Keras's order: height, width, channel. Channels-last memory is not copied."""

    def __init__(self, layer: words.Flatten) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channel, height, width) or (batch, unit) in, (batch, unit) out."""
        return values.permute(0, 2, 3, 1).flatten(1) if values.dim() == 4 else values


class ZeroPad(nn.Module):
    """Zeros around images."""

    def __init__(self, layer: words.ZeroPad) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """Images in, larger images out."""
        (top, bottom), (left, right) = self.layer.padding
        return F.pad(images, (left, right, top, bottom))


class Reshape(nn.Module):
    """The same values in Keras's order, height, width, channel, as an image or vector of another shape."""

    def __init__(self, layer: words.Reshape, shape: Shape) -> None:
        super().__init__()
        self.layer, self.shape = layer, shape

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channel, height, width) or (batch, unit) in, and out."""
        ordered = values.permute(0, 2, 3, 1) if values.dim() == 4 else values
        shaped = ordered.reshape(len(values), *self.shape)
        return shaped.permute(0, 3, 1, 2) if shaped.dim() == 4 else shaped


class Draws:
    """What the layers of one network draw from, each in its turn.

    Args:
        streams: Of the run.
        kernels: The names, below ``init``, of the generators of the kernels to come.
        dropouts: The ordinals of the dropout layers to come.
    """

    def __init__(self, streams: Streams, kernels: Iterator[tuple[int, ...]], dropouts: Iterator[int]) -> None:
        self.streams = streams
        self._kernels, self._dropouts = kernels, dropouts

    def kernel(self) -> np.random.Generator:
        """What the next kernel is drawn from: adding a layer without kernels moves no other's."""
        return self.streams.generator("init", *next(self._kernels))

    def dropout(self) -> int:
        """The next dropout layer's ordinal."""
        return next(self._dropouts)


Make = Callable[[Any, LayerSummary, Draws], nn.Module]
MODULES: Translation[Make] = Translation("torch module", entries={
    words.Conv: lambda layer, row, draws: weighted.Conv(layer, row.input_shape[-1], draws.kernel()),
    words.Depthwise: lambda layer, row, draws: weighted.Depthwise(layer, row.input_shape[-1], draws.kernel()),
    words.Separable: lambda layer, row, draws: weighted.Separable(
        layer, row.input_shape[-1], draws.kernel(), draws.kernel()
    ),
    words.Dense: lambda layer, row, draws: weighted.Dense(
        layer, row.input_shape[-1], row.output_shape[-1], draws.kernel()
    ),
    words.BatchNorm: lambda layer, row, draws: norms.BatchNorm(layer, row.input_shape[-1]),
    words.LayerNorm: lambda layer, row, draws: norms.LayerNorm(layer, row.input_shape[-1]),
    words.GroupNorm: lambda layer, row, draws: norms.GroupNorm(layer, row.input_shape[-1]),
    words.InstanceNorm: lambda layer, row, draws: norms.GroupNorm(layer, row.input_shape[-1]),
    words.MaxPool: lambda layer, row, draws: MaxPool(layer),
    words.AvgPool: lambda layer, row, draws: AvgPool(layer),
    words.GlobalMaxPool: lambda layer, row, draws: GlobalPool(layer),
    words.GlobalAvgPool: lambda layer, row, draws: GlobalPool(layer),
    words.Dropout: lambda layer, row, draws: Dropout(layer, draws.dropout(), draws.streams),
    words.SpatialDropout: lambda layer, row, draws: SpatialDropout(layer, draws.dropout(), draws.streams),
    words.Flatten: lambda layer, row, draws: Flatten(layer),
    words.ZeroPad: lambda layer, row, draws: ZeroPad(layer),
    words.Reshape: lambda layer, row, draws: Reshape(layer, row.output_shape),
    words.Activate: lambda layer, row, draws: Activate(layer),
    words.PReLU: lambda layer, row, draws: PReLU(layer, row.tensors[0].shape),
    words.Add: lambda layer, row, draws: Add(layer),
    words.Concatenate: lambda layer, row, draws: Concatenate(layer),
})  # fmt: skip
