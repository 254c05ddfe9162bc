"""Padding of torch images as Keras pads."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .effects import same_padding
from .kinds import PaddingName


def pad(
    images: Tensor, window: tuple[int, int], stride: int, padding: PaddingName | int, fill: float
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
