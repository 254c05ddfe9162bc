"""One image of a data set as a picture of a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..data import png

_WIDEST = 96  # pixels of an image in the page


def picture(image: npt.NDArray[Any]) -> bytes:
    """A stored image as a PNG of at most 96 pixels a side.

    Args:
        image: uint8, or float32 in 0 to 1, [height, width, channels].
    """
    step = -(-max(image.shape[:2]) // _WIDEST)
    image = image[::step, ::step]
    if image.dtype == np.float32:
        image = np.rint(image * 255).astype(np.uint8)
    return png(np.asarray(image))
