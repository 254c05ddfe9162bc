"""Things moved, turned, scaled, slanted and bent. What comes in from outside is ground, or the scene mirrored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .fields import smooth_field
from .ground import Floats, Ground

Doubles = npt.NDArray[np.float64]


def translate(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Moved by this share of the longer side in any direction, by whole pixels."""
    angles = generator.random(len(images)) * 2 * np.pi
    far = amount * max(images.shape[1:3])
    shift = np.rint(far * np.stack([np.sin(angles), np.cos(angles)], axis=1))
    return _affine(images, np.broadcast_to(np.eye(2), (len(images), 2, 2)), shift, ground)


def rotate(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Turned about the centre by so many degrees, either way."""
    angles = np.deg2rad(amount) * _signs(generator, len(images))
    turn = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=1).reshape(-1, 2, 2)
    return _affine(images, turn, np.zeros((len(images), 2)), ground)


def scale(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Enlarged or reduced by this factor."""
    factors = amount ** _signs(generator, len(images))
    return _affine(images, factors[:, None, None] * np.eye(2), np.zeros((len(images), 2)), ground)


def shear(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Slanted: each row moved sideways by this share of its distance from the middle, either way."""
    slant = np.broadcast_to(np.eye(2), (len(images), 2, 2)).copy()
    slant[:, 1, 0] = amount * _signs(generator, len(images))
    return _affine(images, slant, np.zeros((len(images), 2)), ground)


def elastic(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Bent by a smooth random field, whose displacements reach this share of the longer side.

    Source: Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks", ICDAR.
    """
    count, height, width, _ = images.shape
    far = amount * max(height, width)
    rows, columns = (far * (2 * smooth_field(count, height, width, 4, generator) - 1) * 2 for _ in range(2))
    grid = np.mgrid[:height, :width].astype(np.float64)
    return warped(images, grid[0] + rows, grid[1] + columns, ground)


def warped(images: Floats, rows: Doubles, columns: Doubles, ground: Ground) -> Floats:
    """Images whose every pixel is read, bilinearly, at the row and column given for it [n, height, width]."""
    from scipy import ndimage

    count, height, width, channels = images.shape
    if ground.level is None:
        rows, columns = _mirrored(rows, height), _mirrored(columns, width)
        framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    else:
        framed = np.empty((count, height + 2, width + 2, channels), np.float32)
        framed[:] = np.array(ground.level, np.float32)
        framed[:, 1:-1, 1:-1] = images
        rows, columns = np.clip(rows, -1, height), np.clip(columns, -1, width)
    # All images below one another, each in a frame, so that one call reads them all and none reads its neighbour.
    tops = (height + 2) * np.arange(count)[:, None, None] + 1
    places = np.stack([(rows + tops).ravel(), (columns + 1).ravel()])
    sheet = framed.reshape(count * (height + 2), width + 2, channels)
    values = np.empty(images.shape, np.float32)
    for channel in range(channels):
        plane = np.ascontiguousarray(sheet[..., channel])
        read = ndimage.map_coordinates(plane, places, order=1, output=np.float32, mode="nearest", prefilter=False)
        values[..., channel] = read.reshape(count, height, width)
    return values


def _affine(images: Floats, matrices: Doubles, shifts: Doubles, ground: Ground) -> Floats:
    """Images moved by shifts [n, 2] and read through matrices [n, 2, 2] about their centres."""
    _, height, width, _ = images.shape
    centre = (np.array([height, width]) - 1) / 2
    grid = np.mgrid[:height, :width].reshape(2, -1).T - centre
    places = np.einsum("nij,pj->nip", matrices, grid) + (centre - shifts)[:, :, None]
    rows, columns = places.reshape(len(images), 2, height, width).transpose(1, 0, 2, 3)
    return warped(images, rows, columns, ground)


def _mirrored(places: Doubles, size: int) -> Doubles:
    period = 2 * max(size - 1, 1)
    folded = np.mod(places, period)
    return np.asarray(np.minimum(folded, period - folded))


def _signs(generator: np.random.Generator, count: int) -> Doubles:
    return np.where(generator.random(count) < 0.5, -1.0, 1.0)
