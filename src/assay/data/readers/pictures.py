"""Encoded images (PNG, JPEG, BMP, GIF, WebP, TIFF, PPM) decoded into one array."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import DataError, Problem
from ...numerals import counted
from ...spec import Reading
from .live import live
from .parallel import in_parallel
from .placeholders import placeholder
from .room import room
from .scaled import Box, reduce, to_size, typical_size, upright
from .unsuited import Looked, bad_files, looked_at, unsuited

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MAX_PIXELS = 1 << 26
LARGEST_UNASKED = 512  # pixels of a side: what is larger has to be asked for, no small network takes it
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
            notes.append(
                f"{counted(len(names), 'file is no image and is', 'files are no images and are')} left "
                f"out: {', '.join(names[:_SHOWN])}{rest}."
            )
        if self.greys and channels == 3:
            notes.append(
                f"{counted(self.greys, 'grey image is', 'grey images are')} kept as colour, "
                f"{self.colours:,} {'is' if self.colours == 1 else 'are'} colour."
            )
        if self.colours and channels == 1:
            notes.append(f"{counted(self.colours, 'colour image was', 'colour images were')} made grey.")
        if self.resized:
            how = "" if reading.fit == "stretch" else f"; those of other proportions are {reading.fit_description}"
            notes.append(
                f"{counted(self.resized, 'image was', 'images were')} resized to {size[0]} x {size[1]} (bilinear){how}."
            )
        if self.transparent:
            level = reading.background
            notes.append(
                f"{counted(self.transparent, 'image has', 'images have')} transparent parts, which "
                f"show grey level {level}."
            )
        if self.deep:
            kept = "they are rounded to bytes" if is_byte else "all are kept as float32 in 0 to 1"
            notes.append(f"{counted(self.deep, 'image has', 'images have')} more than 8 bits, so {kept}.")
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


@dataclass(frozen=True)
class _Target:
    """What an image becomes: height and width, channels, float32 or bytes."""

    size: tuple[int, int]
    channels: int
    is_deep: bool


@dataclass(frozen=True, eq=False)
class _Loaded:
    """One file: its picture as decoded, and what it is; or why it is none."""

    index: int
    picture: Picture | None = None
    box: Box | None = None
    size: tuple[int, int] = (0, 0)
    is_colour: bool = False
    bits: int = 8
    error: str = ""


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
    size = reading.size or expected
    target: _Target | None = None
    images: npt.NDArray[Any] | None = None
    is_good = np.zeros(len(names), dtype=bool)
    first = ""

    def work(index: int, content: bytes, opened: Picture | Exception) -> tuple[_Loaded, Any, Tally]:
        """An image, and its values where it goes with those before it."""
        if target is None and size is None and not isinstance(opened, Exception) and max(opened.size) > LARGEST_UNASKED:
            raise _too_large(contents, opened.size[::-1], names, reading, place)
        loaded, own = _load(index, names[index], content, opened, reading), Tally()
        fits = target is not None and _fits(target, loaded, reading)
        return loaded, _values(loaded, target, reading, own) if target is not None and fits else None, own

    with (
        warnings.catch_warnings(),
        live(f"reading {counted(len(names), 'image')} from {place.rsplit('/', 1)[-1]}") as tick,
    ):
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is refused below
        results = in_parallel(work, opened(contents()), is_alone=lambda: target is None)
        for done, (loaded, values, own) in enumerate(results):
            tick(done / len(names))
            index, picture = loaded.index, loaded.picture
            if picture is None:
                tally.bad.append((names[index], loaded.error))
                continue
            if target is None or images is None:
                first = names[index]
                target = _Target(
                    size or loaded.size, channels or (3 if loaded.is_colour else 1), is_deep or loaded.bits == 16
                )
                images = room(
                    (len(names), *target.size, target.channels), np.float32 if target.is_deep else np.uint8, place
                )
            is_wider = loaded.is_colour and target.channels == 1 and not reading.channels
            if is_wider or (loaded.bits == 16 and not target.is_deep):
                raise _Restart(3 if is_wider else target.channels, target.is_deep or loaded.bits == 16)
            if loaded.size != target.size and reading.size is None:
                raise _other_size(
                    contents, loaded.size, target.size, index, first, names, reading, place,
                    is_asked=expected is not None,
                )  # fmt: skip
            images[index] = _values(loaded, target, reading, own) if values is None else values
            tally.add(own)
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


def opened(contents: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, Any]]:
    """Each file with its picture, whose header alone is read, or the error that this raised."""
    from PIL import Image

    for index, content in contents:
        try:
            picture: Any = Image.open(io.BytesIO(content), formats=_FORMATS)
            if picture.width * picture.height > _MAX_PIXELS:
                raise ValueError(f"it declares {picture.width} x {picture.height} pixels")
        except Exception as error:  # decoders of damaged images raise whatever comes to them
            picture = error
        yield index, content, picture


def _load(index: int, name: str, content: bytes, picture: Picture | Exception, reading: Reading) -> _Loaded:
    if isinstance(picture, Exception):
        return _Loaded(index, error=_reason(picture, name, content))
    try:
        full = picture.size if reading.size is None else reduce(picture, reading.size)
        picture.load()
        picture, size, box = upright(picture, full)
        is_colour = _is_colour(picture)
    except Exception as error:  # as above
        return _Loaded(index, error=_reason(error, name, content))
    bits = 16 if picture.mode.startswith("I") or picture.mode == "F" else 8
    return _Loaded(index, picture, box, size, is_colour, bits)


def _fits(target: _Target, loaded: _Loaded, reading: Reading) -> bool:
    """Whether an image can be put beside those before it."""
    is_wider = loaded.is_colour and target.channels == 1 and not reading.channels
    is_finer = loaded.bits == 16 and not target.is_deep
    is_of_size = loaded.size == target.size or reading.size is not None
    return loaded.picture is not None and is_of_size and not is_wider and not is_finer


def _sizes(contents: Contents, most: int = 256) -> list[tuple[int, int]]:
    """Heights and widths of the first images, from their headers."""
    files = itertools.islice(opened(contents()), most)
    return [(picture.height, picture.width) for _, _, picture in files if not isinstance(picture, Exception)]


def _too_large(
    contents: Contents, size: tuple[int, int], names: Sequence[str], reading: Reading, place: str
) -> DataError:
    height, width = size
    proposed = typical_size(_sizes(contents) or [size])
    ratio = height * width / (proposed[0] * proposed[1])
    what = (
        f"its first image is {height} x {width}: that is {3 * height * width / 1e6:,.1f} MB each, "
        f"{3 * height * width * len(names) / 1e9:,.1f} GB for {len(names):,} in colour, and {ratio:,.0f} times the "
        f"work of {proposed[0]} x {proposed[1]} pixels for a network"
    )
    looked = _looked_at(contents, names, reading, proposed)
    return unsuited(looked, what, proposed, count=len(names), key="data.read.size", place=place)


def _other_size(
    contents: Contents,
    size: tuple[int, int],
    wanted: tuple[int, int],
    index: int,
    first: str,
    names: Sequence[str],
    reading: Reading,
    place: str,
    *,
    is_asked: bool,
) -> DataError:
    what = f"{names[index]} is {size[0]} x {size[1]}"
    if is_asked:
        return DataError(Problem(what, wanted_size(wanted), file=place))
    proposed = typical_size([*_sizes(contents), size, wanted])
    what = f"{what}, and {first} is {wanted[0]} x {wanted[1]}"
    looked = _looked_at(contents, names, reading, proposed)
    return unsuited(looked, what, proposed, count=len(names), key="", place=place)


def _looked_at(contents: Contents, names: Sequence[str], reading: Reading, size: tuple[int, int]) -> Looked:
    """What stands in all files, each decoded as small as it will be wanted."""
    small = reading.model_copy(update={"size": size})

    def load(index: int, content: bytes, picture: Any) -> _Loaded:
        return replace(_load(index, names[index], content, picture, small), picture=None)

    return looked_at(in_parallel(load, opened(contents()), is_alone=lambda: False), lambda index: names[index])


def wanted_size(size: tuple[int, int]) -> str:
    """What to do about an image of another size than a network's, as a clause."""
    return f"the network takes {size[0]} x {size[1]}: resize it, as `assay predict --resize` does"


