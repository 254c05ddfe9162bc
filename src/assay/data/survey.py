"""Checks a data set before training: class counts, duplicates, blank images, conflicting labels."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..disk import write
from ..errors import AssayError
from ..numerals import counted
from .copies import Copies, chunks, copies_of
from .gallery import class_counts
from .prepare import Dataset
from .suspects import Suspect, Suspects, find_suspects

_BALANCED = 1.5  # the largest class's images over the smallest's, below which nothing has to be done about it
_STRONG = 10
_FILE = "survey.json"
_VERSION = 1


@dataclass(frozen=True)
class Survey:
    """The results of a data set's checks. Test images are compared with others and counted, never shown.

    Args:
        counts: Training images of each class.
        minimum, maximum: Of the stored values.
        mean, deviation: Of the training images for each channel, on a scale from 0 to 1.
        exact: Copies that are the same byte for byte.
        near: Copies that are nearly the same: their perceptual hashes share one of four bands and differ in at most
            ``MOST_BITS`` of 64 bits, and their pixels correlate by ``LEAST_CORRELATION`` or more; exact ones left out.
        blank: Training images of a single value, and test images.
        imbalance: The largest class's images over the smallest's.
        suspects: Training images whose nearest neighbours have another label.
    """

    counts: tuple[int, ...]
    minimum: float
    maximum: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    exact: Copies
    near: Copies
    blank: tuple[int, int]
    imbalance: float
    suspects: Suspects = field(default_factory=Suspects)

    @property
    def balance(self) -> str:
        """How the classes compare in size, as a sentence."""
        most, least = max(self.counts), min(self.counts)
        if least == 0:
            count = self.counts.count(0)
            return (
                f"Incomplete: {counted(count, 'class', 'classes')} {'has' if count == 1 else 'have'} no training image."
            )
        if most == least:
            return f"Balanced: each class has {most:,} training images."
        if most < _BALANCED * least:
            return f"Balanced: {least:,} to {most:,} training images a class."
        word = "Strongly imbalanced" if most >= _STRONG * least else "Imbalanced"
        return f"{word}: {least:,} to {most:,} training images a class, {most / least:.3g} to 1."

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user, a sentence each."""
        notes = []
        if self.exact.across:
            what = counted(self.exact.across, "test image is a training image", "test images are training images")
            notes.append(f"{what} too: a score on them says little.")
        if self.near.across:
            what = counted(self.near.across, "test image nearly equals", "test images nearly equal")
            notes.append(f"{what} a training image: are they copies?")
        if self.exact.conflicting:
            what = counted(self.exact.conflicting, "training image is", "training images are")
            notes.append(f"{what} there again with another label.")
        if sum(self.blank):
            notes.append(f"{self.blank[0]:,} training and {self.blank[1]:,} test images are blank: one value all over.")
        if min(self.counts) == 0:
            count = self.counts.count(0)
            notes.append(f"{counted(count, 'class', 'classes')} {'has' if count == 1 else 'have'} no training image.")
        elif self.imbalance >= _STRONG:
            notes.append(
                f"The largest class has {self.imbalance:,.0f} times the images of the smallest: "
                "accuracy alone hides how the small classes fare."
            )
        if self.suspects.images:
            count = len(self.suspects.images)
            what = counted(count, "training image looks", "training images look")
            notes.append(f"{what} like another class than the label says.")
        return tuple(notes)


def survey(dataset: Dataset) -> Survey:
    """Checks a data set for copies, blank images, conflicting and suspicious labels, and imbalance.

    The result is kept beside the memory maps, so that a data set is checked once.

    Raises:
        DataError: The memory maps are damaged or gone.
    """
    path = dataset.folder / _FILE
    try:
        kept = json.loads(path.read_bytes())
        if kept.pop("version") == _VERSION:
            return _restored(kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    results = _survey(dataset)
    with contextlib.suppress(AssayError):  # a cache that cannot be written costs time alone
        write(path, json.dumps({"version": _VERSION, **asdict(results)}).encode())
    return results


def _restored(values: dict[str, Any]) -> Survey:
    """A survey from its JSON values."""
    exact, near = _copies(values.pop("exact")), _copies(values.pop("near"))
    suspects = values.pop("suspects")
    images = tuple(Suspect(**image) for image in suspects["images"])
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Survey(
        **lists, exact=exact, near=near, suspects=Suspects(images, tuple(suspects["judged"]), suspects["agreement"])
    )


def _copies(values: dict[str, Any]) -> Copies:
    return Copies(**{**values, "pairs": tuple((a, int(b), c, int(d)) for a, b, c, d in values["pairs"])})


def _survey(dataset: Dataset) -> Survey:
    training = dataset.training()
    images = {"train": training.images}
    if dataset.info.num_test:
        images["test"] = dataset.test_images()
    counts = class_counts(training.labels, dataset.info.num_classes)
    exact, near = copies_of(images, training.labels)
    smallest = int(counts.min())
    return Survey(
        counts=tuple(counts.tolist()),
        minimum=float(min(chunk.min() for chunk in chunks(training.images))),
        maximum=float(max(chunk.max() for chunk in chunks(training.images))),
        **_moments(training.images),
        exact=exact,
        near=near,
        blank=(_blank(images["train"]), _blank(images["test"]) if "test" in images else 0),
        imbalance=float(counts.max() / smallest) if smallest else float("inf"),
        suspects=find_suspects(training.images, np.asarray(training.labels), dataset.info.num_classes),
    )


def _moments(images: npt.NDArray[Any]) -> dict[str, tuple[float, ...]]:
    scale = 1.0 if images.dtype == np.float32 else 255.0
    total = np.zeros(images.shape[3])
    squares = np.zeros(images.shape[3])
    for chunk in chunks(images):
        values = chunk.reshape(-1, images.shape[3]).astype(np.float64) / scale
        total += values.sum(0)
        squares += (values**2).sum(0)
    count = images.size // images.shape[3]
    mean = total / count
    deviation = np.sqrt(np.maximum(0, squares / count - mean**2))
    return {"mean": tuple(mean.tolist()), "deviation": tuple(deviation.tolist())}


def _blank(images: npt.NDArray[Any]) -> int:
    flat = (chunk.reshape(len(chunk), -1) for chunk in chunks(images))
    return int(sum((values == values[:, :1]).all(axis=1).sum() for values in flat))
