"""What ``fit`` reads: arrays, generators and datasets, as images and labels with a batch size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..convert.front import Front, set_fill, shift
from ..errors import DataError, Problem

WEIGHS = "weighs each image (sample_weight), which has no word here and is left out; class_weights weighs classes."
_MOST_BYTES = 8 << 30
_KERAS_BATCH = 32
# Settings of ImageDataGenerator that change images otherwise than by the words here, and what leaves them alone.
_NO_WORD = {
    "samplewise_center": (False,), "samplewise_std_normalization": (False,), "zca_whitening": (False,),
    "channel_shift_range": (0, 0.0), "brightness_range": (None,), "preprocessing_function": (None,),
}  # fmt: skip


@dataclass
class Feed:
    """Images and labels as ``fit`` reads them.

    Args:
        images: [n, ...]; ``None`` where they lie in a folder.
        labels: [n] or [n, classes]; ``None`` where they lie in a folder or are not given.
        batch_size: Images in a step.
        front: What is done to them on the way: scaling, augmentation.
        folder: One subfolder a class.
        size: Height and width that images of the folder are read with.
        channels: 1 or 3, of the folder's images.
        subset: What share of the folder it is, and which part: ``(0.2, "training")``.
        notes: A sentence each.
    """

    images: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    batch_size: int = _KERAS_BATCH
    front: Front = field(default_factory=Front)
    folder: Path | None = None
    size: tuple[int, int] | None = None
    channels: int = 3
    subset: tuple[float, str] | None = None
    count: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def num_images(self) -> int | None:
        return len(self.images) if self.images is not None else self.count


def feed_of(x: Any, y: Any, batch_size: int | None, place: str) -> Feed:
    """What ``fit(x, y)`` reads.

    Args:
        x: Arrays, tensors, tables, a generator, a ``tf.data`` or torch dataset.
        y: Labels, where ``x`` does not bring them.
        batch_size: As given; ``None`` for Keras's own 32, or the generator's.
        place: Of the call.

    Raises:
        DataError: It cannot be looked at, has no end, or is too large.
    """
    kind = type(x).__name__
    if hasattr(x, "assay_feed"):
        feed: Feed = x.assay_feed(place)
        return feed
    if kind == "NumpyArrayIterator":
        feed = Feed(np.asarray(x.x), None if x.y is None else np.asarray(x.y), int(x.batch_size))
        if getattr(x, "sample_weight", None) is not None:
            feed.notes.append(f"{place}: flow {WEIGHS}")
        return generated(feed, x.image_data_generator, place)
    if kind == "DirectoryIterator":
        return _of_folder(x, place)
    if kind == "DataLoader":
        feed = _joined(x, x.batch_size or 1, place)
        feed.notes.append(f"{place}: the DataLoader was read once: what it draws at random is the same in every epoch.")
        return feed
    if hasattr(x, "cardinality") and hasattr(x, "as_numpy_iterator"):
        return _of_tensorflow(x, place)
    if hasattr(x, "shape") or isinstance(x, list | tuple):
        if isinstance(x, list | tuple) and x and hasattr(x[0], "shape") and len(np.shape(x[0])) > 2 and len(x) < 8:
            raise DataError(Problem(f"fit gets {len(x)} inputs", "a study's network has one image in", place))
        labels = None if y is None else as_array(y)
        return Feed(as_array(x), labels, int(batch_size or _KERAS_BATCH))
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):  # PyDataset, Sequence
        feed = _joined((x[at] for at in range(len(x))), getattr(x, "batch_size", None), place)
        feed.notes.append(f"{place}: {kind} was read once: what it draws at random is the same in every epoch.")
        return feed
    what = f"fit reads a {kind}, which gives batches without an end and cannot be looked at"
    raise DataError(Problem(what, "give arrays, ImageDataGenerator.flow, a folder or a dataset with a length", place))


def as_array(value: Any) -> NDArray[Any]:
    """An array, tensor or table as NumPy's."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.asarray(value)
    if array.dtype == object:
        array = np.stack([as_array(item) for item in array])
    return array


