"""Which images a run was validated on, and which of them it gets right, as bits."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["training", "test"]


@dataclass(frozen=True)
class ImageHits:
    """Which of its validation images a run's kept network gets right.

    Args:
        part: The part of the data set that the images are counted in: ``training``, or ``test`` where a published
            protocol validates on the test images.
        images: Which images: one bit for each up to the last of them, the first in the highest bit
            (``numpy.packbits``).
        hits: One bit for each of these, in ascending order, likewise.
    """

    part: Part
    images: bytes
    hits: bytes

    @classmethod
    def of(cls, part: Part, indices: NDArray[np.int64], is_hit: NDArray[np.bool_]) -> ImageHits:
        """From ascending indices [images] and whether each of these is classified correctly [images].

        Raises:
            ValueError: There is no image, indices do not ascend, or the two differ in length.
        """
        if len(indices) == 0 or len(indices) != len(is_hit) or indices[0] < 0 or np.any(np.diff(indices) <= 0):
            raise ValueError("hits need one or more images, by ascending index, and a bit for each")
        mask = np.zeros(int(indices[-1]) + 1, dtype=bool)
        mask[indices] = True
        return cls(part, np.packbits(mask).tobytes(), np.packbits(is_hit).tobytes())

    def to_json(self) -> dict[str, str]:
        """The same as plain values, for a message."""
        return {"part": self.part, "images": _text(self.images), "hits": _text(self.hits)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ImageHits:
        return cls(values["part"], base64.b64decode(values["images"]), base64.b64decode(values["hits"]))

    @property
    def image_set(self) -> str:
        """The image set's id: equal for equal images of one part, and never that of another part's."""
        return f"{self.part}:{hashlib.sha256(self.images).hexdigest()[:32]}"

    @property
    def num_images(self) -> int:
        return int.from_bytes(self.images, "big").bit_count()

    @property
    def accuracy(self) -> float:
        """The share of the images that is classified correctly."""
        return int.from_bytes(self.hits, "big").bit_count() / self.num_images


def _text(bits: bytes) -> str:
    return base64.b64encode(bits).decode("ascii")


class ImageSets(Mapping[str, NDArray[np.int64]]):
    """Image sets by id, as ascending indices into the data set's training (or test) images. Each is decoded when it is
    first asked for."""

    def __init__(self, packed: Mapping[str, bytes] | None = None) -> None:
        self._packed = dict(packed or {})
        self._decoded: dict[str, NDArray[np.int64]] = {}

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        if name not in self._decoded:
            bits = np.unpackbits(np.frombuffer(self._packed[name], dtype=np.uint8))
            indices = np.flatnonzero(bits).astype(np.int64)
            indices.setflags(write=False)
            self._decoded[name] = indices
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def joined(self, other: ImageSets) -> ImageSets:
        """These sets and the other ones."""
        return ImageSets({**self._packed, **other._packed})

    def __eq__(self, other: object) -> bool:
        return self._packed == other._packed if isinstance(other, ImageSets) else NotImplemented
