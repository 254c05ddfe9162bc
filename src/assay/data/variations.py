"""Harder versions of a grey data set, drawn anew from a seed.

Larochelle, Erhan, Courville, Bergstra and Bengio (2007), "An empirical evaluation of deep architectures on problems
with many factors of variation", ICML: digits on noise, on pictures, rotated; 12,000 training and 50,000 test images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .types import Images

Draw = Callable[[Images, np.random.Generator], Images]


def random_background(images: Images, generator: np.random.Generator) -> Images:
    """Noise behind the digit: each pixel is the larger of its own value and a byte drawn uniformly from 0 to 255.

    Args:
        images: uint8 [n, height, width, channels], bright on black.
        generator: Only its raw bits are read, which NumPy promises not to change.
    """
    return np.maximum(images, random_bytes(generator, images.shape))


def random_bytes(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Uniform bytes of any shape, from a generator's raw bits."""
    count = int(np.prod(shape))
    words = np.asarray(generator.bit_generator.random_raw((count + 7) // 8), dtype="<u8")
    return words.view(np.uint8)[:count].reshape(shape)


VARIATIONS: dict[str, Draw] = {"random-background": random_background}


def generator_of(seed: int, *words: Any) -> np.random.Generator:
    """A generator of its own for each use of a seed, told apart by words."""
    import hashlib

    key = hashlib.sha256("/".join(map(str, ("assay data make", seed, *words))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:8], "little")))
