"""Arrays and torch datasets as a study's data: written to the cache, identified by their content."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Problem, SpecError
from ..spec import Data, Last
from ..spec.data import Drawn
from .prepare import keep
from .readers.arrays import groups_of, joined, part_of
from .readers.content import Part, RawSplits
from .readers.limits import refuse_size
from .sources import content_of

Pair = tuple[npt.ArrayLike, npt.ArrayLike]
MOST_IMAGES = 1 << 24  # of a generator; a longer one may have no end


def arrays(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    test: Pair | float | int | str | Last | None = None,
    classes: Sequence[str] | int | None = None,
    groups: npt.ArrayLike | None = None,
    validation: Pair | None = None,
    name: str = "arrays",
) -> Data:
    """Arrays as the data of a study: ``assay.load("study.toml", data=assay.arrays(images, labels, test=0.2))``.

    The arrays are written to the cache under their content's hash, so a later process finds them too.

    Args:
        images: Numbers [n, height, width], with channels last or first, or [n, pixels]; 0 to 255, 0 to 1 or 16-bit.
        labels: Whole numbers or texts [n], or one-hot [n, classes].
        test: Images and labels of a test split; a share or a count that is drawn from each class and sealed, or the
            last images (``"last 20%"``, ``"last 2000"``); or none.
        classes: Class names in the order of their labels, or their number.
        groups: Whole numbers or texts [n], equal for images that belong together: no split divides a group.
        validation: Images and labels that a study with ``validation = "given"`` is validated on; with any other they
            are training images. Their groups stand behind those of ``images``.
        name: What to call the data.

    Raises:
        DataError: Shapes, types or values do not go together.
        SpecError: The share cannot be drawn.
        DiskFull: There is no space left for the copy.
    """
    training, notes = part_of(np.asarray(images), np.asarray(labels), name)
    test_size = None if test is None or isinstance(test, tuple | list) else _drawn(test)
    test_part, test_notes = _part(test, f"{name}, test") if isinstance(test, tuple | list) else (None, ())
    if validation is not None:
        part, validation_notes = _part(validation, f"{name}, validation")
        training, notes = joined(training, part), (*notes, *validation_notes)
    if groups is not None:
        training = replace(training, groups=groups_of(groups, len(training.images), name))
    class_names = classes if classes is None or isinstance(classes, int) else tuple(map(str, classes))
    splits = RawSplits(training, test_part, None, tuple(dict.fromkeys((*notes, *test_notes))))
    content = content_of(splits, test=test_size, classes=class_names, place=name, is_given=True)
    return Data(name=name, content=keep(content, name, name).info.content)


def torch_dataset(
    training: Any,
    *,
    test: Any = None,
    classes: Sequence[str] | int | None = None,
    groups: npt.ArrayLike | None = None,
    validation: Any = None,
    name: str | None = None,
) -> Data:
    """A torch Dataset, a sequence or a generator of (image, label) pairs as the data of a study.

    Each item is asked for once. What has no length, such as a generator or an ``IterableDataset``, is read to its end;
    one that gives more images than memory holds, or 16 million, is refused.

    Images are PIL images, arrays [height, width(, channels)] or tensors [channels, height, width], all of one size:
    numbers 0 to 255 or 0 to 1, so leave out transforms that normalize or draw at random.

    Args:
        training: Has ``len`` and integer indices, as ``torch.utils.data.Dataset`` has, or yields pairs.
        test: Another one for the test split; a share, a count or the last images, as in ``arrays``; or none.
        classes: Class names; those of ``training.classes`` unless given.
        groups: As in ``arrays``.
        validation: Another one for a validation part of its own, as in ``arrays``.
        name: What to call the data; the name of the dataset's type unless given.

    Raises:
        DataError, SpecError, DiskFull: As in ``arrays``.
    """
    title = name or type(training).__name__
    class_names = classes if classes is not None else getattr(training, "classes", None)
    images, labels = _items(training, title)
    test_arrays = test if test is None or isinstance(test, float | int | str | Last) else _items(test, f"{title}, test")
    part = None if validation is None else _items(validation, f"{title}, validation")
    return arrays(images, labels, test=test_arrays, classes=class_names, groups=groups, validation=part, name=title)


def _drawn(test: float | int | str | Last) -> Drawn:
    try:
        size = Data(path="-", test=test).test
    except SpecError as error:
        raise SpecError(replace(problem, key="test") for problem in error.problems) from None
    if size is None or isinstance(size, str):
        raise SpecError(Problem(f"got {test!r}", 'give (images, labels), a share, a count or "last 2000"', "test"))
    return size


def _part(pair: Pair, place: str) -> tuple[Part, tuple[str, ...]]:
    return part_of(np.asarray(pair[0]), np.asarray(pair[1]), place)


def _items(dataset: Any, place: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The images and labels of a dataset, each asked for once; memory is taken as they come."""
    images: npt.NDArray[Any] | None = None
    labels: list[Any] = []
    for count, item in enumerate(_each(dataset, place)):
        if not isinstance(item, tuple | list) or len(item) != 2:
            what = f"item {count + 1} is {type(item).__name__}, and a pair of an image and a label is expected"
            raise DataError(Problem(what, "give (image, label)", file=place))
        image, label = item
        is_tensor = hasattr(image, "detach")
        value = np.asarray(image.detach().cpu() if is_tensor else image)
        if is_tensor and value.ndim == 3:
            value = value.transpose(1, 2, 0)
        if value.ndim > 3:
            what = f"item {count + 1} holds {' x '.join(map(str, value.shape))} values, more than an image has"
            raise DataError(Problem(what, "give single images, so a dataset instead of its loader", file=place))
        if images is None:
            images = np.empty((_reserved(dataset), *value.shape), value.dtype)
        if value.shape != images.shape[1:] or value.dtype != images.dtype:
            first = f"{images.dtype} {images.shape[1:]}"
            what = f"image {count + 1} is {value.dtype} {value.shape}, and the first is {first}"
            raise DataError(Problem(what, "make them alike", file=place))
        if count == len(images):
            if count >= MOST_IMAGES:
                what = f"it gives more than {MOST_IMAGES:,} images, and may have no end"
                raise DataError(Problem(what, "give fewer, such as itertools.islice(..., 50_000)", file=place))
            refuse_size(3 * images.nbytes, place)  # while it grows, twice and once
            images = np.concatenate([images, np.empty_like(images)])
        images[count] = value
        labels.append(label.item() if hasattr(label, "item") else label)
    if images is None:
        raise DataError(Problem("there are no images", "give some", file=place))
    return images[: len(labels)], np.asarray(labels)


def _each(dataset: Any, place: str) -> Iterator[Any]:
    """Every item once: by its index where a dataset has a length, else as it is iterated."""
    if _is_indexed(dataset):
        return (dataset[index] for index in range(len(dataset)))
    try:
        return iter(dataset)
    except TypeError:
        what = f"it is {type(dataset).__name__}"
        raise DataError(Problem(what, "give a dataset, or anything that yields (image, label)", file=place)) from None


def _reserved(dataset: Any) -> int:
    """How many images to reserve memory for: as many as there are, where that is known."""
    return max(1, len(dataset)) if _is_indexed(dataset) else 64


def _is_indexed(dataset: Any) -> bool:
    data = sys.modules.get("torch.utils.data")
    is_stream = data is not None and isinstance(dataset, data.IterableDataset)
    return hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__") and not is_stream
