"""Augments training images: random shifts, rotations, flips, crops, cutout and mixup on a batch of bytes.

What happens to an image is a pure function of the settings, the key and the number that stands for the image: not of
its place in the batch, nor of the other images. Each kind of augmentation draws with its own key, a hash of the
batch's key and the kind's number, so switching one kind on or off moves no other kind's draws.

Everything that moves pixels is one affine map from the output's pixels to places in the stored image, about the
centre ((height - 1) / 2, (width - 1) / 2), and is resampled once: an image is flipped, zoomed, sheared, rotated and
shifted on an unbounded plane. Outside the image lies ``fill``; in scipy.ndimage's words ``constant`` is
"grid-constant" (between the edge and the fill there is interpolation, no step), ``nearest`` is "nearest" and
``reflect`` is "reflect" (d c b a | a b c d | d c b a), also where an image is only moved by whole pixels.

Sources: DeVries and Taylor (2017), "Cutout" (here wholly inside the image); Zhang et al. (2018), "mixup".
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..nets.dropout import mix
from ..nets.masks import halves
from ..spec.augmentation import Augmentation

# A kind's place is part of its key, so new kinds go to the end: another order would change old studies' images.
Kind = Literal[
    "shift rows", "shift columns", "rotation", "zoom", "shear", "flip rows", "flip columns", "crop rows",
    "crop columns", "cutout row", "cutout column",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

_FILLS = ("constant", "nearest", "reflect")
_MIXUP_PARTNER, _MIXUP_SHARE = 1, 2
_u32, _f32 = np.uint32, np.float32
_ONE = np.uintp(1)  # Numba asks of a signed index whether it is negative, and that costs a third of the time
_kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "ninf", "nsz"})


def augment(
    images: NDArray[np.uint8], settings: Augmentation, key: int, examples: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The images, varied at random; ``mixup`` is a function of its own.

    Args:
        images: uint8 [n, height, width, channels]; they stay as they are.
        settings: Which kinds, and how much.
        key: 64 bits, from ``Streams.key("augment", step)``.
        examples: A number for each image that its draws depend on [n], such as its index in the data set. Two images
            with one number are varied alike; numbers count modulo 2**32.

    Returns:
        uint8 [n, height, width, channels], always new.
    """
    count, height, width, _ = images.shape
    if settings.moves_pixels:
        varied = warp(images, affine_maps(settings, key, examples, height, width), settings)
    else:
        varied = images.copy()
    if settings.cutout:
        side_rows, side_columns = min(settings.cutout, height), min(settings.cutout, width)
        tops = _whole(draws(key, "cutout row", examples), height - side_rows + 1)
        lefts = _whole(draws(key, "cutout column", examples), width - side_columns + 1)
        for i in range(count):
            varied[i, tops[i] : tops[i] + side_rows, lefts[i] : lefts[i] + side_columns] = settings.fill_value
    return varied


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


def draws(key: int, kind: Kind, examples: NDArray[np.int64]) -> NDArray[np.float64]:
    """One number in (0, 1) for each example, uniform in steps of 2**-32, shape [n]."""
    low, high = halves(key)
    uniform = np.empty(len(examples))
    _hash(examples, _u32(KINDS.index(kind)), _u32(low), _u32(high), uniform)
    return uniform


def affine_maps(
    settings: Augmentation, key: int, examples: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float64]:
    """Where each output pixel comes from, float64 [n, 2, 3]: ``source = map[:, :2] @ (row, column) + map[:, 2]``."""

    def within(kind: Kind, reach: float) -> Any:
        return (2 * draws(key, kind, examples) - 1) * reach if reach else 0.0

    def padding(kind: Kind) -> Any:
        return _whole(draws(key, kind, examples), 2 * settings.crop + 1) - settings.crop if settings.crop else 0

    def mirror(kind: Kind, is_on: bool) -> Any:
        return np.where(draws(key, kind, examples) < 0.5, -1.0, 1.0) if is_on else 1.0

    turn, lean = np.deg2rad(within("rotation", settings.rotation)), np.tan(np.deg2rad(within("shear", settings.shear)))
    cos, sin = np.cos(turn), np.sin(turn)
    scale = 1 / (1 + within("zoom", settings.zoom))
    flip_rows = mirror("flip rows", settings.flip in ("vertical", "both")) * scale
    flip_columns = mirror("flip columns", settings.flip in ("horizontal", "both")) * scale
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
    warped = np.empty(images.shape, dtype=np.uint8)
    source = np.require(images, requirements=["C", "W", "E"])  # one kind of array, so that one kernel is compiled
    _warp(source, maps, warped, _FILLS.index(settings.fill), settings.fill_value, settings.interpolation == "nearest")
    return warped