def _is_colour(picture: Picture) -> bool:
    if picture.mode in _GREY:
        return False
    if picture.mode == "P":
        palette = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        used = palette[np.unique(np.asarray(picture)).clip(max=max(0, len(palette) - 1))] if len(palette) else palette
        return bool((used != used[:, :1]).any())
    return True


def _values(loaded: _Loaded, target: _Target, reading: Reading, tally: Tally) -> npt.NDArray[Any]:
    """[height, width, channels] in the array's type and size; counts what was done."""
    from PIL import Image

    picture, box = loaded.picture, loaded.box
    assert picture is not None
    tally.colours += loaded.is_colour
    tally.greys += not loaded.is_colour
    tally.resized += loaded.size != target.size
    mode: Literal["L", "RGB"] = "L" if target.channels == 1 else "RGB"
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        if over.getchannel("A").getextrema() != (255, 255):
            tally.transparent += 1
            under = Image.new("RGBA", over.size, (reading.background,) * 3 + (255,))
            over = Image.alpha_composite(under, over)
        picture = over
    if loaded.bits == 16:
        tally.deep += 1
        values = np.asarray(picture, dtype=np.float32)
        if picture.mode != "F":
            values = values / np.float32(65535)
        values = np.asarray(to_size(Image.fromarray(values), target.size, reading, box))
        return np.repeat(np.clip(values, 0, 1)[..., None], target.channels, axis=2)
    picture = picture if picture.mode == mode else picture.convert(mode)
    values = np.asarray(to_size(picture, target.size, reading, box))
    values = values[..., None] if values.ndim == 2 else values
    return values / np.float32(255) if target.is_deep else values


def _reason(error: Exception, name: str, content: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    if not content:
        return "it is empty"
    if (kind := placeholder(name, content)) is not None:
        return ": ".join(kind)
    if isinstance(error, UnidentifiedImageError):
        return "it is no image that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        return "it declares more pixels than any small image has"
    return " ".join(str(error).split())[:80] or type(error).__name__


def _refuse_bad(
    bad: Sequence[tuple[str, str]], names: Sequence[str], reading: Reading, place: str, *, is_asked: bool
) -> None:
    if not bad or (reading.skip_bad and (is_asked or len(bad) < len(names))):
        return
    order = {name: index for index, name in enumerate(names)}
    count = bad_files(sorted(bad, key=lambda one: order[one[0]]), len(names))
    fix = "remove or replace them" if is_asked else _SKIP
    remedy = {"read": {"skip_bad": True}} if len(bad) < len(names) and not is_asked else {}
    raise DataError(Problem(count, fix, file=place, remedy=remedy))
