"""scikit-learn's digits, with the test split that they lack."""

from __future__ import annotations

import numpy as np

from ..splits import split
from ..types import Images, Labels

_TEST_SHARE = 0.2
_KEY = 1797


def read_digits() -> tuple[Images, Labels, Images, Labels]:
    """Training images and labels, test images and labels.

    Pixel values 0 to 16 become bytes 0 to 255 (times 255/16, rounded). A fifth of each class, by largest
    remainder, is the test split: drawn once by a generator with a fixed key, the same for everybody.

    Returns:
        uint8 [n, 8, 8] and int64 [n] for training, then for test.
    """
    from sklearn.datasets import load_digits

    values, target = load_digits(return_X_y=True)
    images = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = target.astype(np.int64)
    generator = np.random.Generator(np.random.Philox(key=_KEY))
    parts = split(labels, _TEST_SHARE, stratified=True, generator=generator)
    training, test = parts.training, parts.validation
    return images[training], labels[training], images[test], labels[test]
