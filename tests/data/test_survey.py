"""What a survey says of data whose flaws these tests planted."""

from __future__ import annotations

import importlib
import io

import numpy as np
import pytest
from PIL import Image

import assay
from assay.data import prepare, survey
from assay.data.copies import MOST_BITS, perceptual_hash


def scenes(count: int, channels: int = 1, size: int = 24) -> np.ndarray:
    """Smooth random pictures: no two of them resemble each other."""
    rng = np.random.default_rng(41)
    coarse = rng.integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)
    pictures = [Image.fromarray(image.squeeze()).resize((size, size), Image.Resampling.BICUBIC) for image in coarse]
    return np.stack([np.asarray(picture).reshape(size, size, channels) for picture in pictures])


def surveyed(images: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray] | None = None):
    return survey(prepare(assay.arrays(images, labels, test=test)))


@pytest.mark.parametrize("channels", [1, 3])
def test_clean_data_have_no_flaws_and_the_moments_that_numpy_says(channels):
    images, labels = scenes(60, channels), np.arange(60) % 3
    found = surveyed(images, labels, (scenes(80, channels)[60:], np.arange(20) % 3))
    assert found.warnings == ()
    assert (found.exact.pairs, found.near.pairs) == ((), ())
    assert found.counts == (20, 20, 20)
    assert (found.minimum, found.maximum) == (images.min(), images.max())
    np.testing.assert_allclose(found.mean, images.mean(axis=(0, 1, 2)) / 255)
    np.testing.assert_allclose(found.deviation, images.std(axis=(0, 1, 2)) / 255)
    assert found.imbalance == 1


def test_planted_copies_are_found_where_they_are():
    images, labels = scenes(60), np.arange(60) % 3
    images[10], images[11] = images[4], images[4]  # labels 1, 2 against 1
    test = scenes(70)[60:]
    test[2], test[3], test[7] = images[20], images[20], test[8]
    found = surveyed(images, labels, (test, np.arange(10) % 3)).exact
    assert (found.training, found.test, found.across, found.conflicting) == (2, 2, 2, 1)
    assert ("train", 4, "train", 10) in found.pairs
    assert ("train", 20, "test", 2) in found.pairs


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))[..., None]


CHANGES = {
    "brighter": lambda image: (image * 0.8 + 30).astype(np.uint8),
    "JPEG": jpeg,
    "noise": lambda image: (image * 0.9 + np.random.default_rng(1).integers(0, 9, image.shape)).astype(np.uint8),
    "one pixel": lambda image: (
        image ^ (np.arange(image.size) == 99).reshape(image.shape).astype(np.uint8) * np.uint8(32)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_slightly_changed_copies_are_near(change):
    images, labels = scenes(60), np.arange(60) % 3
    test = scenes(70)[60:]
    images[30] = CHANGES[change](images[12])
    test[5] = CHANGES[change](images[40])
    found = surveyed(images, labels, (test, np.arange(10) % 3))
    assert found.exact.pairs == ()
    assert set(found.near.pairs) == {("train", 12, "train", 30), ("train", 40, "test", 5)}
    assert (found.near.training, found.near.test, found.near.across) == (1, 0, 1)
    assert any("nearly equals a training image" in warning for warning in found.warnings)


def test_hashes_of_different_pictures_differ_in_about_half_their_bits():
    hashes = perceptual_hash(scenes(100))
    apart = np.bitwise_count(hashes[:, None] ^ hashes)[np.triu_indices(100, 1)]
    assert abs(apart.mean() - 32) < 4
    assert apart.min() > MOST_BITS


def test_blanks_imbalance_and_empty_classes_are_told():
    images = scenes(61)
    images[:3] = np.array([0, 128, 255], np.uint8)[:, None, None, None]
    labels = np.array([0] * 56 + [1] * 5)
    found = surveyed(images, labels, (np.concatenate([images[:1], scenes(63)[61:]]), np.array([0, 1, 1])))
    assert found.blank == (3, 1)
    assert found.imbalance == pytest.approx(11.2)
    assert any(warning.startswith("3 training and 1 test images are blank") for warning in found.warnings)
    assert any("11 times the images of the smallest" in warning for warning in found.warnings)
    empty = survey(prepare(assay.arrays(images, labels, classes=3)))
    assert "1 class has no training image." in empty.warnings


def test_shares_are_surveyed_like_bytes():
    images = (scenes(40) / 255 + 0.0003).astype(np.float32).clip(0, 1)
    images[7] = images[3]
    found = surveyed(images, np.arange(40) % 2)
    assert found.exact.training == 1
    assert found.maximum <= 1
    np.testing.assert_allclose(found.mean, images.mean(), rtol=1e-4)


def test_a_crowd_of_images_that_are_all_alike_is_counted_without_comparing_all(monkeypatch):
    rng = np.random.default_rng(43)
    copies_module = importlib.import_module("assay.data.copies")
    scene = np.kron(rng.integers(0, 220, (6, 6)), np.ones((4, 4))).astype(int)
    frames = (scene + rng.integers(0, 6, (3000, 24, 24))).clip(0, 255).astype(np.uint8)[..., None]
    others = rng.integers(0, 256, (500, 24, 24, 1), dtype=np.uint8)
    images = np.concatenate([frames, others])
    compared = []
    own = copies_module._correlations

    def counting(pairs, *rest):
        compared.append(len(pairs))
        return own(pairs, *rest)

    monkeypatch.setattr(copies_module, "_correlations", counting)
    data = assay.arrays(images, np.arange(len(images)) % 2)
    found = survey(prepare(data))
    assert found.near.training > 2900  # nearly every frame has another before it
    assert found.near.training < 3000
    assert sum(compared) < 40 * len(images)
