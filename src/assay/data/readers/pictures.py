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
_SKIP = "remove or replace them, or leave them out with read = { skip_bad = true }"
_SHOWN = 3
_MOVED = 256

Contents = Callable[[], Iterable[tuple[int, bytes]]]


@dataclass
class Tally:
    """What was met while reading images, and what was done to them."""

    colours: int = 0
    greys: int = 0
    resized: int = 0
    transparent: int = 0
    deep: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)  # the name of a file that is no image, and why it is none

    def add(self, other: Tally) -> None:
        """Counts what another tally counted."""
        self.colours += other.colours
        self.greys += other.greys
        self.resized += other.resized
        self.transparent += other.transparent
        self.deep += other.deep
        self.bad += other.bad

    def notes(self, size: tuple[int, int], channels: int, reading: Reading, *, is_byte: bool) -> tuple[str, ...]:
        """A sentence on each thing that was done.

        Args:
            size: Height and width of the images.
            channels: Of the images.
            reading: How they were read.
            is_byte: They are kept as bytes.
        """
        notes = []
        if self.bad:
            names = sorted(name for name, _ in self.bad)
            rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            notes.append(f"{len(names):,} files are no images and are left out: {', '.join(names[:_SHOWN])}{rest}.")
        if self.greys and channels == 3:
            notes.append(f"{self.greys:,} grey images are kept as colour, {self.colours:,} are colour.")
        if self.colours and channels == 1:
            notes.append(f"{self.colours:,} colour images were made grey.")
        if self.resized:
            how = "" if reading.fit == "stretch" else f"; those of other proportions are {reading.fit_description}"
            notes.append(f"{self.resized:,} images were resized to {size[0]} x {size[1]} (bilinear){how}.")
        if self.transparent:
            level = reading.background
            notes.append(f"{self.transparent:,} images have transparent parts, which show grey level {level}.")
        if self.deep:
            kept = "they are rounded to bytes" if is_byte else "all are kept as float32 in 0 to 1"
            notes.append(f"{self.deep:,} images have more than 8 bits, so {kept}.")
        return tuple(notes)


class _Restart(Exception):
    """An image needs more channels or a finer type than those before it."""

    def __init__(self, channels: int, is_deep: bool) -> None:
        self.channels = channels
        self.is_deep = is_deep
        super().__init__()


def decode(
    contents: Contents,
    names: Sequence[str],
    reading: Reading,
    place: str,
    *,
    tally: Tally | None = None,
    expected: tuple[int, int] | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], tuple[str, ...]]:
    """All images as one array.

    Grey images are kept with 1 channel, colour ones with 3; among colour images grey ones become colour. 16-bit ones
    become float32 in 0 to 1 and so do all others with them. Of an animation the first picture is taken, and what is
    transparent shows ``reading.background``.

    Args:
        contents: Called for (index, encoded image) in any order; called again when the array must be widened.
        names: What each is called in messages [n].
        reading: ``size``, ``fit``, ``channels``, ``background`` and ``skip_bad`` count.
        place: Where they come from, for messages.
        tally: Counts what was met and done, beside what it has counted already.
        expected: Height and width that a network takes, where ``reading`` has no size: images of another are refused.
            With ``skip_bad`` no image at all may be left then.

    Returns:
        uint8 or float32 [m, height, width, channels]; which images they are [m], sorted, m below n only with
        ``skip_bad``; and a sentence on each thing that was done.

    Raises:
        DataError: Some are no images, or sizes are mixed and ``reading.size`` is not given.
    """
    channels: int = reading.channels or 0
    is_deep = False
    while True:
        own = Tally()
        try:
            images, kept = _decode(contents, names, reading, place, channels, is_deep, own, expected)
        except _Restart as restart:
            channels, is_deep = restart.channels, restart.is_deep
            continue
        if tally is not None:
            tally.add(own)
        _, height, width, depth = images.shape
        return images, kept, own.notes((height, width), depth, reading, is_byte=False)


