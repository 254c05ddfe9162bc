"""What readers return: splits as they stand in files, and the finished content of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_CHUNK_BYTES = 1 << 21


@dataclass(frozen=True, eq=False)
class Part:
    """Images of one split with their labels as they stand in the files.

    Args:
        images: uint8 or float32 [n, height, width, channels]; float32 lies in 0 to 1.
        labels: int64 or texts [n]; ``None`` where there are none.
        place: The file that they come from.
        groups: Equal for images that belong together [n]; ``None`` where no groups are given.
        validation: bool [n], which training images are the source's own validation part; ``None`` where it has none.
        names: What each image's file is called [n]; ``None`` where images are no files.
    """

    images: npt.NDArray[Any]
    labels: npt.NDArray[Any] | None
    place: str
    groups: npt.NDArray[Any] | None = None
    validation: npt.NDArray[np.bool_] | None = None
    names: tuple[str, ...] | None = None


_POOLED = "count as training images, and each seed draws its own validation images from all of them"


def is_validation_note(note: str) -> bool:
    """Whether a note is one of ``validation_note``."""
    return _POOLED in note


def validation_note(part: str) -> str:
    """What becomes of a source's own validation part, as a sentence.

    Args:
        part: Its name, a plural or a name such as ``val``.
    """
    return f'{part} {_POOLED}; validation = "given" keeps them apart.'


@dataclass(frozen=True, eq=False)
class RawSplits:
    """A source's splits as read, before labels are numbered and a test split is drawn.

    Args:
        training: The images to learn from.
        test: The source's own test split, if it has one.
        classes: Class names in the order of their labels, where the source says them.
        notes: What the reader inferred or left out, a sentence each.
        watched: Files and folders that were read; when one of them changes, the source is read again.
    """

    training: Part
    test: Part | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rows:
    """Chosen rows of an array, without a copy of them.

    Args:
        values: [n, ...].
        chosen: Indices of rows in their order; all of them if ``None``.
    """

    values: npt.NDArray[Any]
    chosen: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.chosen is None else len(self.chosen)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.values.shape[1:])

    def chunks(self) -> Iterator[npt.NDArray[Any]]:
        """The rows in their order, contiguous, some megabytes at a time."""
        step = max(1, _CHUNK_BYTES // max(1, self.values[:1].nbytes))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            yield np.ascontiguousarray(self.values[part] if self.chosen is None else self.values[self.chosen[part]])


@dataclass(frozen=True, eq=False)
class Content:
    """A data set's content as it is written to the cache: splits drawn, labels numbered.

    Args:
        training: uint8 or float32 [n, height, width, channels] and int64 [n].
        test: The same for the test split; its labels are ``None`` where they are not known.
        classes: Class names; a label is an index into them.
        notes: What the reader inferred or left out, a sentence each.
        test_split_note: Who drew the test split.
        groups: int64 [n], numbered as they first come among the training images; ``None`` where there are none.
        validation: bool [n], the source's own validation part; ``None`` where a study does not ask for it. It is part
            of the content, so that the content says which images a run learned from.
        names: What the files of training and of test images are called, where they are files: no part of the content.
    """

    training: tuple[Rows, Rows]
    test: tuple[Rows, Rows | None] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    test_split_note: str
    groups: Rows | None = None
    validation: Rows | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def arrays(self) -> dict[str, Rows]:
        """The arrays to write, by file name."""
        named = {"train-images.npy": self.training[0], "train-labels.npy": self.training[1]}
        if self.groups is not None:
            named["train-groups.npy"] = self.groups
        if self.validation is not None:
            named["train-validation.npy"] = self.validation
        if self.test is not None:
            named["test-images.npy"] = self.test[0]
            if self.test[1] is not None:
                named["test-labels.npy"] = self.test[1]
        return named

    def sha256(self) -> str:
        """SHA-256 over shapes, types, values and class names: the same for the same data in any file format."""
        import hashlib
        import json

        digests = {}
        for name, rows in self.arrays().items():
            digest = hashlib.sha256(f"{rows.values.dtype.str} {rows.shape}".encode())
            for chunk in rows.chunks():
                digest.update(chunk.data.cast("B"))
            digests[name] = digest.hexdigest()
        return hashlib.sha256(json.dumps([digests, self.classes], sort_keys=True).encode()).hexdigest()
