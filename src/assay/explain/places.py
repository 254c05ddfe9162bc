"""Maps positions in a network's input back to the stored images, which a base may have resized."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate


def maps_on(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Maps [n, height, width] over images of a size, bilinear and antialiased where they shrink.

    Args:
        maps: Of what the network sees, from edge to edge of the images.
        size: Height and width of the images.
    """
    if maps.shape[1:] == size:
        return maps
    tensor = torch.from_numpy(maps)[:, None]
    resized: NDArray[np.float32] = interpolate(tensor, size, mode="bilinear", antialias=True)[:, 0].numpy()
    return resized


def boxes_on(boxes: NDArray[np.int64], seen: tuple[int, int], size: tuple[int, int]) -> NDArray[np.int64]:
    """Boxes [..., 4] (top, left, bottom, right, the last two exclusive), with every pixel that they touch.

    Args:
        boxes: In pixels of what the network sees.
        seen: Its height and width.
        size: Height and width of the images.
    """
    ends = boxes * np.array([*size, *size])  # in whole numbers: no box ends beyond its image
    scaled: NDArray[np.int64] = np.concatenate([ends[..., :2] // seen, -(-ends[..., 2:] // seen)], axis=-1)
    return scaled