def _decode(
    contents: Contents,
    names: Sequence[str],
    reading: Reading,
    place: str,
    channels: int,
    is_deep: bool,
    tally: Tally,
    expected: tuple[int, int] | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    from PIL import Image

    size = reading.size or expected
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
                is_colour = _is_colour(picture)
            except Exception as error:  # decoders of damaged images raise whatever comes to them
                tally.bad.append((names[index], _reason(error, content)))
                continue
            size = size or (picture.height, picture.width)
            bits = 16 if picture.mode.startswith("I") or picture.mode == "F" else 8
            if images is None:
                first = names[index]
                channels = channels or (3 if is_colour else 1)
                is_deep = is_deep or bits == 16
                shape = (len(names), *size, channels)
                refuse_size(int(np.prod(shape)) * (4 if is_deep else 1), place)
                images = np.empty(shape, np.float32 if is_deep else np.uint8)
            if (is_colour and channels == 1 and not reading.channels) or (bits == 16 and not is_deep):
                raise _Restart(3 if is_colour and not reading.channels else channels, is_deep or bits == 16)
            if picture.size != size[::-1]:
                if reading.size is None:
                    raise _other_size(picture, size, names[index], first, place, is_asked=expected is not None)
                tally.resized += 1
            tally.colours += is_colour
            tally.greys += not is_colour
            images[index] = _values(picture, size, reading, channels, is_deep, tally)
            is_good[index] = True
    _refuse_bad(tally.bad, names, reading, place, is_asked=expected is not None)
    if images is None:
        if not (tally.bad and expected):
            raise DataError(Problem("there are no images", "give some", file=place))
        images = np.empty((len(names), *expected, channels or 1), np.uint8)
    kept = np.flatnonzero(is_good)
    if len(kept) < len(names):
        for start in range(0, len(kept), _MOVED):  # closing the gaps in place
            chosen = kept[start : start + _MOVED]
            images[start : start + len(chosen)] = images[chosen]
        images = images[: len(kept)]
    return images, kept


def _other_size(
    picture: Picture, size: tuple[int, int], name: str, first: str, place: str, *, is_asked: bool
) -> DataError:
    what, (height, width) = f"{name} is {picture.height} x {picture.width}", size
    if is_asked:
        return DataError(Problem(what, wanted_size(size), file=place))
    fix = f"give one size to all: read = {{ size = [{height}, {width}] }}"
    return DataError(Problem(f"{what}, and {first} is {height} x {width}", fix, file=place))


def wanted_size(size: tuple[int, int]) -> str:
    """What to do about an image of another size than a network's, as a clause."""
    return f"the network takes {size[0]} x {size[1]}: resize it, as `assay predict --resize` does"


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


def to_size(picture: Picture, size: tuple[int, int], reading: Reading) -> Picture:
    """A picture in grey, colour or float32 at a height and width: bilinear, by ``reading.fit``."""
    from PIL import Image, ImageOps

    wanted, bilinear = size[::-1], Image.Resampling.BILINEAR
    if picture.size == wanted:
        return picture
    if reading.fit == "crop":
        return ImageOps.fit(picture, wanted, bilinear)
    if reading.fit == "stretch":
        return picture.resize(wanted, bilinear)
    scale = min(wanted[0] / picture.width, wanted[1] / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    ground: Any = reading.background / 255 if picture.mode == "F" else (reading.background,) * len(picture.getbands())
    padded = Image.new(picture.mode, wanted, ground)
    padded.paste(picture.resize(inner, bilinear), ((wanted[0] - inner[0]) // 2, (wanted[1] - inner[1]) // 2))
    return padded


def _values(
    picture: Picture, size: tuple[int, int], reading: Reading, channels: int, is_deep: bool, tally: Tally
) -> npt.NDArray[Any]:
    """[height, width, channels] in the array's type and size."""
    from PIL import Image

    mode: Literal["L", "RGB"] = "L" if channels == 1 else "RGB"
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        if over.getchannel("A").getextrema() != (255, 255):
            tally.transparent += 1
            under = Image.new("RGBA", over.size, (reading.background,) * 3 + (255,))
            over = Image.alpha_composite(under, over)
        picture = over
    if picture.mode.startswith("I") or picture.mode == "F":
        tally.deep += 1
        values = np.asarray(picture, dtype=np.float32)
        if picture.mode != "F":
            values = values / np.float32(65535)
        values = np.asarray(to_size(Image.fromarray(values), size, reading))
        return np.repeat(np.clip(values, 0, 1)[..., None], channels, axis=2)
    picture = picture if picture.mode == mode else picture.convert(mode)
    values = np.asarray(to_size(picture, size, reading))
    values = values[..., None] if values.ndim == 2 else values
    return values / np.float32(255) if is_deep else values


def _reason(error: Exception, content: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    if not content:
        return "it is empty"
    if is_pointer(content):
        return "it is a Git LFS pointer: fetch the file with git lfs pull"
    if isinstance(error, UnidentifiedImageError):
        return "it is no image that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        return "it declares more pixels than any small image has"
    return " ".join(str(error).split())[:80] or type(error).__name__


def is_pointer(content: bytes) -> bool:
    """Whether a file's first bytes are those of a Git LFS pointer, which stands for a file that was not fetched."""
    return content.startswith(b"version https://git-lfs.github.com/spec/")


def _refuse_bad(
    bad: Sequence[tuple[str, str]], names: Sequence[str], reading: Reading, place: str, *, is_asked: bool
) -> None:
    if not bad or (reading.skip_bad and (is_asked or len(bad) < len(names))):
        return
    order = {name: index for index, name in enumerate(names)}
    shown = "; ".join(f"{name} ({reason})" for name, reason in sorted(bad, key=lambda one: order[one[0]])[:_SHOWN])
    rest = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    count = f"{len(bad):,} of {len(names):,} files {'is no image' if len(bad) == 1 else 'are no images'}"
    fix = "remove or replace them" if is_asked else _SKIP
    raise DataError(Problem(f"{count}: {shown}{rest}", fix, file=place))
