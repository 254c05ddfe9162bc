"""Pens of other widths, and edges alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .blur import gaussian_blur
from .ground import Floats, Ground

_HIGH, _LOW = 0.25, 0.1  # of the steepest edge of an image


def thicker(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Strokes grown by this share of the longer side at each of their sides."""
    return _grown(images, amount * max(images.shape[1:3]), ground, np.maximum)


def thinner(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """Strokes worn away by this share of the longer side at each of their sides."""
    return _grown(images, amount * max(images.shape[1:3]), ground, np.minimum)


def canny_edges(images: Floats, amount: float, generator: np.random.Generator, ground: Ground) -> Floats:
    """The image fading, by this share, into its edges.

    Source: Canny (1986), "A computational approach to edge detection", IEEE TPAMI 8(6).
    """
    from scipy import ndimage

    grey = gaussian_blur(images, 1 / max(images.shape[1:3]), generator, ground).mean(3)
    down, right = (
        ndimage.correlate1d(ndimage.correlate1d(grey, [-1, 0, 1], along, mode="nearest"), [1, 2, 1], across)
        for along, across in ((1, 2), (2, 1))  # Sobel's, within each image: scipy's smooths over neighbouring images
    )
    steep = np.hypot(down, right)
    edges = _thinned(steep, down, right)
    most = steep.max((1, 2), keepdims=True)
    strong, weak = edges & (steep > _HIGH * most), edges & (steep > _LOW * most)
    # Images below one another, with a row between them: weak edges are joined to strong ones within an image alone.
    sheet = np.pad(weak, ((0, 0), (0, 1), (0, 0)))
    labels, num_labels = ndimage.label(sheet.reshape(-1, sheet.shape[2]), np.ones((3, 3), bool))
    numbers = labels.reshape(sheet.shape)[:, :-1]
    is_kept = np.zeros(num_labels + 1, bool)
    is_kept[numbers[strong]] = True
    paper = np.float32(0) if ground.level is None else np.array(ground.level, np.float32)
    drawn = np.where(is_kept[numbers][..., None], ground.ink, paper)
    return np.asarray((1 - np.float32(amount)) * images + np.float32(amount) * drawn, np.float32)


def _grown(images: Floats, pixels: float, ground: Ground, choose: np.ufunc) -> Floats:
    """Ink extended with the larger (or the smaller) of each pixel and its four neighbours, once for each pixel."""
    ink = images if ground.ink[0] == 1 else 1 - images
    whole = int(pixels)
    for _ in range(whole):
        ink = _next(ink, choose)
    part = np.float32(pixels - whole)
    ink = (1 - part) * ink + part * _next(ink, choose)
    return ink if ground.ink[0] == 1 else 1 - ink


def _next(ink: Floats, choose: np.ufunc) -> Floats:
    framed = np.pad(ink, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    grown = ink
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        grown = choose(grown, framed[:, down : down + ink.shape[1], right : right + ink.shape[2]])
    return grown


def _thinned(steep: Floats, down: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    """Whether a gradient is the steepest along its own direction, of four."""
    height, width = steep.shape[1:]
    framed = np.pad(steep, ((0, 0), (1, 1), (1, 1)))
    sector = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(np.int8) % 4
    is_edge = np.zeros(steep.shape, bool)
    for number, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = framed[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = framed[:, 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        is_edge |= (sector == number) & (steep >= ahead) & (steep > behind)
    return is_edge
