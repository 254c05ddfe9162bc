"""Loads a batch: gathers images by index, scales them, and puts one into each lane.

Images are stored as [n, height, width, channels], so this is a transposition of sixteen images at a time. Bytes are
staged lane by lane first: the arithmetic then runs over contiguous memory, and LLVM vectorises it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler import kernel


def _load(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, rows: int,
    height: int, width: int, top: int, left: int,
) -> None:  # fmt: skip
    count, channels = len(indices), len(offset)
    size = images.shape[1] // rows
    staged = np.zeros(rows * size * 16, images.dtype)
    low, grow = np.empty(size * 16, np.float32), np.empty(size * 16, np.float32)  # of a row, so that one loop scales it
    for t in range(size * 16):
        low[t], grow[t] = offset[t // 16 % channels], factor[t // 16 % channels]
    blocks = (count + 15) // 16
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        lanes = min(16, count - b * 16)
        if lanes < 16:  # the staging array still holds the block before
            for t in range(len(staged)):
                staged[t] = 0
        # Read image by image: a stored image is contiguous, and the lanes of one pixel are bytes side by side.
        for lane in range(lanes):
            image = images[indices[b * 16 + lane]]
            for t in range(rows * size):
                staged[t * 16 + lane] = image[t]
        for i in range(rows):
            target = x[((b * height + top + i) * width + left) * channels * 16 :]
            source = staged[i * size * 16 :]
            for t in range(size * 16):
                target[t] = (np.float32(source[t]) - low[t]) * grow[t]


@kernel("images[byte 2] indices[long 1] x[float 1] offset[float 1] factor[float 1] rows height width top left")
def load_images(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, rows: int,
    height: int, width: int, top: int, left: int,
) -> None:  # fmt: skip
    """Scaled images by index into ``x``: float32 [blocks, height, width, channels, 16], with a margin of zeros.

    Args:
        part, parts: Which share of the blocks to fill.
        images: uint8 [n, rows * columns * channels].
        indices: Which images, in order; lanes left over in the last block are filled with what a byte 0 becomes.
        offset, factor: A byte becomes (byte - offset) * factor, by channel.
        rows: Of an image.
        height, width: Of ``x``, with its margin.
        top, left: The margin above and to the left.
    """
    _load(part, parts, images, indices, x, offset, factor, rows, height, width, top, left)


@kernel("images[float 2] indices[long 1] x[float 1] offset[float 1] factor[float 1] rows height width top left")
def load_float_images(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, rows: int,
    height: int, width: int, top: int, left: int,
) -> None:  # fmt: skip
    """The same for images that are kept as float32."""
    _load(part, parts, images, indices, x, offset, factor, rows, height, width, top, left)
