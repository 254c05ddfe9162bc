"""The loops of ``augment`` over pixels, compiled by Numba when the first image is varied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..nets.hashing import mix

_u32, _f32 = np.uint32, np.float32
_ONE = np.uintp(1)  # Numba asks of a signed index whether it is negative, and that costs a third of the time
_kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "ninf", "nsz"})


@_kernel
def hashed(examples: Any, kind: Any, low: Any, high: Any, uniform: Any) -> None:
    own_low, own_high = mix(_u32(2) * kind, low, high), mix(_u32(2) * kind + _u32(1), low, high)
    for i in range(examples.size):
        uniform[i] = (mix(examples[i], own_low, own_high) + 0.5) / 4294967296.0


@_kernel
def warp_images(images: Any, maps: Any, warped: Any, fill: Any, fill_value: Any, is_nearest: Any) -> None:
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
