"""Layers with kernels as torch modules: convolutions and fully connected layers.

Images are float (batch, channel, height, width), meant to lie in channels-last memory; vectors are (batch, unit).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from . import layers as words
from .activations import activated
from .fixed_point import Coding
from .padding import pad
from .quantizer import LayerRounds, quantized


def glorot_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """A float32 kernel drawn as Keras's GlorotUniform does, in Keras's shape (*window, inputs, outputs).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".
    """
    *window, inputs, outputs = shape
    limit = math.sqrt(6 / (math.prod(window) * (inputs + outputs)))
    return torch.from_numpy(generator.uniform(-limit, limit, shape).astype(np.float32))


def initial_kernel(layer: words.Conv, channels: int, generator: np.random.Generator) -> Tensor:
    """A convolution's first kernel [height, width, channels / groups, filters].

    ``identity``: the first filters of each group hand on its channels, one each, and the others are Glorot-uniform
    (Jordan 2024). ``whitening`` waits for images (``whitening.whiten``), and is Glorot-uniform until then. Whatever it
    is, as many numbers are drawn.
    """
    kernel = glorot_uniform(generator, (*layer.kernel, channels // layer.groups, layer.filters))
    if layer.init == "zeros":
        return torch.zeros_like(kernel)
    if layer.init == "identity":
        inputs, outputs = kernel.shape[2], layer.filters // layer.groups
        row, column = ((side - 1) // 2 for side in layer.kernel)
        for group in range(layer.groups):
            for index in range(min(inputs, outputs)):
                kernel[..., group * outputs + index] = 0
                kernel[row, column, index, group * outputs + index] = 1
    return kernel


class Weighted(nn.Module):
    """A layer with kernels, on which ``l1`` and ``l2`` lie. A layer without a bias has ``bias = None``."""

    layer: words.Conv | words.Depthwise | words.Separable | words.Dense
    bias: nn.Parameter | None
    coding: Coding | None = None  # of kernels, where they are trained in whole numbers
    powers_of_two = False
    rounds: LayerRounds | None = None

    def __init__(self, layer: words.Conv | words.Depthwise | words.Separable | words.Dense, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.outputs = outputs

    def _add_bias(self) -> None:
        """Behind the kernels, where Keras's summaries have it."""
        self.register_parameter("bias", nn.Parameter(torch.zeros(self.outputs)) if self.layer.bias else None)

    def used(self, kernel: Tensor) -> Tensor:
        """A kernel as the layer computes with it."""
        return kernel if self.coding is None else quantized(kernel, self.coding, powers_of_two=self.powers_of_two)

    def activated(self, values: Tensor) -> Tensor:
        """The layer's activation of values that nobody else reads."""
        name = self.layer.activation
        return activated(values, name) if self.rounds is None else self.rounds.activated(values, name)

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
        drawn = initial_kernel(layer, channels, generator).permute(3, 2, 0, 1)
        kernel = drawn.contiguous(memory_format=torch.channels_last)
        self.kernel = nn.Parameter(kernel, requires_grad=not layer.fixed)
        self._add_bias()

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        return self.activated(_convolved(images, self.used(self.kernel), self.bias, self.layer, self.layer.groups))


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
        return self.activated(_convolved(images, self.used(self.kernel), self.bias, self.layer, self.channels))


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
        middle = _convolved(images, self.used(self.depthwise_kernel), None, self.layer, self.channels)
        if self.rounds is not None and self.rounds.middle is not None:
            middle = self.rounds.middle(middle)
        return self.activated(F.conv2d(middle, self.used(self.pointwise_kernel), self.bias))


class Dense(Weighted):
    """Affine map and activation. ``kernel`` is (units, inputs), Keras's transposed."""

    layer: words.Dense

    def __init__(self, layer: words.Dense, inputs: int, units: int, generator: np.random.Generator) -> None:
        super().__init__(layer, units)
        drawn = glorot_uniform(generator, (inputs, units)).T.contiguous()
        self.kernel = nn.Parameter(torch.zeros_like(drawn) if layer.init == "zeros" else drawn)
        self._add_bias()

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, inputs) in, (batch, units) out."""
        return self.activated(F.linear(vectors, self.used(self.kernel), self.bias))


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
    images, padding = pad(images, layer.window.extent, layer.stride, layer.padding, 0.0)
    return F.conv2d(images, kernel, bias, layer.stride, padding, layer.dilation, groups)