def generated(feed: Feed, generator: Any, place: str) -> Feed:
    """The feed with what an ``ImageDataGenerator`` does to its images."""
    front = feed.front
    scale = getattr(generator, "rescale", None)
    if scale:
        front.scale = float(scale)
    front.is_normalized = bool(
        getattr(generator, "featurewise_center", False) and getattr(generator, "featurewise_std_normalization", False)
    )
    if getattr(generator, "featurewise_center", False) != getattr(generator, "featurewise_std_normalization", False):
        feed.notes.append(f"{place}: featurewise centering and deviation come together here, and one is left out.")
    own = front.augmentation
    if generator.rotation_range:
        own["rotation"] = float(generator.rotation_range)
    if generator.shear_range:
        own["shear"] = float(generator.shear_range)
    low, high = generator.zoom_range
    reach = max(abs(1 - low), abs(high - 1))
    if reach:
        own["zoom"] = round(float(reach), 6)
        feed.notes.append(f"{place}: the generator zooms rows and columns each by its own factor; here both by one.")
        if abs((1 - low) - (high - 1)) > 1e-9:
            feed.notes.append(
                f"{place}: its zoom goes from {low:g} to {high:g}; here from {1 - reach:g} to {1 + reach:g}."
            )
    if generator.horizontal_flip or generator.vertical_flip:
        both = generator.horizontal_flip and generator.vertical_flip
        own["flip"] = "both" if both else "horizontal" if generator.horizontal_flip else "vertical"
    rows, columns = generator.height_shift_range, generator.width_shift_range
    if np.size(rows) and np.size(columns) and (np.any(rows) or np.any(columns)):
        front.augments.append(lambda height, width: shift(_pixels(rows, height), _pixels(columns, width), place))
    if own or front.augments:
        set_fill(front, str(generator.fill_mode), float(generator.cval), place)
    for name, usual in _NO_WORD.items():
        value = getattr(generator, name, usual[0])
        if value not in usual:
            shown = getattr(value, "__name__", value)
            feed.notes.append(f"{place}: the generator's {name} = {shown} has no word here and is left out.")
    feed.notes += front.notes
    front.notes = []
    return feed


def _pixels(reach: Any, side: int) -> float:
    """How far a generator shifts: a share of the side, or pixels where it is a whole number or 1 and more."""
    if np.ndim(reach):
        return float(np.max(np.abs(reach)))
    return float(reach) * side if float(reach) < 1 else float(reach)


def _of_folder(iterator: Any, place: str) -> Feed:
    size = tuple(int(side) for side in iterator.target_size)
    channels = 1 if iterator.color_mode == "grayscale" else 3
    generator = iterator.image_data_generator
    share = getattr(generator, "_validation_split", None) or 0
    subset = (float(share), str(iterator.subset)) if share and iterator.subset else None
    feed = Feed(
        None, None, int(iterator.batch_size), folder=Path(iterator.directory), size=(size[0], size[1]),
        channels=channels, subset=subset, count=int(iterator.samples), notes=list(getattr(iterator, "assay_notes", ())),
    )  # fmt: skip
    return generated(feed, generator, place)


def _of_tensorflow(dataset: Any, place: str) -> Feed:
    """A ``tf.data.Dataset`` of TensorFlow's own, read once from its beginning to its end."""
    count = int(dataset.cardinality())
    if count == -1:
        raise DataError(Problem("its tf.data pipeline repeats without an end", "leave repeat() out", place))
    feed = _joined(dataset.as_numpy_iterator(), None, place)
    note = f"{place}: the tf.data pipeline was read once: what it draws at random in map is the same in every epoch."
    feed.notes.append(note)
    return feed


def _joined(batches: Iterable[Any], batch_size: int | None, place: str) -> Feed:
    """Batches of images and labels, one after another."""
    images, labels, size, are_weighed = [], [], 0, False
    for batch in batches:
        if not isinstance(batch, list | tuple) or len(batch) < 2:
            raise DataError(Problem("fit reads batches without labels", "give images with labels", place))
        images.append(as_array(batch[0]))
        labels.append(as_array(batch[1]))
        are_weighed |= len(batch) > 2 and batch[2] is not None
        size += images[-1].nbytes
        if size > _MOST_BYTES:
            raise DataError(Problem("what fit reads is larger than 8 GB", "give a folder or a file", place))
    if not images:
        raise DataError(Problem("fit reads nothing", "give images", place))
    notes = [f"{place}: what fit reads {WEIGHS}"] if are_weighed else []
    return Feed(np.concatenate(images), np.concatenate(labels), batch_size or len(images[0]), notes=notes)
