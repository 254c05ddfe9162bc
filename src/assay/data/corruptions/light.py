"""Other light: brighter, flatter, foggy, pale."""

from __future__ import annotations

import numpy as np

from .fields import smooth_field
from .ground import Floats, Ground

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601-2


def brightness(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """So much added to every value: overexposed."""
    return images + np.float32(amount)


def contrast(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Distances from each image's own mean multiplied by this factor."""
    mean = images.mean((1, 2), keepdims=True)
    return np.asarray(mean + np.float32(amount) * (images - mean))


def fog(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """White before the scene, up to this share where it is thickest: smooth noise of three scales, halved each."""
    count, height, width, _ = images.shape
    layers = [smooth_field(count, height, width, cells, generator) / cells for cells in (2, 4, 8)]
    thick: Floats = np.sum(layers, axis=0) / np.float32(1 / 2 + 1 / 4 + 1 / 8)
    cover = np.clip(np.float32(amount) * (np.float32(0.4) + np.float32(0.9) * thick), 0, 1)[..., None]
    return np.asarray(images * (1 - cover) + cover)


def saturation(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Colours paler: their distance from grey multiplied by this factor."""
    grey = (images @ _LUMA)[..., None]
    return np.asarray(grey + np.float32(amount) * (images - grey), np.float32)
