"""Augmentation against NumPy and SciPy, and the promises about its draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats

from assay.nets.masks import halves
from assay.spec.augmentation import Augmentation
from assay.train.augment import KINDS, Kind, affine_maps, alternately, augment, draws, mixup, warp

KEY = 0x0123456789ABCDEF
MANY = np.arange(40_000)
SCIPY = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect"}
FILLS = list(SCIPY)
EVERYTHING = {"shift": 2.0, "rotation": 20, "zoom": 0.2, "shear": 10, "flip": "both", "crop": 2}


def some_images(count: int = 8, height: int = 12, width: int = 9, channels: int = 1) -> NDArray[np.uint8]:
    shape = (count, height, width, channels)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def by_scipy(image: NDArray[np.uint8], place: NDArray[np.float64], settings: Augmentation) -> NDArray[np.float64]:
    planes = [
        ndimage.affine_transform(
            image[:, :, channel].astype(np.float64), place[:, :2], place[:, 2], mode=SCIPY[settings.fill],
            order=0 if settings.interpolation == "nearest" else 1, cval=settings.fill_value, prefilter=False,
        )
        for channel in range(image.shape[2])
    ]  # fmt: skip
    return np.stack(planes, axis=-1)


def moved(rows: float, columns: float, mirror_rows: int = 1, mirror_columns: int = 1) -> NDArray[np.float64]:
    """A map that takes each output pixel from ``rows`` further down and ``columns`` further right."""
    return np.array([[[mirror_rows, 0, rows], [0, mirror_columns, columns]]], dtype=np.float64)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(12, 9), (9, 12), (1, 5)])
def test_interpolation_is_scipy_s(fill: Any, channels: int, size: tuple[int, int]) -> None:
    images = some_images(20, *size, channels)
    settings = Augmentation(**EVERYTHING, fill=fill, fill_value=90)
    examples = np.arange(20)
    maps = affine_maps(settings, KEY, examples, *size)
    ours = augment(images, settings, KEY, examples)
    for image, place, varied in zip(images, maps, ours, strict=True):
        assert np.abs(by_scipy(image, place, settings) - varied).max() <= 1


@pytest.mark.parametrize("fill", FILLS)
def test_places_far_outside_are_scipy_s(fill: Any) -> None:
    images, settings = some_images(1), Augmentation(fill=fill, fill_value=90)
    for rows, columns in [(0.4, -0.3), (-11.5, 8.25), (30.2, -40.7), (-100.1, 0.0)]:
        ours = warp(images, moved(rows, columns), settings)[0]
        assert np.abs(by_scipy(images[0], moved(rows, columns)[0], settings) - ours).max() <= 1


@pytest.mark.parametrize("fill", FILLS)
def test_the_nearest_pixel_is_scipy_s(fill: Any) -> None:
    images = some_images(50)
    settings = Augmentation(rotation=180, shift=3, fill=fill, fill_value=90, interpolation="nearest")
    maps = affine_maps(settings, KEY, np.arange(50), 12, 9)
    ours = warp(images, maps, settings)
    theirs = np.stack([by_scipy(image, place, settings) for image, place in zip(images, maps, strict=True)])
    assert np.mean(ours != theirs) < 0.001  # a place halfway between two pixels may round either way


def test_nothing_happens_where_everything_is_off() -> None:
    images = some_images()
    varied = augment(images, Augmentation(), KEY, np.arange(8))
    np.testing.assert_array_equal(varied, images)
    assert not np.shares_memory(varied, images)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill", FILLS)
def test_the_identity_is_exact_through_every_path(fill: Any, interpolation: Any) -> None:
    images, settings = some_images(), Augmentation(fill=fill, interpolation=interpolation)
    maps = np.repeat(moved(0, 0), 8, axis=0)
    np.testing.assert_array_equal(warp(images, maps, settings), images)
    maps[:, 0, 1] = 1e-9  # no longer a copy
    np.testing.assert_array_equal(warp(images, maps, settings), images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("rows", "columns"), [(2, -3), (-5, 0), (0, 8), (13, 1), (-40, 50)])
def test_a_shift_by_whole_pixels_copies_bytes(rows: int, columns: int, channels: int) -> None:
    image = some_images(1, channels=channels)
    around = ((100, 100), (100, 100), (0, 0))
    for fill, padded in {
        "constant": np.pad(image[0], around, constant_values=90),
        "nearest": np.pad(image[0], around, mode="edge"),
        "reflect": np.pad(image[0], around, mode="symmetric"),
    }.items():
        expected = padded[100 + rows : 112 + rows, 100 + columns : 109 + columns]
        ours = warp(image, moved(rows, columns), Augmentation(fill=fill, fill_value=90))[0]
        np.testing.assert_array_equal(ours, expected)


def test_a_shift_is_a_roll_with_fill() -> None:
    image = some_images(1)
    rolled = np.roll(image[0], 3, axis=0)
    rolled[:3] = 0
    np.testing.assert_array_equal(warp(image, moved(-3, 0), Augmentation())[0], rolled)


def test_flips_mirror() -> None:
    images = some_images(64)
    for flip, axes in {"horizontal": [(2,)], "vertical": [(1,)], "both": [(1,), (2,), (1, 2)]}.items():
        ours = augment(images, Augmentation(flip=flip), KEY, np.arange(64))
        ways = [images, *(np.flip(images, axis) for axis in axes)]
        which = np.array([[np.array_equal(a, b) for a, b in zip(ours, way, strict=True)] for way in ways])
        assert which.sum(axis=0).tolist() == [1] * 64
        assert which.any(axis=1).all()


@pytest.mark.parametrize("size", [5, 11])
def test_a_quarter_turn_is_rot90(size: int) -> None:
    image = some_images(1, size, size, 3)
    middle = (size - 1) / 2
    for turns, (cos, sin) in enumerate([(0, 1), (-1, 0), (0, -1)], start=1):
        linear = np.array([[cos, sin], [-sin, cos]], dtype=np.float64)
        offset = middle - linear @ np.full(2, middle)
        place = np.concatenate([linear, offset[:, None]], axis=1)[None]
        np.testing.assert_array_equal(warp(image, place, Augmentation())[0], np.rot90(image[0], turns))


def test_a_positive_angle_turns_as_rot90_does() -> None:
    maps = affine_maps(Augmentation(rotation=180), KEY, MANY[:50], 11, 11)
    turn = 2 * draws(KEY, "rotation", MANY[:50]) - 1
    np.testing.assert_allclose(np.arctan2(maps[:, 0, 1], maps[:, 0, 0]), np.pi * turn, atol=1e-12)


def test_draws_are_the_documented_hash() -> None:
    def mixed(index: int, low: int, high: int) -> int:
        x = (index + low) % 2**32
        x = ((x ^ x >> 17) * 0xED5AD4BB + high) % 2**32
        x = (x ^ x >> 11) * 0xAC4C1B51 % 2**32
        x = (x ^ x >> 15) * 0x31848BAB % 2**32
        return x ^ x >> 14

    examples = np.array([0, 1, 59_999, 2**32 - 1, 2**32 + 1])
    for number, kind in enumerate(KINDS):
        own = [mixed(2 * number + half, *halves(KEY)) for half in (0, 1)]
        expected = [(mixed(int(example), *own) + 0.5) / 2**32 for example in examples]
        assert draws(KEY, kind, examples).tolist() == expected


def test_kinds_keep_their_numbers() -> None:
    """A kind's number is part of its key: kinds may be added at the end, never moved."""
    assert KINDS[:11] == (
        "shift rows", "shift columns", "rotation", "zoom", "shear", "flip rows", "flip columns", "crop rows",
        "crop columns", "cutout row", "cutout column",
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_uniform(kind: Kind) -> None:
    uniform = draws(KEY, kind, MANY)
    error = 1 / np.sqrt(len(MANY))
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 4 * np.sqrt(1 / 12) * error
    shares = np.histogram(uniform, bins=10, range=(0, 1))[0] / len(MANY)
    assert np.abs(shares - 0.1).max() < 4 * np.sqrt(0.1 * 0.9) * error
    follower = np.corrcoef(uniform[:-1], uniform[1:])[0, 1]
    assert abs(follower) < 4 * error


def test_draws_of_kinds_steps_and_keys_are_independent() -> None:
    series = [draws(key, kind, MANY) for kind in KINDS for key in (KEY, KEY + 1, KEY + 2**32)]
    correlations = np.corrcoef(series)[np.triu_indices(len(series), 1)]
    # 528 pairs: the largest of them stays below five standard errors, and their own spread is one.
    assert np.abs(correlations).max() < 5 / np.sqrt(len(MANY))
    assert correlations.std() * np.sqrt(len(MANY)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("height", [11, 12])
def test_every_kind_spans_its_range(height: int) -> None:
    def maps(**settings: Any) -> NDArray[np.float64]:
        return affine_maps(Augmentation(**settings), KEY, MANY, height, 9)

    def check(values: NDArray[np.float64], low: float, high: float) -> None:
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-4

    check(maps(shift=2.5)[:, 0, 2], -2.5, 2.5)
    check(maps(shift=2.5)[:, 1, 2], -2.5, 2.5)
    turned = maps(rotation=15)
    check(np.rad2deg(np.arctan2(turned[:, 0, 1], turned[:, 0, 0])), -15, 15)
    check(1 / maps(zoom=0.3)[:, 0, 0], 0.7, 1.3)
    check(np.rad2deg(np.arctan(-maps(shear=20)[:, 1, 0])), -20, 20)
    cropped = maps(crop=2)[:, :, 2]
    for axis in (0, 1):
        values, counts = np.unique(cropped[:, axis], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert np.abs(counts / len(MANY) - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / len(MANY))
    assert (maps(flip="both")[:, (0, 1), (0, 1)] < 0).mean(axis=0) == pytest.approx(0.5, abs=4 * 0.5 / 200)


def test_the_centre_stays_where_it_is() -> None:
    settings = Augmentation(rotation=180, zoom=0.5, shear=40, flip="both")
    maps = affine_maps(settings, KEY, MANY[:100], 12, 9)
    centre = np.array([5.5, 4.0])
    np.testing.assert_allclose(maps[:, :, :2] @ centre + maps[:, :, 2], np.tile(centre, (100, 1)), atol=1e-12)


def test_one_kind_does_not_move_another() -> None:
    """Determinant, angle and so on give each kind's draws back; they stay when other kinds are switched on."""
    alone = affine_maps(Augmentation(rotation=20), KEY, MANY[:200], 12, 12)
    beside = affine_maps(Augmentation(rotation=20, zoom=0.2, shift=3, crop=2), KEY, MANY[:200], 12, 12)
    scale = affine_maps(Augmentation(zoom=0.2), KEY, MANY[:200], 12, 12)[:, 0, 0]
    np.testing.assert_allclose(beside[:, :, :2], alone[:, :, :2] * scale[:, None, None], atol=1e-12)
    with_shift = affine_maps(Augmentation(shift=3, crop=2), KEY, MANY[:200], 12, 12)[:, :, 2]
    shift = affine_maps(Augmentation(shift=3), KEY, MANY[:200], 12, 12)[:, :, 2]
    crop = affine_maps(Augmentation(crop=2), KEY, MANY[:200], 12, 12)[:, :, 2]
    np.testing.assert_allclose(with_shift, shift + crop, atol=1e-12)


def test_cutout_is_the_same_beside_every_other_kind() -> None:
    white = np.full((50, 12, 9, 1), 255, dtype=np.uint8)
    alone = augment(white, Augmentation(cutout=4), KEY, np.arange(50))
    beside = augment(white, Augmentation(cutout=4, **EVERYTHING, fill="nearest"), KEY, np.arange(50))
    np.testing.assert_array_equal(alone, beside)


def test_an_image_s_variation_depends_on_its_own_number_alone() -> None:
    images, settings = some_images(30), Augmentation(**EVERYTHING, cutout=3)
    examples = np.arange(1000, 1030)
    whole = augment(images, settings, KEY, examples)
    np.testing.assert_array_equal(augment(images, settings, KEY, examples), whole)
    order = np.random.default_rng(0).permutation(30)[:17]
    np.testing.assert_array_equal(augment(images[order], settings, KEY, examples[order]), whole[order])
    for other in (KEY + 1, KEY ^ (1 << 63)):
        assert (augment(images, settings, other, examples) != whole).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(("side", "area"), [(1, 1), (4, 16), (12, 12 * 9), (50, 12 * 9)])
def test_cutout_sets_one_square_inside_the_image(side: int, area: int) -> None:
    images = np.full((2000, 12, 9, 3), 200, dtype=np.uint8)
    cut = augment(images, Augmentation(cutout=side, fill_value=7), KEY, np.arange(2000)) == 7
    assert (cut.sum(axis=(1, 2)) == area).all()
    rows, columns = cut.any(axis=(2, 3)), cut.any(axis=(1, 3))
    assert (rows.sum(axis=1) * columns.sum(axis=1) == area).all()
    assert cut.any(axis=0).all()  # every pixel has its turn


def test_images_of_any_memory_layout_and_none_at_all() -> None:
    images, settings = some_images(6, channels=3), Augmentation(**EVERYTHING)
    examples = np.arange(6)
    expected = augment(images, settings, KEY, examples)
    np.testing.assert_array_equal(augment(np.asfortranarray(images), settings, KEY, examples), expected)
    images.flags.writeable = False
    np.testing.assert_array_equal(augment(images, settings, KEY, examples), expected)
    assert augment(images[:0], settings, KEY, examples[:0]).shape == (0, 12, 9, 3)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_of_mixup_follow_a_beta_distribution(alpha: float) -> None:
    _, share = mixup(np.zeros(20_000, dtype=np.int64), alpha, KEY)
    law = stats.beta(alpha, alpha)
    assert share.dtype == np.float32
    assert abs(share.mean() - 0.5) < 4 * law.std() / np.sqrt(len(share))
    fourth = float(law.expect(lambda x: (x - 0.5) ** 4))
    assert abs(share.var() - law.var()) < 4 * np.sqrt((fourth - law.var() ** 2) / len(share))
    assert stats.kstest(share, law.cdf).pvalue > 1e-4


def test_partners_are_a_permutation_of_the_batch() -> None:
    labels = np.zeros(100, dtype=np.int64)
    partner, share = mixup(labels, 0.3, KEY)
    assert sorted(partner) == list(range(100))
    assert (partner != np.arange(100)).sum() > 90
    again = mixup(labels, 0.3, KEY)
    np.testing.assert_array_equal(again[0], partner)
    np.testing.assert_array_equal(again[1], share)
    np.testing.assert_array_equal(mixup(labels, 0.9, KEY)[0], partner)  # the shares are drawn apart from the partners
    assert not np.array_equal(mixup(labels, 0.3, KEY + 1)[0], partner)


def test_no_mixup_keeps_every_image() -> None:
    partner, share = mixup(np.zeros(5, dtype=np.int64), 0, KEY)
    assert partner.tolist() == [0, 1, 2, 3, 4]
    assert share.tolist() == [1, 1, 1, 1, 1]


def test_alternating_flips_mirror_each_image_in_every_other_epoch() -> None:
    first, second, third = (alternately(KEY, MANY, epoch) for epoch in range(3))
    assert abs(first.mean() - 0.5) < 0.01  # four standard errors
    assert np.array_equal(second, ~first)
    assert np.array_equal(third, first)
    assert not np.array_equal(alternately(KEY + 1, MANY, 0), first)
    assert np.array_equal(alternately(KEY, MANY[::-1], 0), first[::-1])


def test_alternating_flips_mirror_the_images_they_are_asked_to() -> None:
    images, settings, examples = some_images(8), Augmentation(flip="alternating"), np.arange(8)
    mirrored = alternately(KEY, examples, 1)
    expected = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    assert np.array_equal(augment(images, settings, KEY, examples, mirrored), expected)
    moving = Augmentation(flip="alternating", crop=2)
    still = Augmentation(crop=2)
    crops = augment(images, still, KEY, examples)
    same = np.all(augment(images, moving, KEY, examples, np.zeros(8, bool)) == crops, axis=(1, 2, 3))
    assert same.all()
