"""Encoded images (PNG, JPEG, BMP, GIF, WebP, TIFF, PPM) decoded into one array."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from ...spec import Reading
from .limits import refuse_size
from .live import live

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MAX_PIXELS = 1 << 26
_GREY = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_SHOWN = 3
_MOVED = 256

Contents = Callable[[], Iterable[tuple[int, bytes]]]


@dataclass
class _Seen:
    """Counts of what decoding met, for the notes."""

    colours: int = 0
    greys: int = 0
    resized: int = 0
    transparent: int = 0
    deep: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


class _Restart(Exception):
    """An image needs more channels or a finer type than those before it."""

    def __init__(self, channels: int, is_deep: bool) -> None:
        self.channels = channels
        self.is_deep = is_deep
        super().__init__()


def decode(
    contents: Contents, names: Sequence[str], reading: Reading, place: str
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], tuple[str, ...]]:
    """All images as one array.

    Grey images are kept with 1 channel, colour ones with 3; among colour images grey ones become colour. 16-bit ones
    become float32 in 0 to 1 and so do all others with them. Of an animation the first picture is taken, and what is
    transparent shows ``reading.background``.

    Args:
        contents: Called for (index, encoded image) in any order; called again when the array must be widened.
        names: What each is called in messages [n].
        reading: ``size``, ``channels``, ``background`` and ``skip_bad`` count.
        place: Where they come from, for messages.

    Returns:
        uint8 or float32 [m, height, width, channels]; which images they are [m], sorted, m below n only with
        ``skip_bad``; and a sentence on each thing that was done.

    Raises:
        DataError: Some are no images, or sizes are mixed and ``reading.size`` is not given.
    """
    channels: int = reading.channels or 0
    is_deep = False
    while True:
        try:
            return _decode(contents, names, reading, place, channels, is_deep)
        except _Restart as restart:
            channels, is_deep = restart.channels, restart.is_deep


def _decode(
    contents: Contents, names: Sequence[str], reading: Reading, place: str, channels: int, is_deep: bool
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], tuple[str, ...]]:
    from PIL import Image

    seen = _Seen()
    size = reading.size
    images: npt.NDArray[Any] | None = None
    is_good = np.zeros(len(names), dtype=bool)
    first = ""
    with warnings.catch_warnings(), live(f"reading {len(names):,} images from {place.rsplit('/', 1)[-1]}") as tick:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is refused below
        for done, (index, content) in enumerate(contents()):
            tick(done / len(names))
            try:
                picture: Picture = Image.open(io.BytesIO(content), formats=_FORMATS)
                if picture.width * picture.height > _MAX_PIXELS:
                    raise ValueError(f"it declares {picture.width} x {picture.height} pixels")
                picture.load()
                picture = _upright(picture)
                wanted = size or (picture.height, picture.width)
                is_colour = _is_colour(picture)
                values = picture if picture.size == wanted[::-1] else None
            except Exception as error:  # decoders of damaged images raise whatever comes to them
                seen.bad.append((index, _reason(error, content)))
                continue
            bits = 16 if picture.mode.startswith("I") or picture.mode == "F" else 8
            if images is None:
                first, size = names[index], wanted
                channels = channels or (3 if is_colour else 1)
                is_deep = is_deep or bits == 16
                shape = (len(names), *size, channels)
                refuse_size(int(np.prod(shape)) * (4 if is_deep else 1), place)
                images = np.empty(shape, np.float32 if is_deep else np.uint8)
            if (is_colour and channels == 1 and not reading.channels) or (bits == 16 and not is_deep):
                raise _Restart(3 if is_colour and not reading.channels else channels, is_deep or bits == 16)
            if values is None:
                if reading.size is None:
                    height, width = size or (0, 0)
                    what = f"{names[index]} is {picture.height} x {picture.width}, and {first} is {height} x {width}"
                    fix = f"give one size to all: read = {{ size = [{height}, {width}] }}"
                    raise DataError(Problem(what, fix, file=place))
                seen.resized += 1
            seen.colours += is_colour
            seen.greys += not is_colour
            images[index] = _values(picture, reading, channels, is_deep, seen)
            is_good[index] = True
    _refuse_bad(seen, names, reading, place)
    if images is None:
        raise DataError(Problem("there are no images", "give some", file=place))
    kept = np.flatnonzero(is_good)
    if len(kept) < len(names):
        for start in range(0, len(kept), _MOVED):  # closing the gaps in place
            chosen = kept[start : start + _MOVED]
            images[start : start + len(chosen)] = images[chosen]
        images = images[: len(kept)]
    return images, kept, _notes(seen, channels, is_deep, size or (0, 0), reading, [names[i] for i, _ in seen.bad])


def _upright(picture: Picture) -> Picture:
    from PIL import ImageOps

    if picture.format == "JPEG" and "exif" in picture.info:
        return ImageOps.exif_transpose(picture)
    return picture


def _is_colour(picture: Picture) -> bool:
    if picture.mode in _GREY:
        return False
    if picture.mode == "P":
        palette = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        used = palette[np.unique(np.asarray(picture)).clip(max=max(0, len(palette) - 1))] if len(palette) else palette
        return bool((used != used[:, :1]).any())
    return True


def _values(picture: Picture, reading: Reading, channels: int, is_deep: bool, seen: _Seen) -> npt.NDArray[Any]:
    """[height, width, channels] in the array's type and size."""
    from PIL import Image

    mode: Literal["L", "RGB"] = "L" if channels == 1 else "RGB"
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        if over.getchannel("A").getextrema() != (255, 255):
            seen.transparent += 1
            under = Image.new("RGBA", over.size, (reading.background,) * 3 + (255,))
            over = Image.alpha_composite(under, over)
        picture = over
    if picture.mode.startswith("I") or picture.mode == "F":
        seen.deep += 1
        values = np.asarray(picture, dtype=np.float32)
        if picture.mode != "F":
            values = values / np.float32(65535)
        if reading.size is not None and picture.size != reading.size[::-1]:
            values = np.asarray(Image.fromarray(values).resize(reading.size[::-1], Image.Resampling.BILINEAR))
        return np.repeat(np.clip(values, 0, 1)[..., None], channels, axis=2)
    if picture.mode != mode:
        picture = picture.convert(mode)
    if reading.size is not None and picture.size != reading.size[::-1]:
        picture = picture.resize(reading.size[::-1], Image.Resampling.BILINEAR)
    values = np.asarray(picture)
    values = values[..., None] if values.ndim == 2 else values
    return values / np.float32(255) if is_deep else values


