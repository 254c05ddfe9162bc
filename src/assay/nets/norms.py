"""Normalization as torch modules that mean what Keras means by it: epsilon 0.001, gamma one, beta zero at first."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from . import layers as words

EPSILON = 0.001


class Norm(nn.Module):
    """``gamma`` and ``beta`` for each channel or unit."""

    def __init__(self, layer: words.Layer, channels: int) -> None:
        super().__init__()
        self.layer = layer
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))


class BatchNorm(Norm):
    """Batch normalization per channel with Keras 3's constants (unless the layer has its own) and moving statistics.

    Unlike torch's, the moving variance follows the biased batch variance, and a batch of one is allowed.
    """

    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, layer: words.BatchNorm, channels: int) -> None:
        super().__init__(layer, channels)
        self.epsilon, self.momentum = layer.epsilon, layer.momentum
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
            variance = (inverse_deviation.pow(-2) - self.epsilon).clamp(min=0)
            self.moving_mean.copy_(self.moving_mean.lerp(mean, 1 - self.momentum))
            self.moving_variance.copy_(self.moving_variance.lerp(variance, 1 - self.momentum))
        return normal


class LayerNorm(Norm):
    """Over the channels of each position, as Keras's default axis -1 does; over all units of a vector."""

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        channels = self.gamma.shape
        if values.dim() == 2:
            return F.layer_norm(values, channels, self.gamma, self.beta, EPSILON)
        last = values.permute(0, 2, 3, 1)  # channels-last memory has them there
        return F.layer_norm(last, channels, self.gamma, self.beta, EPSILON).permute(0, 3, 1, 2)


class GroupNorm(Norm):
    """Over the pixels and channels of each of ``groups`` groups; with one channel each, instance normalization."""

    def __init__(self, layer: words.GroupNorm | words.InstanceNorm, channels: int) -> None:
        super().__init__(layer, channels)
        self.groups = layer.groups if isinstance(layer, words.GroupNorm) else channels

    def forward(self, values: Tensor) -> Tensor:
        """Images or vectors in, the same shape out."""
        if torch.is_grad_enabled() and self.gamma.requires_grad and not values.requires_grad:
            values = values.contiguous()  # torch 2's backward crashes on channels-last input that needs no gradient
        return F.group_norm(values, self.groups, self.gamma, self.beta, EPSILON)
