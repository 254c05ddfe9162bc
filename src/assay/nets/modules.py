"""Layers as torch modules that mean what Keras means by them.

Images are float (batch, channel, height, width), meant to lie in channels-last memory; vectors are (batch, unit).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..seeds import Streams
from . import layers as words
from .activations import ACTIVATIONS, activated
from .dropout import dropout
from .effects import Window, same_padding


def glorot_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """A float32 kernel drawn as Keras's GlorotUniform does, in Keras's shape (*window, inputs, outputs).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".
    """
    *window, inputs, outputs = shape
    limit = math.sqrt(6 / (math.prod(window) * (inputs + outputs)))
    return torch.from_numpy(generator.uniform(-limit, limit, shape).astype(np.float32))


class Weighted(nn.Module):
    """A layer with kernels, on which ``l1`` and ``l2`` lie. A layer without a bias has ``bias = None``."""

    layer: words.Conv | words.Depthwise | words.Separable | words.Dense
    bias: nn.Parameter | None

    def __init__(self, layer: words.Conv | words.Depthwise | words.Separable | words.Dense, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.outputs = outputs

    def _add_bias(self) -> None:
        """Behind the kernels, where Keras's summaries have it."""
        self.register_parameter("bias", nn.Parameter(torch.zeros(self.outputs)) if self.layer.bias else None)

    def penalties(self) -> list[Tensor]:
        """The sum of l1 * |w| and of l2 * w**2 for each kernel, where they are more than 0."""
        kernels = [values for name, values in self.named_parameters() if name.endswith("kernel")]
        l1 = [self.layer.l1 * kernel.abs().sum() for kernel in kernels if self.layer.l1 > 0]
        return l1 + [self.layer.l2 * kernel.square().sum() for kernel in kernels if self.layer.l2 > 0]


class Conv(Weighted):
    """Convolution and activation. ``kernel`` is (filters, channels / groups, height, width), channels-last."""

    layer: words.Conv

    def __init__(self, layer: words.Conv, channels: int, generator: np.random.Generator) -> None:
        super().__init__(layer, layer.filters)
        drawn = glorot_uniform(generator, (*layer.kernel, channels // layer.groups, layer.filters))
        self.kernel = nn.Parameter(drawn.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last))
        self._add_bias()

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        layer = self.layer
        return activated(_convolved(images, self.kernel, self.bias, layer, layer.groups), layer.activation)


class Depthwise(Weighted):
    """Each channel by itself. ``kernel`` is (channels * multiplier, 1, height, width), a channel's side by side."""

    layer: words.Depthwise

    def __init__(self, layer: words.Depthwise, channels: int, generator: np.random.Generator) -> None:
        super().__init__(layer, channels * layer.multiplier)
        self.channels = channels
        self.kernel = _depthwise_kernel(layer, channels, generator)
        self._add_bias()

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        return activated(_convolved(images, self.kernel, self.bias, self.layer, self.channels), self.layer.activation)


class Separable(Weighted):
    """A depthwise and a 1x1 convolution, with ``depthwise_kernel`` and ``pointwise_kernel``."""

    layer: words.Separable

    def __init__(
        self, layer: words.Separable, channels: int, depthwise: np.random.Generator, pointwise: np.random.Generator
    ) -> None:
        super().__init__(layer, layer.filters)
        self.channels = channels
        self.depthwise_kernel = _depthwise_kernel(layer, channels, depthwise)
        drawn = glorot_uniform(pointwise, (1, 1, channels * layer.multiplier, layer.filters))
        self.pointwise_kernel = nn.Parameter(drawn.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last))
        self._add_bias()

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        middle = _convolved(images, self.depthwise_kernel, None, self.layer, self.channels)
        return activated(F.conv2d(middle, self.pointwise_kernel, self.bias), self.layer.activation)


class Dense(Weighted):
    """Affine map and activation. ``kernel`` is (units, inputs), Keras's transposed."""

    layer: words.Dense

    def __init__(self, layer: words.Dense, inputs: int, units: int, generator: np.random.Generator) -> None:
        super().__init__(layer, units)
        self.kernel = nn.Parameter(glorot_uniform(generator, (inputs, units)).T.contiguous())
        self._add_bias()

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, inputs) in, (batch, units) out."""
        return activated(F.linear(vectors, self.kernel, self.bias), self.layer.activation)


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

    def __init__(self, layer: words.Activate) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        return ACTIVATIONS[self.layer.activation](values)


class Add(nn.Module):
    """The sum of several paths, and the activation."""

    def __init__(self, layer: words.Add) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, first: Tensor, second: Tensor, *more: Tensor) -> Tensor:
        """Images or vectors of one shape in, the same shape out."""
        total = first + second
        for values in more:
            total = total + values
        return activated(total, self.layer.activation)


class Concatenate(nn.Module):
    """The channels, or units, of several paths one after another."""

    def __init__(self, layer: words.Concatenate) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *paths: Tensor) -> Tensor:
        """Images or vectors in, all their channels or units out."""
        return torch.cat(paths, 1)


class Flatten(nn.Module):
    """Vectors in Keras's order: height, width, channel. No copy is made of channels-last memory."""

    def __init__(self, layer: words.Flatten) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channel, height, width) or (batch, unit) in, (batch, unit) out."""
        return values.permute(0, 2, 3, 1).flatten(1) if values.dim() == 4 else values


def _depthwise_kernel(
    layer: words.Depthwise | words.Separable, channels: int, generator: np.random.Generator
) -> nn.Parameter:
    drawn = glorot_uniform(generator, (*layer.kernel, channels, layer.multiplier))
    kernel = drawn.permute(2, 3, 0, 1).reshape(channels * layer.multiplier, 1, *layer.kernel)
    return nn.Parameter(kernel.contiguous(memory_format=torch.channels_last))


def _convolved(
    images: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    layer: words.Conv | words.Depthwise | words.Separable,
    groups: int,
) -> Tensor:
    window = Window(layer.kernel, layer.stride, layer.dilation, layer.padding)
    images, padding = _pad(images, window.extent, layer.stride, layer.padding, 0.0)
    return F.conv2d(images, kernel, bias, layer.stride, padding, layer.dilation, groups)


def _pad(
    images: Tensor, window: tuple[int, int], stride: int, padding: words.PaddingName | int, fill: float
) -> tuple[Tensor, tuple[int, int]]:
    """The images, padded if the two sides of an axis differ, and the padding left for the operation to do itself."""
    if padding == "valid":
        return images, (0, 0)
    if isinstance(padding, int):
        return images, (padding, padding)
    (top, bottom), (left, right) = (
        same_padding(size, length, stride) for size, length in zip(images.shape[2:], window, strict=True)
    )
    if top == bottom and left == right:
        return images, (top, left)
    return F.pad(images, (left, right, top, bottom), value=fill), (0, 0)
