"""Python code that reads a picture for an exported network as Assay reads it, with Pillow and NumPy alone."""

from __future__ import annotations

from ..spec import Reading

_CODE = '''import numpy as np
from PIL import Image, ImageOps


def read_picture(path):
    """A picture as the network's input, {dtype} [1, {height}, {width}, {channels}]."""
    with Image.open(path) as picture:
        picture.load()
    if picture.format == "JPEG":
        picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, {under}), picture)
    if picture.mode[0] in "IF":  # more than 8 bits a channel
        most = 1 if picture.mode == "F" else 65535
        picture = Image.fromarray(np.asarray(picture, np.float32) / np.float32(most))
    else:
        picture = picture.convert("{mode}")
{fit}
    values = np.asarray(picture)
    if picture.mode == "F":
        values = np.repeat(values.clip(0, 1)[..., None], {channels}, 2){fine}
    return values.reshape(1, {height}, {width}, {channels})
'''
_ROUNDED = """
        values = np.rint(values * 255).astype(np.uint8)"""
_BYTES_IN_STEPS = """
    else:
        values = values / np.float32(255)"""
_STRETCH = "picture = picture.resize({size}, Image.Resampling.BILINEAR)"
_CROP = """if picture.size != {size}:
    picture = ImageOps.fit(picture, {size}, Image.Resampling.BILINEAR)"""
_PAD = """scale = min({width} / picture.width, {height} / picture.height)
inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
ground = {level} / 255 if picture.mode == "F" else {ground}
padded = Image.new(picture.mode, {size}, ground)
place = ({width} - inner[0]) // 2, ({height} - inner[1]) // 2
padded.paste(picture.resize(inner, Image.Resampling.BILINEAR), place)
picture = padded"""


def picture_code(reading: Reading, dtype: str) -> str:
    """The code.

    Args:
        reading: How the study reads pictures, with the network's size and channels.
        dtype: Of the network's input, ``uint8`` (0 to 255) or ``float32`` (0 to 1).
    """
    (height, width), channels, level = reading.size or (1, 1), reading.channels or 1, reading.background
    values = {"height": height, "width": width, "channels": channels, "size": (width, height)}
    values |= {
        "mode": "L" if channels == 1 else "RGB",
        "ground": level if channels == 1 else (level,) * 3,
        "level": level,
    }
    fit = {"stretch": _STRETCH, "crop": _CROP, "pad": _PAD}[reading.fit].format(**values)
    return _CODE.format(
        **values,
        dtype=dtype,
        under=(level, level, level, 255),
        fit="\n".join(f"    {line}" for line in fit.splitlines()),
        fine=_BYTES_IN_STEPS if dtype == "float32" else _ROUNDED,
    )