def _reason(error: Exception, content: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    if not content:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return "it is no image that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        return "it declares more pixels than any small image has"
    return " ".join(str(error).split())[:80] or type(error).__name__


def _refuse_bad(seen: _Seen, names: Sequence[str], reading: Reading, place: str) -> None:
    if not seen.bad or (reading.skip_bad and len(seen.bad) < len(names)):
        return
    shown = "; ".join(f"{names[index]} ({reason})" for index, reason in sorted(seen.bad)[:_SHOWN])
    rest = f" and {len(seen.bad) - _SHOWN:,} more" if len(seen.bad) > _SHOWN else ""
    count = f"{len(seen.bad):,} of {len(names):,} files {'is no image' if len(seen.bad) == 1 else 'are no images'}"
    fix = "remove or replace them, or leave them out with read = { skip_bad = true }"
    raise DataError(Problem(f"{count}: {shown}{rest}", fix, file=place))


def _notes(
    seen: _Seen, channels: int, is_deep: bool, size: tuple[int, int], reading: Reading, bad: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if bad:
        rest = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        notes.append(f"{len(bad):,} files are no images and are left out: {', '.join(sorted(bad)[:_SHOWN])}{rest}.")
    if seen.greys and channels == 3:
        notes.append(f"{seen.greys:,} grey images are kept as colour, {seen.colours:,} are colour.")
    if seen.colours and channels == 1:
        notes.append(f"{seen.colours:,} colour images were made grey.")
    if seen.resized:
        notes.append(f"{seen.resized:,} images were resized to {size[0]} x {size[1]} (bilinear).")
    if seen.transparent:
        notes.append(f"{seen.transparent:,} images have transparent parts, which show grey level {reading.background}.")
    if is_deep:
        notes.append(f"{seen.deep:,} images have more than 8 bits, so all are kept as float32 in 0 to 1.")
    return tuple(notes)
