"""Galleries of a data set's images, and class counts, for reports and `assay data show`."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Problem
from .types import Images

_GUTTER_PIXELS = 1
_PAPER = 255


def class_counts(labels: npt.NDArray[np.integer], num_classes: int) -> npt.NDArray[np.int64]:
    """Images in each class, int64 [num_classes].

    Raises:
        DataError: A label lies outside 0 to ``num_classes`` - 1.
    """
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        what = f"labels run from {labels.min()} to {labels.max()}, and there are {num_classes} classes"
        raise DataError(Problem(what, f"give labels from 0 to {num_classes - 1}"))
    return np.bincount(labels, minlength=num_classes).astype(np.int64)


def gallery(images: Images, labels: npt.NDArray[np.integer], num_classes: int, per_class: int) -> Images:
    """The first images of each class as one picture: a row for each class, white lines one pixel wide between.

    A class with too few images leaves the rest of its row white.

    Args:
        images: uint8, or float32 in 0 to 1, [n, height, width, channels].
        labels: Integers [n].
        num_classes: Rows, at least 1.
        per_class: Columns, at least 1.

    Returns:
        uint8 [num_classes * (height + 1) - 1, per_class * (width + 1) - 1, channels].

    Raises:
        ValueError: ``num_classes`` or ``per_class`` is below 1.
    """
    if num_classes < 1 or per_class < 1:
        raise ValueError(f"a gallery has at least 1 row and 1 column, got {num_classes} and {per_class}")
    _, height, width, channels = images.shape
    row_step, column_step = height + _GUTTER_PIXELS, width + _GUTTER_PIXELS
    size = (num_classes * row_step - _GUTTER_PIXELS, per_class * column_step - _GUTTER_PIXELS, channels)
    sprite = np.full(size, _PAPER, dtype=np.uint8)
    for row in range(num_classes):
        for column, index in enumerate(np.flatnonzero(labels == row)[:per_class]):
            top, left = row * row_step, column * column_step
            image = images[index]
            if image.dtype == np.float32:
                image = np.rint(image * 255).astype(np.uint8)
            sprite[top : top + height, left : left + width] = image
    return sprite


def page(picture: bytes, title: str, classes: Sequence[str]) -> str:
    """A gallery's PNG as an HTML page that needs no other file, a line of names for its rows."""
    import base64
    from html import escape

    names = ", ".join(map(escape, classes))
    encoded = base64.b64encode(picture).decode()
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<style>body{font:16px system-ui;margin:2rem}img{image-rendering:pixelated;min-width:40%}</style>"
        f"<h1>{escape(title)}</h1><p>Rows, from above: {names}.</p>"
        f'<img alt="The first training images of each class, a row a class" src="data:image/png;base64,{encoded}">'
        "</html>\n"
    )


def png(array: Images) -> bytes:
    """A picture as a PNG file's bytes.

    Args:
        array: uint8 [height, width], or [height, width, channels] with 1 (grey) or 3 (red, green, blue) channels.

    Raises:
        ValueError: The array has another type or shape.
    """
    from PIL import Image

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        got = f"{array.dtype} {array.shape}"
        raise ValueError(f"a picture is uint8 [height, width] or [height, width, 1 or 3], got {got}")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, format="PNG", optimize=True)
    return file.getvalue()
