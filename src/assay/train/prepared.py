"""Prepares images for a pretrained base: resizes them, repeats channels and scales them as its authors did."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ..nets import Preparation
from .scaling import Scaling


class Prepared(Scaling):
    """``nets.Preparation`` on torch: bytes, or float32 in 0 to 1, in; what a base sees out."""

    preparation: Preparation

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(torch.tensor(preparation.coding.offset), torch.tensor(preparation.coding.factor))
        object.__setattr__(self, "preparation", preparation)

    def apply(self, images: NDArray[np.uint8] | NDArray[np.float32], indices: NDArray[np.int64]) -> Tensor:
        """Images by index as float32 [batch, channels, height, width], in channels-last memory."""
        chosen = torch.from_numpy(np.take(images, indices, axis=0))
        return self.prepared(chosen, self.offset, self.factor)

    def prepared(self, stored: Tensor, offset: Tensor, factor: Tensor) -> Tensor:
        """The same for stored images [batch, height, width, channels] and constants on any device.

        Bilinear weights are those of half-pixel centres, as in ``tf.image.resize``; where an image shrinks they cover
        all pixels of the old grid that a new one stands for.
        """
        preparation = self.preparation
        values = stored.to(torch.float32)
        if stored.dtype == torch.float32:
            values = values * 255
        if values.shape[1:3] != preparation.size:
            shrinks = _shrinks(values.shape[1], values.shape[2], preparation.size)
            values = _resized(values.permute(0, 3, 1, 2), preparation.size, shrinks).permute(0, 2, 3, 1)
        if values.shape[3] == 1 and preparation.channels > 1:
            values = values.expand(-1, -1, -1, preparation.channels)
        if preparation.coding.is_reversed:
            values = values.flip(3)
        return ((values - offset) * factor).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def resizing(self) -> tuple[Tensor, Tensor]:
        """The resizing of images of the stored size as what it is, a product with a matrix along each axis:
        [new height, height] and [new width, width]."""
        height, width, _ = self.preparation.stored
        new_height, new_width = self.preparation.size
        shrinks = _shrinks(height, width, self.preparation.size)
        rows = _resized(torch.eye(height)[None, None], (new_height, height), shrinks)
        columns = _resized(torch.eye(width)[None, None], (new_width, width), shrinks)
        return rows[0, 0], columns[0, 0]


def _shrinks(height: int, width: int, size: tuple[int, int]) -> bool:
    return height > size[0] or width > size[1]


def _resized(images: Tensor, size: tuple[int, int], shrinks: bool) -> Tensor:
    """Images [batch, channels, height, width] in another size."""
    return interpolate(images, size, mode="bilinear", align_corners=False, antialias=shrinks)
