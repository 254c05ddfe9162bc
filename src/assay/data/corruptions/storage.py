"""What saving a picture small does to it."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

from .ground import Floats, Ground


def pixelate(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Reduced to this share of its sides, by the mean of what each pixel covers, and enlarged again in blocks."""
    _, height, width, _ = images.shape
    rows, columns = _blocks(height, max(1, round(amount * height))), _blocks(width, max(1, round(amount * width)))
    by_channel = rows @ images.transpose(0, 3, 1, 2) @ columns.T
    return np.ascontiguousarray(by_channel.transpose(0, 2, 3, 1))


def jpeg(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Saved as JPEG in this quality."""
    from PIL import Image

    stored = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    read = np.empty_like(stored)
    for number, values in enumerate(stored):
        file = io.BytesIO()
        Image.fromarray(values if values.shape[2] == 3 else values[..., 0]).save(file, "JPEG", quality=int(amount))
        with Image.open(file) as picture:
            read[number] = np.asarray(picture).reshape(values.shape)
    return np.asarray(read / np.float32(255))


@lru_cache(maxsize=64)
def _blocks(size: int, small: int) -> Floats:
    """What reduces ``size`` pixels to ``small`` by area and repeats these [size, size]."""
    edges = np.linspace(0, size, small + 1)
    starts, ends = np.arange(size)[None], np.arange(1, size + 1)[None]
    shares = np.clip(np.minimum(edges[1:, None], ends) - np.maximum(edges[:-1, None], starts), 0, 1)
    shares /= shares.sum(1, keepdims=True)
    nearest = np.minimum(((np.arange(size) + 0.5) * small / size).astype(np.int64), small - 1)
    return np.asarray(shares[nearest], np.float32)
