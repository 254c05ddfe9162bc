"""Pictures that come from outside: read within limits, turned into what a network takes."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..prediction.framing import Framing, framed, ink_of
from .limits import MAX_PIXELS, Refused

KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def read_picture(content: bytes, *, formats: tuple[str, ...] = _FORMATS) -> Image.Image:
    """A picture, decoded.

    Raises:
        Refused: 413 for one that declares too many pixels, before any is decoded; 422 for what is no picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit is far above ours
        try:
            picture = Image.open(io.BytesIO(content), formats=formats)
        except Image.DecompressionBombError:
            raise Refused(413, f"the picture has more than {MAX_PIXELS:,} pixels") from None
        except Exception:  # decoders of damaged pictures raise whatever comes to them
            raise Refused(422, f"this is no picture that can be read ({', '.join(formats)})") from None
        if picture.width * picture.height > MAX_PIXELS:
            what = f"the picture has {picture.width:,} x {picture.height:,} pixels, and at most {MAX_PIXELS:,} are read"
            raise Refused(413, what)
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture) if picture.format == "JPEG" else picture
            return _opaque(upright)
        except Exception:
            raise Refused(422, "the picture is damaged") from None


def _opaque(picture: Image.Image) -> Image.Image:
    """Without transparency: what is transparent is paper."""
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def drawing(content: bytes, framing: Framing, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A drawing, white ink on black, as an image of the data set: uint8 [height, width, 1]."""
    ink = np.asarray(read_picture(content, formats=("PNG",)).convert("L"))
    return framed(ink, framing, *shape[:2])[..., None]


def picture(content: bytes, framing: Framing | None, shape: tuple[int, int, int], dtype: str) -> NDArray[Any]:
    """Any picture as an image of the data set: [height, width, channels].

    Characters are framed as the data set's own are; anything else is cut to the data set's proportions around its
    centre and scaled down.
    """
    height, width, channels = shape
    found = read_picture(content)
    if framing is not None:
        return framed(ink_of(np.asarray(found.convert("L"))), framing, height, width)[..., None]
    fitted = ImageOps.fit(found.convert("L" if channels == 1 else "RGB"), (width, height), Image.Resampling.BILINEAR)
    values = np.asarray(fitted).reshape(height, width, -1)
    if channels not in (1, 3):
        raise Refused(422, f"the network takes images of {channels} channels, and pictures have 1 or 3")
    return values / np.float32(255) if dtype == "float32" else values
