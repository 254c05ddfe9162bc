"""Noise of sensors and of transmission.

Every corruption takes images, float32 in 0 to 1 [n, height, width, channels], its amount, a generator and the images'
ground, and gives images of the same shape, which may leave 0 to 1.
"""

from __future__ import annotations

import numpy as np

from .ground import Floats, Ground


def gaussian_noise(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Each value moved by a normal draw with this deviation: a sensor in low light."""
    return images + np.float32(amount) * generator.standard_normal(images.shape, np.float32)


def shot_noise(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Light counted in whole quanta, so many at full brightness: Poisson noise."""
    return (generator.poisson(np.clip(images, 0, 1) * amount) / np.float32(amount)).astype(np.float32)


def impulse_noise(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """This share of the values set to black or white: bits lost on the way, salt and pepper."""
    draws = generator.random(images.shape, np.float32)
    noisy = np.where(draws < amount / 2, np.float32(0), images)
    return np.where(draws > 1 - amount / 2, np.float32(1), noisy)
