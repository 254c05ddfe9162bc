"""A drawing becomes the image that MNIST's makers would have made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from assay.data import prepare
from assay.prediction.framing import Framing, framed, framing_of, ink_of, is_drawable
from assay.spec import Data

MNIST = Framing(20, by_mass=True)


@pytest.fixture
def digits(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.uint8]:
    monkeypatch.setenv("ASSAY_DATA", str(real_data))
    found: NDArray[np.uint8] = np.asarray(prepare(Data.of({"name": "mnist"})).training().images[:1500])
    return found


def centre_of_mass(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum(dtype=np.float64)


def test_mnist_digits_are_already_framed(digits: NDArray[np.uint8]) -> None:
    assert framing_of(digits) == MNIST
    again = np.stack([framed(image[:, :, 0], MNIST, 28, 28) for image in digits])
    same = (again == digits[..., 0]).all((1, 2))
    assert same.mean() > 0.99
    # The others are off by one pixel at most: their centre of mass lies on the border between two.
    for image, other in zip(digits[~same, :, :, 0], again[~same], strict=True):
        assert np.abs(centre_of_mass(image) - centre_of_mass(other)).max() <= 1.0001


def test_where_a_digit_stood_and_how_large_it_was_does_not_matter(digits: NDArray[np.uint8]) -> None:
    for image in digits[:40, :, :, 0]:
        large = np.asarray(Image.fromarray(image).resize((280, 280), Image.Resampling.BICUBIC))
        large = np.where(large < 8, 0, large).astype(np.uint8)
        board = np.zeros((400, 500), np.uint8)
        board[100:380, 30:310] = large
        again = framed(board, MNIST, 28, 28).astype(float)
        # Enlarging has a rim of its own, which may move the box, and with it the digit, by a pixel.
        moved = (np.roll(again, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1))
        assert min(np.abs(each - image).mean() for each in moved) < 14  # of 255; other digits are some 40 away


@pytest.mark.parametrize(("height", "width"), [(100, 30), (30, 100), (7, 7), (300, 1)])
def test_a_box_keeps_its_proportions_and_its_centre(height: int, width: int) -> None:
    ink = np.zeros((400, 400), np.uint8)
    ink[20 : 20 + height, 250 : 250 + width] = 255
    image = framed(ink, MNIST, 28, 28)
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    extents = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(extents) == 20
    assert min(extents) == max(1, round(20 * min(height, width) / max(height, width)))
    assert np.abs(centre_of_mass(image) - 14).max() <= 0.5


def test_data_whose_characters_fill_their_field_are_framed_by_their_box() -> None:
    images = np.asarray(prepare(Data.of({"name": "digits"})).training().images)
    framing = framing_of(images)
    assert framing == Framing(8, by_mass=False)
    again = np.stack([framed(image[:, :, 0], framing, 8, 8) for image in images[:300]])
    whole = (images[:300, :, :, 0].any(2).all(1)) & (again == images[:300, :, :, 0]).all((1, 2))
    assert whole.mean() > 0.9


def test_nothing_drawn_is_a_black_image() -> None:
    assert not framed(np.zeros((50, 50), np.uint8), MNIST, 28, 28).any()
    assert not ink_of(np.full((50, 50), 255, np.uint8)).any()


def test_ink_on_paper_is_the_same_as_chalk_on_slate() -> None:
    rng = np.random.default_rng(7)
    chalk = np.zeros((60, 60), np.uint8)
    chalk[15:45, 25:33] = 220
    noisy = np.clip(235 - chalk.astype(int) + rng.integers(-4, 5, chalk.shape), 0, 255).astype(np.uint8)
    assert (ink_of(chalk) > 0).sum() == 30 * 8
    assert np.array_equal(ink_of(noisy) > 128, chalk > 0)


@pytest.mark.parametrize(
    ("classes", "shape", "is_bright", "expected"),
    [
        (("0", "1"), (28, 28, 1), False, True),
        (("0", "1"), (28, 28, 3), False, False),
        (("0", "1"), (28, 28, 1), True, False),
        (("shirt", "shoe"), (28, 28, 1), False, False),
    ],
)
def test_characters_bright_on_dark_can_be_drawn(
    classes: tuple[str, ...], shape: tuple[int, int, int], is_bright: bool, expected: bool
) -> None:
    assert is_drawable(classes, np.full((4, *shape), 250 if is_bright else 0, np.uint8)) is expected
