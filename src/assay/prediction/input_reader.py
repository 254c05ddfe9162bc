"""From a file, an upload or an array to the arrays that a study's networks take, as training's own reader made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.readers.pictures import Tally, decode, wanted_size
from ..data.readers.pixels import images_of, laid_out
from ..data.readers.scale import Scale, in_type
from ..data.readers.scaled import to_size
from ..errors import DataError, Problem
from ..spec import Groups, Reading
from ..store import StudyRecord
from .sources import Extra, Numbers, Pictures, sources_of

_NO_READING = Reading()
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow turns colour grey


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of a file.

    Args:
        images: uint8 or float32 [n, height, width, channels], as the networks take them.
        names: What each is called; ``None`` where they are counted.
    """

    images: npt.NDArray[Any]
    names: tuple[str, ...] | None


class InputReader:
    """Reads pictures, arrays and files with a study's own ``read`` settings, into its networks' shape and type.

    Args:
        shape: Height, width and channels that the networks take.
        dtype: Of the stored values that they learned from: ``uint8`` (0 to 255) or ``float32`` (0 to 1).
        reading: The study's ``read`` settings.
        groups: The study's column of what belongs together, which is no pixel.
        resize: Whether images of another size are brought to the networks', also where the study gives no ``size``;
            otherwise they are refused then.
        skip_bad: Leave out files that are no images, as ``skipped`` names them; otherwise the study's ``read`` decides.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: str,
        reading: Reading = _NO_READING,
        *,
        groups: Groups | None = None,
        resize: bool = False,
        skip_bad: bool = False,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._given = reading.model_copy(update={"skip_bad": True}) if skip_bad else reading
        self._groups = groups
        self.resizes = resize or self._given.size is not None
        size = shape[:2] if self.resizes else None
        self._reading = self._given.model_copy(update={"size": size, "channels": shape[2]})
        self._tally = Tally()
        self._notes: list[str] = []

    @classmethod
    def of(cls, study: StudyRecord, *, resize: bool = False, skip_bad: bool = False) -> InputReader:
        """The reader of a stored study."""
        data = study.design.data
        height, width, channels = study.data["shape"]
        return cls(
            (height, width, channels),
            study.data["dtype"],
            data.reading,
            groups=data.groups,
            resize=resize,
            skip_bad=skip_bad,
        )

    @property
    def description(self) -> str:
        """How a picture becomes an input, as sentences."""
        return self._given.description(*self.shape)

    @property
    def reading(self) -> Reading:
        """The settings by which pictures are read: the study's, with size and channels of the networks."""
        return self._reading.model_copy(update={"size": self.shape[:2]})

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that ``files`` has left out so far because they are no images, and why."""
        return tuple(self._tally.bad)

    @property
    def notes(self) -> tuple[str, ...]:
        """What ``files`` has done so far, a sentence each."""
        done = self._tally.notes(self.shape[:2], self.shape[2], self._reading, is_byte=self.dtype == "uint8")
        return (*self._notes, *done)

    def picture(self, content: bytes, name: str) -> npt.NDArray[Any]:
        """An encoded picture (PNG, JPEG, ...) as an input [height, width, channels].

        Raises:
            DataError: It is no picture, or has another size and may not be resized.
        """
        reading = self._reading.model_copy(update={"skip_bad": False})
        images, _, _ = decode(lambda: [(0, content)], [name], reading, name, expected=self.shape[:2])
        return in_type(images[0], self.dtype)

    def array(self, images: npt.ArrayLike, place: str = "images") -> npt.NDArray[Any]:
        """An array of images, or one image, as inputs [n, height, width, channels].

        Args:
            images: Numbers [n, height, width], with channels last or first, or [n, values]; 0 to 255, 0 to 1 or 16-bit.
            place: What to call it in messages.

        Raises:
            DataError: Its shape, type or values are not those of images, or it may not be resized.
        """
        values = np.asarray(images)
        if values.shape in (self.shape, self.shape[:2]):
            values = values[None]
        if values.ndim > 1 and not len(values):
            return np.empty((0, *self.shape), self.dtype)
        kept, _ = images_of(values, place, self.shape)
        return self._fitted(kept, place, "image", 1)

    def files(self, paths: Sequence[Path], *, extra: Extra | None = None) -> Iterator[Batch]:
        """The images of files, folders and archives in their order, a few megabytes at a time.

        Args:
            paths: As ``sources.sources_of`` takes them.
            extra: Which column of a table without a header is no pixel, if one is not.

        Raises:
            DataError: A file cannot be read, holds no images, or images of another size that may not be resized.
        """
        for path in paths:
            for source in sources_of(path, self.shape, self._given, self._groups, extra):
                if source.note:
                    self._notes.append(source.note)
                yield from self._pictures(source) if isinstance(source, Pictures) else self._numbers(source)

    def _pictures(self, source: Pictures) -> Iterator[Batch]:
        for names, contents in source.batches():
            expected = self.shape[:2]
            images, kept, _ = decode(contents, names, self._reading, source.place, tally=self._tally, expected=expected)
            own = tuple(names[index] for index in kept) if source.is_named else None
            if len(images):
                yield Batch(in_type(images, self.dtype), own)

    def _numbers(self, source: Numbers) -> Iterator[Batch]:
        scale = Scale(source.place, source.noun)
        chunks = source.chunks()
        if (first := next(chunks, None)) is None:
            return
        scale.see(first[0], 1)
        if first[0].dtype == np.uint8 and scale.kind == "bytes":
            chunks = chain([first], chunks)
        else:  # what such numbers stand for is known when all have been seen
            row = 1 + len(first[0])
            for values, _ in chunks:
                scale.see(values, row)
                row += len(values)
            chunks = source.chunks()
        row = 1
        for values, names in chunks:
            images, _ = laid_out(values, source.place, self.shape)
            yield Batch(self._fitted(scale.apply(images, row), source.place, source.noun, row), names)
            row += len(values)

    def _fitted(self, images: npt.NDArray[Any], place: str, noun: str, row: int) -> npt.NDArray[Any]:
        """Images that were numbers in the networks' channels, size and type, which come in this order for pictures,
        too."""
        count, height, width, channels = images.shape
        if channels != self.shape[2]:
            images = _recoloured(images, self.shape[2])
            self._tally.colours += count * (channels == 3)
            self._tally.greys += count * (channels == 1)
        if (height, width) != self.shape[:2]:
            if not self.resizes:
                raise DataError(
                    Problem(f"{noun} {row:,} is {height} x {width}", wanted_size(self.shape[:2]), file=place)
                )
            images = np.stack([_to_size(image, self.reading) for image in images])
            self._tally.resized += count
        return np.ascontiguousarray(in_type(images, self.dtype))


def _to_size(image: npt.NDArray[Any], reading: Reading) -> npt.NDArray[Any]:
    from PIL import Image

    def resized(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        assert reading.size is not None
        return np.asarray(to_size(Image.fromarray(np.ascontiguousarray(values)), reading.size, reading))

    return np.stack([resized(image[..., k]) for k in range(image.shape[2])], axis=2)


def _recoloured(images: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    if images.dtype == np.uint8:  # in Pillow's whole numbers, as pictures are
        from PIL import Image

        return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., None]
    grey: npt.NDArray[Any] = images @ np.array(_LUMA, np.float32)
    return grey[..., None]
