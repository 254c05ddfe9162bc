"""Scales stored pixels to a network's input: unit, standardised or raw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """What a network sees of a stored value: ``(value - offset) * factor``, for each channel [channels]."""

    offset: Tensor
    factor: Tensor

    def apply(self, images: NDArray[np.uint8] | NDArray[np.float32], indices: NDArray[np.int64]) -> Tensor:
        """Images by index as float32 [batch, channels, height, width], in channels-last memory."""
        pixels = torch.from_numpy(np.take(images, indices, axis=0)).to(torch.float32)
        return pixels.sub_(self.offset).mul_(self.factor).permute(0, 3, 1, 2)


def scaling_of(
    images: NDArray[np.uint8] | NDArray[np.float32],
    scaling: Literal["unit", "standard", "none"],
    reference: NDArray[np.int64],
) -> Scaling:
    """The scaling that ``spec.Data`` names.

    Args:
        images: uint8, or float32 in 0 to 1, [n, height, width, channels].
        scaling: As in ``spec.Data``.
        reference: Indices whose mean and deviation standardise: the training split, so that nothing is learned
            from any other image.
    """
    channels = images.shape[-1]
    if scaling == "none":
        return Scaling(torch.zeros(channels), torch.ones(channels))
    if scaling == "unit" and images.dtype == np.float32:
        return Scaling(torch.zeros(channels), torch.ones(channels))
    if scaling == "unit":
        return Scaling(torch.zeros(channels), torch.full((channels,), 1 / 255))
    values = np.arange(256)
    mean, deviation = np.empty(channels), np.empty(channels)
    for channel in range(channels):
        if images.dtype == np.float32:
            chosen = images[reference, :, :, channel].astype(np.float64)
            mean[channel], deviation[channel] = chosen.mean(), chosen.std()
            continue
        # Counting bytes is exact, and needs no copy as float.
        counts = np.bincount(images[reference, :, :, channel].ravel(), minlength=256)
        mean[channel] = counts @ values / counts.sum()
        deviation[channel] = np.sqrt(counts @ (values - mean[channel]) ** 2 / counts.sum())
    deviation[deviation == 0] = 1
    return Scaling(torch.from_numpy(mean).float(), torch.from_numpy(1 / deviation).float())
