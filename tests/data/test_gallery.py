"""Pictures of a data set, small enough to write down."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from assay.data import class_counts, gallery, png
from assay.errors import DataError


def test_classes_are_counted():
    counts = class_counts(np.array([2, 0, 2, 2]), 4)
    assert counts.tolist() == [1, 0, 3, 0]
    assert counts.dtype == np.int64
    assert class_counts(np.array([], dtype=np.int64), 2).tolist() == [0, 0]
    for labels in ([0, 4], [-1, 0]):
        with pytest.raises(DataError, match="there are 4 classes"):
            class_counts(np.array(labels), 4)


def test_rows_are_classes_and_columns_the_first_examples():
    images = np.array([10, 20, 30, 40], dtype=np.uint8).reshape(4, 1, 1, 1)
    sprite = gallery(images, np.array([1, 0, 1, 1]), num_classes=3, per_class=2)
    assert sprite[:, :, 0].tolist() == [[20, 255, 255], [255, 255, 255], [10, 255, 30], [255] * 3, [255] * 3]
    with pytest.raises(ValueError, match="at least 1 row"):
        gallery(images, np.zeros(4, np.int64), num_classes=0, per_class=2)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sprite_survives_png(channels):
    images = np.random.default_rng(2).integers(0, 256, (6, 3, 4, channels), dtype=np.uint8)
    sprite = gallery(images, np.array([0, 1, 0, 1, 0, 1]), num_classes=2, per_class=3)
    assert sprite.shape == (2 * 4 - 1, 3 * 5 - 1, channels)
    assert np.array_equal(sprite[4:7, 5:9], images[3])
    back = np.asarray(Image.open(io.BytesIO(png(sprite))))
    assert np.array_equal(back.reshape(sprite.shape), sprite)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 2), np.uint8), np.zeros(4, np.uint8)])
def test_arrays_that_are_no_picture_are_refused(array):
    with pytest.raises(ValueError, match="a picture is uint8"):
        png(array)
