"""Augments training images: random shifts, rotations, flips, crops, cutout, mixup and CutMix on a batch of bytes.

What happens to an image is a pure function of the settings, the key and the number that stands for the image: not of
its place in the batch, nor of the other images. Each kind of augmentation draws with its own key, a hash of the
batch's key and the kind's number, so switching one kind on or off moves no other kind's draws.

Everything that moves pixels is one affine map from the output's pixels to places in the stored image, about the
centre ((height - 1) / 2, (width - 1) / 2), and is resampled once: an image is flipped, zoomed, sheared, rotated and
shifted on an unbounded plane. Outside the image lies ``fill``; in scipy.ndimage's words ``constant`` is
"grid-constant" (between the edge and the fill there is interpolation, no step), ``nearest`` is "nearest" and
``reflect`` is "reflect" (d c b a | a b c d | d c b a), also where an image is only moved by whole pixels.

Sources: DeVries and Taylor (2017), "Cutout" (here wholly inside the image); Zhang et al. (2018), "mixup";
Yun et al. (2019), "CutMix".
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..nets.masks import halves
from ..spec.augmentation import Augmentation

# A kind's place is part of its key, so new kinds go to the end: another order would change old studies' images.
Kind = Literal[
    "shift rows", "shift columns", "rotation", "zoom", "shear", "flip rows", "flip columns", "crop rows",
    "crop columns", "cutout row", "cutout column",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

_FILLS = ("constant", "nearest", "reflect")
_MIXUP_PARTNER, _MIXUP_SHARE, _CUTMIX_PLACE = 1, 2, 3


def augment(
    images: NDArray[np.uint8],
    settings: Augmentation,
    key: int,
    examples: NDArray[np.int64],
    mirrored: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """The images, varied at random; ``mixup`` and ``cutmix`` are functions of their own.

    Args:
        images: uint8 [n, height, width, channels]; they stay as they are.
        settings: Which kinds, and how much.
        key: 64 bits, from ``Streams.key("augment", step)``.
        examples: A number for each image that its draws depend on [n], such as its index in the data set. Two images
            with one number are varied alike; numbers count modulo 2**32.
        mirrored: With ``flip = "alternating"``, which images are mirrored (``alternately``) [n]; drawn if ``None``.

    Returns:
        uint8 [n, height, width, channels], always new.
    """
    count, height, width, _ = images.shape
    if settings.moves_pixels:
        varied = warp(images, affine_maps(settings, key, examples, height, width, mirrored), settings)
    else:
        varied = images.copy()
    if settings.cutout:
        side_rows, side_columns = min(settings.cutout, height), min(settings.cutout, width)
        tops = _whole(draws(key, "cutout row", examples), height - side_rows + 1)
        lefts = _whole(draws(key, "cutout column", examples), width - side_columns + 1)
        for i in range(count):
            varied[i, tops[i] : tops[i] + side_rows, lefts[i] : lefts[i] + side_columns] = settings.fill_value
    return varied


def alternately(key: int, examples: NDArray[np.int64], epoch: int) -> NDArray[np.bool_]:
    """Which images ``flip = "alternating"`` mirrors in an epoch [n]: in the first (0) half of them, drawn, and in every
    one after it those that were not mirrored in the one before.

    Over two epochs each image is seen once either way, where draws would show half of them twice the same.

    Args:
        key: 64 bits, the same in every epoch: ``Streams.key("augment")``.
        examples: As in ``augment``.
        epoch: Counted from 0.

    Source: Jordan (2024), "94% on CIFAR-10 in 3.29 seconds on a single GPU".
    """
    is_first: NDArray[np.bool_] = draws(key, "flip columns", examples) < 0.5
    return is_first if epoch % 2 == 0 else ~is_first


def mixup(labels: NDArray[np.integer], alpha: float, key: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which image to mix each one with, and the share that it keeps: ``share * x + (1 - share) * x[partner]``.

    Args:
        labels: Class numbers of the batch [n]. Only their count matters: partners are a permutation of places in
            the batch, whatever their classes.
        alpha: Shares follow Beta(alpha, alpha); at 0 every image keeps all of itself.
        key: 64 bits, from ``Streams.key("augment", step)``.

    Returns:
        partner, int64 [n], and share, float32 [n].
    """
    count = len(labels)
    if alpha == 0:
        return np.arange(count), np.ones(count, dtype=np.float32)
    partner = np.random.Generator(np.random.Philox(key=key + (_MIXUP_PARTNER << 64))).permutation(count)
    share = np.random.Generator(np.random.Philox(key=key + (_MIXUP_SHARE << 64))).beta(alpha, alpha, count)
    return partner, share.astype(np.float32)


