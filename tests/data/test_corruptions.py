"""Corruptions: what each does, that it depends on its image and seed alone, and which images can bear it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from assay.data.corruptions import CORRUPTIONS, SEVERITIES, Ground, bearable, chosen, corrupted, ground_of
from assay.errors import SpecError

MNIST_C = {
    "shot noise", "impulse noise", "glass blur", "motion blur", "shear", "scale", "rotate", "brightness", "translate",
    "stripe", "fog", "spatter", "dotted line", "zigzag", "canny edges",
}  # fmt: skip
NAMES = [corruption.name for corruption in CORRUPTIONS]
BLACK, SCENE = Ground((0.0,), 1), Ground(None, 3)


def characters(count: int = 6, side: int = 28) -> NDArray[np.uint8]:
    """Bright crosses and bars on black, uint8 [n, side, side, 1]."""
    images = np.zeros((count, side, side, 1), np.uint8)
    for number, image in enumerate(images):
        middle, wide = side // 2 + number % 3 - 1, side // 4
        image[middle - wide : middle + wide, middle - 1 : middle + 2] = 230
        if number % 2:
            image[middle - 1 : middle + 2, middle - wide : middle + wide] = 200
    return images


def scenes(count: int = 6, side: int = 32) -> NDArray[np.uint8]:
    """Waves of colours, uint8 [n, side, side, 3]."""
    rows, columns = np.mgrid[:side, :side] / side
    waves = [
        np.stack([np.sin(6 * rows * (k + 1) + c) * np.cos(5 * columns * (c + 1) + k) for c in range(3)], axis=-1)
        for k in range(count)
    ]
    return np.rint(127.5 * (1 + np.array(waves))).astype(np.uint8)


def one(
    name: str, images: NDArray[np.uint8], severity: int, ground: Ground = BLACK, seed: int = 0
) -> NDArray[np.float64]:
    (corruption,) = chosen([name])
    return corrupted(images, corruption, severity, ground, seed=seed).astype(np.float64) / 255


def test_every_kind_of_mnist_c_has_its_counterpart() -> None:
    assert {corruption.mnist_c for corruption in CORRUPTIONS if corruption.mnist_c} == MNIST_C
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_the_same_for_a_seed_and_stronger_with_severity(name: str) -> None:
    (corruption,) = chosen([name])
    images, ground = (characters(), BLACK) if not corruption.obstacle((28, 28, 1), BLACK) else (scenes(), SCENE)
    before = images.copy()
    views = [corrupted(images, corruption, severity, ground, seed=3) for severity in SEVERITIES]
    assert (images == before).all()
    for severity, view in zip(SEVERITIES, views, strict=True):
        assert (view.shape, view.dtype) == (images.shape, np.uint8)
        assert (corrupted(images, corruption, severity, ground, seed=3) == view).all()
    distance = [np.abs(view.astype(float) - images).mean() for view in views]
    assert distance[0] > 0
    assert distance[4] > distance[2] > 0.99 * distance[0]
    floats = corrupted((images / np.float32(255)).astype(np.float32), corruption, 3, ground, seed=3)
    assert floats.dtype == np.float32
    assert floats.min() >= 0
    assert floats.max() <= 1
    np.testing.assert_allclose(floats * 255, views[2], atol=1.01)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_change_with_those_around_it(name: str) -> None:
    (corruption,) = chosen([name])
    images, ground = (characters(), BLACK) if not corruption.obstacle((28, 28, 1), BLACK) else (scenes(), SCENE)
    others = images.copy()
    others[1] = others[1][::-1]
    others[3:] = 255 - others[3:]
    same, changed = (corrupted(each, corruption, 4, ground) for each in (images, others))
    unchanged = [0, 2]
    if name == "shot_noise":  # the generator spends as many draws as there is light
        unchanged = [0]
    assert (same[unchanged] == changed[unchanged]).all()


def test_random_ones_follow_the_seed() -> None:
    images = characters()
    for name in ("gaussian_noise", "translate", "rotate", "occlusion", "zigzag", "spatter", "fog", "elastic"):
        assert (one(name, images, 3, seed=0) != one(name, images, 3, seed=1)).any(), name


def test_noise_has_the_stated_strength() -> None:
    grey = np.full((40, 28, 28, 1), 128, np.uint8)
    noisy = one("gaussian_noise", grey, 1) - 128 / 255
    assert noisy.std() == pytest.approx(0.08, rel=0.03)
    shot = one("shot_noise", grey, 1)  # variance of Poisson counts at 60 quanta: level / 60
    assert shot.std() == pytest.approx((128 / 255 / 60) ** 0.5, rel=0.05)
    impulses = one("impulse_noise", grey, 5)
    assert np.isin(impulses, [0, 1]).mean() == pytest.approx(0.27, rel=0.05)


def test_places_are_moved_as_stated() -> None:
    dot = np.zeros((30, 41, 41, 1), np.uint8)
    dot[:, 19:22, 19:22] = 255
    dot[:, 19:22, 29:32] = 255  # the middle is at 20; a second dot lies 10 to its right
    centre = np.array([np.argwhere(view[..., 0] > 0.4).mean(0) for view in one("translate", dot, 3)])
    far = np.hypot(*(centre - np.array([20, 25])).T)
    assert far == pytest.approx(np.full(30, 0.12 * 41), abs=1.2)
    directions = set()
    for view in one("rotate", dot, 4)[..., 0]:
        places = np.argwhere(view > 0.4)
        outer = places[np.hypot(*(places - 20).T) > 6].mean(0) - 20
        angle = np.rad2deg(np.arctan2(outer[0], outer[1]))
        assert abs(angle) == pytest.approx(32, abs=2)
        directions.add(angle > 0)
    assert directions == {True, False}
    sizes = {round(float(np.argwhere(view > 0.4)[:, 1].max() - 20)) for view in one("scale", dot, 2)[..., 0]}
    assert sizes <= {9, 10, 13, 14}  # 11 divided and multiplied by 1.2
    assert len(sizes) >= 2
    slanted = np.zeros((20, 41, 41, 1), np.uint8)
    slanted[:, 5:36, 19:22] = 255
    tops = [view[5, :, 0].argmax() - view[35, :, 0].argmax() for view in one("shear", slanted, 3)]
    assert {abs(top) for top in tops} <= {8, 9, 10}  # 0.3 of 30 rows


def test_light_and_storage() -> None:
    images = scenes()
    assert one("brightness", images, 2, SCENE) == pytest.approx(np.clip(images / 255 + 0.2, 0, 1), abs=0.003)
    flat = one("contrast", images, 5, SCENE)
    spread = (images / 255).std((1, 2))
    assert flat.std((1, 2)) == pytest.approx(0.15 * spread, rel=0.05)
    pale = one("saturation", images, 5, SCENE)
    assert np.ptp(pale, axis=3).max() <= 1 / 255 + 1e-9
    file = io.BytesIO()
    Image.fromarray(images[2]).save(file, "JPEG", quality=10)
    assert (np.asarray(Image.open(file)) == np.rint(one("jpeg", images, 4, SCENE)[2] * 255)).all()
    blocks = one("pixelate", np.tile(images[:, :8, :8], (1, 4, 4, 1)), 5, SCENE)  # 32 pixels as 8
    assert blocks[0, 0:4, 0:4].std((0, 1)).max() < 1e-12
    assert blocks[0, 0, 0] == pytest.approx(images[0, :4, :4].mean((0, 1)) / 255, abs=0.003)


def test_strokes_grow_and_wear_and_leave_their_edges() -> None:
    images = characters()
    ink = [one(name, images, 3).sum() for name in ("thinner", "thicker")]
    assert ink[0] < (images / 255).sum() < ink[1]
    paper = 255 - images
    white = ground_of(paper)
    assert white == Ground((1.0,), 1)
    assert one("thicker", paper, 3, white) == pytest.approx(1 - one("thicker", images, 3), abs=0.005)
    square = np.zeros((1, 28, 28, 1), np.uint8)
    square[:, 8:20, 8:20] = 255
    edges = one("canny_edges", square, 5)[0, ..., 0]
    assert edges[10:18, 10:18].max() == edges[:5].max() == 0
    assert (edges[12:16].max(1) == 1).all()
    assert 2 * 12 <= edges[12:16].sum() * 6 <= 4 * 12 * 2  # a line or two at either side


def test_the_ground_is_read_off_the_rims() -> None:
    assert ground_of(characters()) == BLACK
    assert not ground_of(scenes()).is_plain
    assert ground_of(scenes()).ink.tolist() == [1, 1, 1]
    assert ground_of(255 - characters()).ink.tolist() == [0]


def test_what_images_cannot_bear_is_one_sentence_each() -> None:
    _, notes = bearable(CORRUPTIONS, (32, 32, 3), SCENE)
    assert notes == tuple(
        f"{name} is left out: it needs grey strokes on a plain ground, and these images are in colour"
        for name in ("thicker", "thinner")
    )
    left, notes = bearable(CORRUPTIONS, (28, 28, 1), BLACK)
    assert notes == ("saturation is left out: it needs colours, and these images have one channel",)
    assert len(left) == len(CORRUPTIONS) - 1
    _, notes = bearable(CORRUPTIONS, (8, 8, 1), BLACK)
    assert "zigzag is left out: images are 8 x 8 pixels, and it needs 12 x 12 or more" in notes
    with pytest.raises(SpecError, match="thicker is left out: it needs grey strokes"):
        bearable(chosen(["thicker"]), (32, 32, 3), SCENE)
    with pytest.raises(SpecError, match='there is no corruption "fogg"; did you mean "fog"'):
        chosen(["fogg"])
    with pytest.raises(ValueError, match="severity is 6; give 1 to 5"):
        one("fog", characters(), 6)