def _whole(uniform: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to ``count - 1``, each as likely as the others."""
    return (uniform * count).astype(np.int64)


@_kernel
def _hash(examples: Any, kind: Any, low: Any, high: Any, uniform: Any) -> None:
    own_low, own_high = mix(_u32(2) * kind, low, high), mix(_u32(2) * kind + _u32(1), low, high)
    for i in range(examples.size):
        uniform[i] = (mix(examples[i], own_low, own_high) + 0.5) / 4294967296.0


@_kernel
def _warp(images: Any, maps: Any, warped: Any, fill: Any, fill_value: Any, is_nearest: Any) -> None:
    count, height, width, channels = images.shape
    row_map, column_map = np.empty(height, np.int64), np.empty(width, np.int64)
    # One padded plane for each channel: a pixel before the image and two behind it, so that every place that is
    # left after folding has its four neighbours and the loops need no branches.
    stride = width + 3
    padded = np.empty((channels, (height + 3) * stride), np.float32)
    first = np.empty(width, np.int32)
    down, right = np.empty(width, np.float32), np.empty(width, np.float32)
    for n in range(count):
        a, b, c, d = maps[n, 0, 0], maps[n, 0, 1], maps[n, 1, 0], maps[n, 1, 1]
        row_offset, column_offset = maps[n, 0, 2], maps[n, 1, 2]
        is_copy = abs(a) == 1 and b == 0 and c == 0 and abs(d) == 1
        if is_copy and row_offset == np.floor(row_offset) and column_offset == np.floor(column_offset):
            for i in range(height):
                row_map[i] = _whole_place(int(a * i + row_offset), height, fill)
            for j in range(width):
                column_map[j] = _whole_place(int(d * j + column_offset), width, fill)
            _copy(images[n], row_map, column_map, warped[n], fill_value)
            continue
        _pad(images[n], padded, fill, fill_value)
        for i in range(height):
            row, column = _f32(b), _f32(d)
            row_start, column_start = _f32(a * i + row_offset), _f32(c * i + column_offset)
            for j in range(width):
                down[j] = row * _f32(j) + row_start
                right[j] = column * _f32(j) + column_start
            _fold(down, height, fill)
            _fold(right, width, fill)
            if is_nearest:
                for j in range(width):
                    down[j] = np.floor(down[j] + _f32(0.5))
                    right[j] = np.floor(right[j] + _f32(0.5))
            for j in range(width):
                floor_row, floor_column = np.floor(down[j]), np.floor(right[j])
                down[j] -= floor_row
                right[j] -= floor_column
                first[j] = np.int32((np.int32(floor_row) + 1) * stride + np.int32(floor_column) + 1)
            for channel in range(channels):
                target = warped[n, i, :, channel]
                _interpolate(padded[channel], np.uintp(stride), first, down, right, target)


@_kernel
def _whole_place(place: Any, size: Any, fill: Any) -> Any:
    """The pixel at a whole place along one axis, -1 where that is the constant fill."""
    if 0 <= place < size:
        return place
    if fill == 0:
        return -1
    if fill == 1:
        return 0 if place < 0 else size - 1
    place %= 2 * size
    return place if place < size else 2 * size - 1 - place


@_kernel
def _copy(image: Any, row_map: Any, column_map: Any, target: Any, fill_value: Any) -> None:
    height, width, channels = image.shape
    for i in range(height):
        for j in range(width):
            is_inside = row_map[i] >= 0 and column_map[j] >= 0
            for channel in range(channels):
                target[i, j, channel] = image[row_map[i], column_map[j], channel] if is_inside else fill_value


@_kernel
def _pad(image: Any, padded: Any, fill: Any, fill_value: Any) -> None:
    """Each channel as a float32 plane, a pixel of fill before and two behind."""
    height, width, channels = image.shape
    for channel in range(channels):
        plane = padded[channel].reshape(height + 3, width + 3)
        plane[:] = fill_value
        for i in range(height):
            for j in range(width):
                plane[i + 1, j + 1] = image[i, j, channel]
        if fill != 0:  # next to an edge, "nearest" and "reflect" are alike
            for i in range(height + 3):
                inner = min(max(i, 1), height)
                plane[i, 1 : width + 1] = plane[inner, 1 : width + 1]
                plane[i, 0] = plane[i, 1]
                plane[i, width + 1] = plane[i, width]
                plane[i, width + 2] = plane[i, width]


@_kernel
def _fold(places: Any, size: Any, fill: Any) -> None:
    """Bring places along one axis onto the padded plane, where they mean the same."""
    if fill == 0:
        for j in range(places.size):
            places[j] = min(max(places[j], _f32(-1)), _f32(size))
    elif fill == 1:
        for j in range(places.size):
            places[j] = min(max(places[j], _f32(0)), _f32(size - 1))
    else:
        period = _f32(2 * size)
        for j in range(places.size):
            turned = places[j] + _f32(0.5)
            turned -= period * np.floor(turned / period)
            places[j] = min(turned, period - turned) - _f32(0.5)


@_kernel
def _interpolate(plane: Any, stride: Any, first: Any, down: Any, right: Any, target: Any) -> None:
    for j in range(first.size):
        at = np.uintp(first[j])
        upper = plane[at] + right[j] * (plane[at + _ONE] - plane[at])
        lower = plane[at + stride] + right[j] * (plane[at + stride + _ONE] - plane[at + stride])
        target[j] = np.uint8(upper + down[j] * (lower - upper) + _f32(0.5))