def cutmix(
    images: NDArray[np.uint8], alpha: float, key: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """Each image with a rectangle of another one pasted over it, at the same place.

    The rectangle has the image's proportions, sides of sqrt(1 - share) of the image's with the share from
    Beta(alpha, alpha), and its centre anywhere in the image; what would lie outside is cut off. The share that counts
    is the one that is left: 1 - pasted pixels / pixels.

    Args:
        images: uint8 [n, height, width, channels]; they stay as they are.
        alpha: Of the Beta distribution; above 0.
        key: 64 bits, from ``Streams.key("augment", step)``. Partners and shares are drawn as those of ``mixup``.

    Returns:
        The images, the place of each one's partner in the batch int64 [n], and the share of each image that is its own
        float32 [n].

    Source: Yun et al. (2019), "CutMix: Regularization strategy to train strong classifiers with localizable features".
    """
    count, height, width, _ = images.shape
    partner, share = mixup(np.zeros(count, np.int64), alpha, key)
    sides = np.sqrt(1 - share.astype(np.float64))
    places = np.random.Generator(np.random.Philox(key=key + (_CUTMIX_PLACE << 64))).random((2, count))
    spans = []
    for size, place in zip((height, width), places, strict=True):
        middle, side = (place * size).astype(np.int64), (sides * size).astype(np.int64)
        first = middle - side // 2
        spans.append((np.clip(first, 0, size), np.clip(first + side, 0, size)))
    (tops, bottoms), (lefts, rights) = spans
    pasted = images.copy()
    for i in range(count):
        window = np.s_[tops[i] : bottoms[i], lefts[i] : rights[i]]
        pasted[i][window] = images[partner[i]][window]
    covered = (bottoms - tops) * (rights - lefts) / (height * width)
    return pasted, partner, (1 - covered).astype(np.float32)


def draws(key: int, kind: Kind, examples: NDArray[np.int64]) -> NDArray[np.float64]:
    """One number in (0, 1) for each example, uniform in steps of 2**-32, shape [n]."""
    from . import warping  # imports Numba, which runs without augmentation do without

    low, high = halves(key)
    uniform = np.empty(len(examples))
    number, lower, upper = (np.uint32(word) for word in (KINDS.index(kind), low, high))
    warping.hashed(examples, number, lower, upper, uniform)
    return uniform


def affine_maps(
    settings: Augmentation,
    key: int,
    examples: NDArray[np.int64],
    height: int,
    width: int,
    mirrored: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Where each output pixel comes from, float64 [n, 2, 3]: ``source = map[:, :2] @ (row, column) + map[:, 2]``."""

    def within(kind: Kind, reach: float) -> Any:
        return (2 * draws(key, kind, examples) - 1) * reach if reach else 0.0

    def padding(kind: Kind) -> Any:
        return _whole(draws(key, kind, examples), 2 * settings.crop + 1) - settings.crop if settings.crop else 0

    def mirror(kind: Kind, is_on: bool) -> Any:
        if kind == "flip columns" and mirrored is not None:
            return np.where(mirrored, -1.0, 1.0)
        return np.where(draws(key, kind, examples) < 0.5, -1.0, 1.0) if is_on else 1.0

    turn, lean = np.deg2rad(within("rotation", settings.rotation)), np.tan(np.deg2rad(within("shear", settings.shear)))
    cos, sin = np.cos(turn), np.sin(turn)
    scale = 1 / (1 + within("zoom", settings.zoom))
    flip_rows = mirror("flip rows", settings.flip in ("vertical", "both")) * scale
    flip_columns = mirror("flip columns", settings.flip in ("horizontal", "both", "alternating")) * scale
    maps = np.empty((len(examples), 2, 3))
    # Inverses, last operation first: rotation (counter-clockwise, as np.rot90), then shear, then zoom and flip.
    maps[:, 0, 0], maps[:, 0, 1] = flip_rows * cos, flip_rows * sin
    maps[:, 1, 0], maps[:, 1, 1] = flip_columns * (-sin - lean * cos), flip_columns * (cos - lean * sin)
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    rows = middle_row + within("shift rows", settings.shift) + padding("crop rows")
    columns = middle_column + within("shift columns", settings.shift) + padding("crop columns")
    maps[:, 0, 2] = middle_row - maps[:, 0, 0] * rows - maps[:, 0, 1] * columns
    maps[:, 1, 2] = middle_column - maps[:, 1, 0] * rows - maps[:, 1, 1] * columns
    return maps


def warp(images: NDArray[np.uint8], maps: NDArray[np.float64], settings: Augmentation) -> NDArray[np.uint8]:
    """The images under their maps, with the settings' ``fill``, ``fill_value`` and ``interpolation``.

    A map that only mirrors and moves by whole pixels copies bytes; any other interpolates.
    """
    from .warping import warp_images

    warped = np.empty(images.shape, dtype=np.uint8)
    source = np.require(images, requirements=["C", "W", "E"])  # one kind of array, so that one kernel is compiled
    warp_images(
        source, maps, warped, _FILLS.index(settings.fill), settings.fill_value, settings.interpolation == "nearest"
    )
    return warped


def _whole(uniform: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to ``count - 1``, each as likely as the others."""
    return (uniform * count).astype(np.int64)
