"""The images that a run is explained on: validation images, or the test images once they have been revealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.scores import Split
from ...disk import disk_errors
from ...errors import DataError, Problem, SpecError
from ...explain.places import maps_on
from ..model import Model
from ..recorded import split_of_run

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 500


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and the images that it did not train on.

    Args:
        model: The model.
        split: Which images these are.
        images: As stored [n, height, width, channels].
        labels: Their classes [n].
        places: Their places in the training data, or in the test data [n].
    """

    model: Model
    split: Split
    images: NDArray[Any]
    labels: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label."""
        return self.model.classes

    @cached_property
    def files(self) -> tuple[str, ...] | None:
        """What the files of training images are called, by their places; ``None`` where they are no files, and for the
        test split."""
        return self.model.dataset.names_of("train") if self.split == "validation" else None

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The classes' probabilities [n, classes]."""
        return self.model.probabilities(self.images)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image [n]."""
        classes: NDArray[np.int64] = self.probabilities.argmax(1).astype(np.int64)
        return classes

    @property
    def accuracy(self) -> float:
        """The share of images that is classified correctly."""
        return float((self.predicted == self.labels).mean())

    def scaled(self, images: NDArray[Any]) -> Tensor:
        """Stored images as the network sees them, float32 [n, channels, height, width]."""
        return self.model.predictor.scaling.apply(images, np.arange(len(images)))

    def batches(self, count: int | None = None) -> Iterator[Tensor]:
        """The first so many images, or all, as the network sees them."""
        total = len(self.images) if count is None else min(count, len(self.images))
        for start in range(0, total, _BATCH):
            yield self.scaled(self.images[start : min(start + _BATCH, total)])

    def extremes(self) -> tuple[Tensor, Tensor]:
        """A black and a white pixel as the network sees them, float32 [channels] each."""
        kind = np.dtype(self.model.study.data["dtype"])
        both = np.zeros((2, 1, 1, self.model.shape[2]), kind)
        both[1] = 255 if kind == np.uint8 else 1
        low, high = self.scaled(both)
        return low[:, 0, 0], high[:, 0, 0]

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width of what the network sees of an image."""
        height, width, _ = self.model.summary.input_shape
        return height, width

    def on_images(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps of what the network sees [n, height, width] over the images as they are stored."""
        return maps_on(maps, self.model.shape[:2])


def subject_of(model: Model, split: Split) -> Subject:
    """The model with its validation images, or with the test images.

    In a study whose validation images are the test images, as published, both are the same.

    Raises:
        SpecError: The test split is sealed, or the run has no validation images.
        DataError: The data are gone, or have changed.
    """
    record, run = model.study, model.run
    if split == "test" and run.test_accuracy is None and not record.is_leaky:
        what = f'the test split of study "{record.name}" is sealed for {run.arm}, {run.label}'
        fix = "explain it on validation images, or score it first with `assay reveal`"
        raise SpecError(Problem(what, fix, "split"))
    if split == "test" or record.is_leaky:
        test = model.dataset.test()
        return Subject(model, split, test.images, test.labels, np.arange(len(test)))
    data = model.dataset.training()
    chosen = split_of_run(record, run, data).validation
    if not len(chosen):
        fix = "name a run of the study that has some, or explain it on the test images: --split test"
        raise SpecError(Problem(f"{run.arm}, {run.label}, has no validation images: it trained on all", fix))
    return Subject(model, split, data.images[chosen], data.labels[chosen], chosen)


@dataclass(frozen=True, eq=False)
class Shown:
    """One image that was asked for.

    Args:
        image: As stored [height, width, channels].
        label: Its class, where it is known.
        name: What it is called in titles.
        is_trained: Whether the network trained on it.
    """

    image: NDArray[Any]
    label: int | None
    name: str
    is_trained: bool = False


def image_of(subject: Subject, image: int | str | Path | NDArray[Any]) -> Shown:
    """An image by its place in the training (or test) data, from a file, or as an array; read as training read its own.

    Raises:
        SpecError: There is no image at that place.
        DataError: The file is no image, or the image has another size than the network's and the study gives none.
    """
    if isinstance(image, str) and image.lstrip("-").isdigit():
        image = int(image)
    if isinstance(image, int | np.integer):
        return _stored(subject, int(image))
    if isinstance(image, np.ndarray):
        return Shown(subject.model.input_reader().array(image[None], "the array")[0], None, "array")
    path = Path(image)
    if not path.is_file():
        fix = "give the number of an image, or an image file"
        raise DataError(Problem(f'"{image}" is neither a number nor a file', fix, "image"))
    with disk_errors(path, "read"):
        content = path.read_bytes()
    return Shown(subject.model.input_reader().picture(content, path.name), None, path.name)


def _stored(subject: Subject, index: int) -> Shown:
    data = subject.model.dataset.test() if subject.split == "test" else subject.model.dataset.training()
    if not 0 <= index < len(data):
        what = f"image {index:,} is not there: the {_named(subject)} has {len(data):,} images"
        raise SpecError(Problem(what, f"give 0 to {len(data) - 1:,}", "image"))
    is_trained = subject.split == "validation" and index not in subject.places
    return Shown(data.images[index], int(data.labels[index]), f"#{index}", is_trained)


def _named(subject: Subject) -> str:
    return "test split" if subject.split == "test" else "training data"
