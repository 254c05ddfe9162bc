"""Types of a data set's parts. Training and test data have different types, so that they cannot be confused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Images = npt.NDArray[np.uint8]  # or float32 in 0 to 1, where bytes would lose what the source holds
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DatasetInfo:
    """A data set's name, shapes, classes, counts and sources, known without reading its images.

    Args:
        name: Its name in the registry, as study files write it.
        title: Its name as people write it.
        height: Pixels.
        width: Pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        classes: Class names; a label is an index into them.
        num_training: Training images, validation included.
        num_test: Test images.
        content: SHA-256 that identifies the decoded content, as 64 hexadecimal digits.
        licence: Licence of the images.
        citation: BibTeX entry.
        sources: Where the files come from.
        test_split_note: Who drew the test split, and what a score on it does and does not say.
        is_test_labelled: Test images have labels, so that something can be scored on them.
        notes: What the reader inferred or left out, a sentence each.
        dtype: ``uint8`` (0 to 255), or ``float32`` (0 to 1) where the source is finer than bytes.
        num_validation: How many training images are the source's own validation part; 0 where it is not kept apart.
    """

    name: str
    title: str
    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    num_training: int
    num_test: int
    content: str
    licence: str
    citation: str
    sources: tuple[str, ...]
    test_split_note: str
    is_test_labelled: bool = True
    notes: tuple[str, ...] = ()
    dtype: str = "uint8"
    num_validation: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: height, width, channels."""
        return (self.height, self.width, self.channels)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def record(self) -> dict[str, Any]:
        """What a study remembers about its data set, as JSON values."""
        values = {
            "name": self.name,
            "title": self.title,
            "content": self.content,
            "shape": list(self.shape),
            "classes": list(self.classes),
            "num_training": self.num_training,
            "num_test": self.num_test,
            "dtype": self.dtype,
        }
        return {**values, "num_validation": self.num_validation} if self.num_validation else values


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training images, with the validation images among them.

    Args:
        images: uint8 [n, height, width, channels], 0 to 255, or float32 in 0 to 1; a read-only memory map where it
            comes from a file.
        labels: int64 [n], indices into the class names.
        groups: int64 [n], equal for images that belong together; ``None`` where no groups are given.
        validation: bool [n], which images are the source's own validation part; ``None`` where that is not kept apart.

    Raises:
        DataError: The arrays have another type or shape, or differ in length.
    """

    images: Images
    labels: Labels
    groups: Labels | None = None
    validation: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check(self.images, self.labels)
        if self.groups is not None and (self.groups.dtype != np.int64 or self.groups.shape != self.labels.shape):
            raise DataError(f"groups are {self.groups.dtype} {self.groups.shape}, expected int64 [{len(self.labels)}]")
        part = self.validation
        if part is not None and (part.dtype != np.bool_ or part.shape != self.labels.shape):
            raise DataError(f"validation is {part.dtype} {part.shape}, expected bool [{len(self.labels)}]")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class TestData:
    """The test images: scored once, when a study is revealed, or returned by ``open_published``.

    Args:
        images: uint8 [n, height, width, channels], 0 to 255, or float32 in 0 to 1; a read-only memory map where it
            comes from a file.
        labels: int64 [n], indices into the class names.

    Raises:
        DataError: The arrays have another type or shape, or differ in length.
    """

    __test__: ClassVar[bool] = False  # pytest takes a class called Test... for a test case

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        _check(self.images, self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def images_sha256(self) -> str:
        """SHA-256 of the images whatever their order and their labels: a copy of a test split has the same."""
        digest = hashlib.sha256(repr((self.images.shape, self.images.dtype.str)).encode())
        for image in sorted(hashlib.sha256(image.tobytes()).digest() for image in self.images):
            digest.update(image)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class SplitIndices:
    """A division of the training data: sorted, disjoint indices, which cover it unless training keeps a few per class.

    Args:
        training: int64 [n], images to learn from.
        validation: int64 [m], images to choose by.
    """

    training: Labels
    validation: Labels


def _check(images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    if images.dtype not in (np.uint8, np.float32) or images.ndim != 4:
        raise DataError(f"images are {images.dtype} {images.shape}, expected uint8 [n, height, width, channels]")
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise DataError(f"labels are {labels.dtype} {labels.shape}, expected int64 [{len(images)}]")
