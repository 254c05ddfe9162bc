"""Layers as torch modules that mean what Keras means by them.

Images are float (batch, channel, height, width), meant to lie in channels-last memory; vectors are (batch, unit).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..seeds import Streams
from . import layers as words
from .dropout import dropout
from .effects import same_padding

# A softmax at the end belongs to the loss, which is steadier on logits.
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "softmax": lambda logits: logits,
    "linear": lambda values: values,
}


def glorot_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """A float32 kernel drawn as Keras's GlorotUniform does, in Keras's shape (*window, inputs, outputs).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".
    """
    *window, inputs, outputs = shape
    limit = math.sqrt(6 / (math.prod(window) * (inputs + outputs)))
    return torch.from_numpy(generator.uniform(-limit, limit, shape).astype(np.float32))


class Conv(nn.Module):
    """Convolution and activation. ``kernel`` is (filters, channels, height, width) in channels-last memory."""

    def __init__(self, layer: words.Conv, channels: int, generator: np.random.Generator) -> None:
        super().__init__()
        self.layer = layer
        drawn = glorot_uniform(generator, (*layer.kernel, channels, layer.filters))
        self.kernel = nn.Parameter(drawn.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(layer.filters))

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        layer = self.layer
        images, padding = _pad(images, layer.kernel, layer.stride, layer.padding, 0.0)
        return _ACTIVATIONS[layer.activation](F.conv2d(images, self.kernel, self.bias, layer.stride, padding))


class Dense(nn.Module):
    """Affine map and activation. ``kernel`` is (units, inputs), Keras's transposed."""

    def __init__(self, layer: words.Dense, inputs: int, units: int, generator: np.random.Generator) -> None:
        super().__init__()
        self.layer = layer
        self.kernel = nn.Parameter(glorot_uniform(generator, (inputs, units)).T.contiguous())
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, inputs) in, (batch, units) out."""
        return _ACTIVATIONS[self.layer.activation](F.linear(vectors, self.kernel, self.bias))


class BatchNorm(nn.Module):
    """Batch normalization per channel with Keras 3's constants and moving statistics.

    Unlike torch's, the moving variance follows the biased batch variance, and a batch of one is allowed.
    """

    momentum = 0.99
    epsilon = 0.001
    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, layer: words.BatchNorm, channels: int) -> None:
        super().__init__()
        self.layer = layer
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("moving_mean", torch.zeros(channels))
        self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out; in training mode the moving statistics take one step."""
        if not self.training:
            return F.batch_norm(values, self.moving_mean, self.moving_variance, self.gamma, self.beta, eps=self.epsilon)
        normal, mean, inverse_deviation = torch.native_batch_norm(
            values, self.gamma, self.beta, None, None, True, 0.0, self.epsilon
        )
        with torch.no_grad():
            variance = inverse_deviation.pow(-2).sub_(self.epsilon).clamp_(min=0)
            self.moving_mean.lerp_(mean, 1 - self.momentum)
            self.moving_variance.lerp_(variance, 1 - self.momentum)
        return normal


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


class Dropout(nn.Module):
    """Inverted dropout. In training mode its mask is a pure function of (seed, ``ordinal``, ``step``, element).

    Args:
        layer: Its rate.
        ordinal: Its place among the network's dropout layers, from 0.
        streams: Of the run; ``dropout`` is the one used.
    """

    def __init__(self, layer: words.Dropout, ordinal: int, streams: Streams) -> None:
        super().__init__()
        self.layer = layer
        self.ordinal = ordinal
        self.streams = streams
        self.step = 0

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        if not self.training or self.layer.rate == 0:
            return values
        return dropout(values, self.streams.key("dropout", self.ordinal, self.step), self.layer.rate)


class Flatten(nn.Module):
    """Vectors in Keras's order: height, width, channel. No copy is made of channels-last memory."""

    def __init__(self, layer: words.Flatten) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channel, height, width) or (batch, unit) in, (batch, unit) out."""
        return values.permute(0, 2, 3, 1).flatten(1) if values.dim() == 4 else values


def _pad(
    images: Tensor, window: tuple[int, int], stride: int, padding: words.PaddingName, fill: float
) -> tuple[Tensor, tuple[int, int]]:
    """The images, padded if the two sides of an axis differ, and the padding left for the operation to do itself."""
    if padding == "valid":
        return images, (0, 0)
    (top, bottom), (left, right) = (
        same_padding(size, length, stride) for size, length in zip(images.shape[2:], window, strict=True)
    )
    if top == bottom and left == right:
        return images, (top, left)
    return F.pad(images, (left, right, top, bottom), value=fill), (0, 0)
