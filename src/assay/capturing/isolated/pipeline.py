"""``tf.data.Dataset`` on NumPy arrays, as far as files that train image classifiers need it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...convert.front import Front
from ...errors import DataError, Problem
from ..feed import Feed, as_array, generated

_INFINITE = -1


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays that are read in batches.

    Args:
        parts: Arrays of one length: images, labels and whatever else.
        is_tuple: Elements are tuples of the parts, not the one part.
        size: Of a batch; 0 before ``batch``.
        notes: What was left out of the pipeline, a sentence each.
        repeats: Passes that make an epoch; -1 without an end.
    """

    parts: tuple[Any, ...]
    is_tuple: bool = True
    size: int = 0
    notes: tuple[str, ...] = ()
    repeats: int = 1
    extra: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        if isinstance(tensors, dict):
            raise NotImplementedError("dictionaries of tensors")
        if isinstance(tensors, tuple):
            return Dataset(tuple(as_array(one) for one in tensors))
        return Dataset((as_array(tensors),), is_tuple=False)

    @staticmethod
    def zip(datasets: Any, *more: Any) -> Dataset:
        every = tuple(datasets) if isinstance(datasets, tuple | list) else (datasets, *more)
        return Dataset(tuple(part for one in every for part in one.parts))

    def batch(self, size: Any, drop_remainder: bool = False, **_: Any) -> Dataset:
        return replace(self, size=int(size))

    def unbatch(self) -> Dataset:
        return replace(self, size=0)

    def same(self, *_: Any, **__: Any) -> Dataset:
        """Another order, or another speed: nothing that a study takes from here."""
        return self

    shuffle = prefetch = cache = with_options = same

    def repeat(self, count: Any = None, **_: Any) -> Dataset:
        return replace(self, repeats=_INFINITE if count in (None, -1) else self.repeats * int(count))

    def take(self, count: int) -> Dataset:
        return self._sliced(slice(0, int(count) * max(1, self.size)))

    def skip(self, count: int) -> Dataset:
        return self._sliced(slice(int(count) * max(1, self.size), None))

    def _sliced(self, part: slice) -> Dataset:
        return replace(self, parts=tuple(one[part] for one in self.parts))

    def map(self, function: Callable[..., Any], *_: Any, **__: Any) -> Dataset:
        """Applies a function to each element, or to each batch; one that draws at random is left out, with a note."""
        name = getattr(function, "__name__", type(function).__name__)
        name = "a lambda" if name == "<lambda>" else name
        step = self.size or 1
        first, again = self._applied(function, slice(0, step)), self._applied(function, slice(0, step))
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True)):
            note = f"the pipeline's map({name}) draws at random; it has no word here and is left out"
            return replace(self, notes=(*self.notes, f"{note}."))
        results = [self._applied(function, slice(at, at + step)) for at in range(0, len(self.parts[0]), step)]
        joined = tuple(np.concatenate(parts) for parts in zip(*results, strict=True))
        return replace(self, parts=joined, is_tuple=len(joined) > 1)

    def _applied(self, function: Callable[..., Any], part: slice) -> list[Any]:
        import keras

        values = [one[part] if self.size else one[part][0] for one in self.parts]
        tensors = [keras.ops.convert_to_tensor(value) if value.dtype.kind in "biuf" else value for value in values]
        result = function(*tensors)
        results = result if isinstance(result, tuple | list) else (result,)
        arrays = [as_array(one) for one in results]
        return arrays if self.size else [array[None] for array in arrays]

    def __len__(self) -> int:
        if self.repeats == _INFINITE:
            raise TypeError("the dataset is infinite")
        count = len(self.parts[0])
        return math.ceil(count / self.size) if self.size else count

    def cardinality(self) -> Any:
        return np.int64(_INFINITE if self.repeats == _INFINITE else len(self))

    def __iter__(self) -> Iterator[Any]:
        import keras

        step = self.size or 1
        for at in range(0, len(self.parts[0]), step):
            values = [one[at : at + step] if self.size else one[at] for one in self.parts]
            tensors = [keras.ops.convert_to_tensor(value) for value in values]
            yield tuple(tensors) if self.is_tuple else tensors[0]

    def as_numpy_iterator(self) -> Iterator[Any]:
        for element in self:
            yield tuple(as_array(one) for one in element) if self.is_tuple else as_array(element)

    def assay_feed(self) -> Feed:
        """What ``fit`` reads."""
        if len(self.parts) < 2:
            raise DataError(Problem("its pipeline has images without labels", "give both"))
        notes = list(self.notes)
        if self.repeats > 1:
            notes.append(
                f"the pipeline repeats its images {self.repeats} times in an epoch; here an epoch is one pass."
            )
        if not self.size:
            notes.append("the pipeline has no batches; a batch is one image.")
        return Feed(self.parts[0], self.parts[1], self.size or 1, notes=notes)


AUTOTUNE = -1


class FolderDataset:
    """``image_dataset_from_directory``: a folder with one subfolder a class, read by the study itself.

    Args:
        folder: The folder.
        size: Height and width.
        batch: Images in a batch.
        channels: 1 or 3.
        subset: What share is set aside, and which part this is.
        count: Of its images.
    """

    def __init__(
        self,
        folder: Path,
        size: tuple[int, int],
        batch: int,
        channels: int,
        subset: tuple[float, str] | None,
        count: int,
    ) -> None:
        self.folder, self.size, self.batch_size, self.channels = folder, size, batch, channels
        self.subset, self.count = subset, count
        is_there = folder.is_dir()
        self.class_names = sorted(one.name for one in folder.iterdir() if one.is_dir()) if is_there else []
        self.class_indices = {name: number for number, name in enumerate(self.class_names)}
        self.file_paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
        self.samples = self.n = count
        self.scale, self.offset = 1.0, 0.0
        self.generator: Any = None
        self.notes: list[str] = []
        if not is_there:
            self.notes.append(f"the folder {folder} is not there; put the images there before the study runs.")

    def same(self, *_: Any, **__: Any) -> FolderDataset:
        return self

    shuffle = prefetch = cache = with_options = repeat = same

    def batch(self, size: int, **_: Any) -> FolderDataset:
        self.batch_size = int(size)
        return self

    def map(self, function: Callable[..., Any], *_: Any, **__: Any) -> FolderDataset:
        """Takes a linear scaling over; anything else is left out, with a note."""
        import keras

        name = getattr(function, "__name__", type(function).__name__)
        label = keras.ops.zeros((1,), "int32")
        try:
            values = []
            for level in (0.0, 1.0, 200.0, 200.0):
                image = keras.ops.full((1, *self.size, self.channels), level)
                result = as_array(function(image, label)[0])
                values.append((float(result.min()), float(result.max())))
        except Exception:
            values = [(0.0, 1.0)]
        flat = [low for low, high in values if low == high]
        if (
            len(flat) == 4
            and flat[2] == flat[3]
            and math.isclose(flat[2], flat[0] + 200 * (flat[1] - flat[0]), rel_tol=1e-3)
        ):
            factor = flat[1] - flat[0]
            self.scale, self.offset = self.scale * factor, self.offset * factor + flat[0]
        else:
            self.notes.append(f"the pipeline's map({name}) is no plain scaling; it has no word here and is left out.")
        return self

    def take(self, count: int) -> FolderDataset:
        self.notes.append(f"the pipeline takes {count} batches; here all of the folder's images are used.")
        return self

    def skip(self, count: int) -> FolderDataset:
        self.notes.append(f"the pipeline skips {count} batches; here all of the folder's images are used.")
        return self

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def cardinality(self) -> Any:
        return np.int64(len(self))

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("the folder's images are read by the study")

    def assay_feed(self) -> Feed:
        """What ``fit`` reads."""
        front = Front(scale=self.scale, offset=self.offset)
        feed = Feed(
            None, None, self.batch_size, front, self.folder, self.size, self.channels, self.subset, self.count,
            list(self.notes),
        )  # fmt: skip
        return feed if self.generator is None else generated(feed, self.generator, self.folder.name)


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: Any = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: Any = None,
    validation_split: Any = None,
    subset: Any = None,
    **_: Any,
) -> Any:
    """As Keras's own, without TensorFlow."""
    folder = Path(str(directory))
    channels = 1 if color_mode == "grayscale" else 3
    size = (int(image_size[0]), int(image_size[1]))
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    share = float(validation_split or 0)

    def part(name: str | None) -> FolderDataset:
        own = count if not share else round(count * (share if name == "validation" else 1 - share))
        return FolderDataset(
            folder, size, int(batch_size or 1), channels, (share, name) if share and name else None, own
        )

    return (part("training"), part("validation")) if subset == "both" else part(subset)


def flow_from_directory(original: Callable[..., Any]) -> Callable[..., Any]:
    """``ImageDataGenerator.flow_from_directory``, also of a folder that is not there."""

    def flow(
        this: Any, directory: Any, target_size: Any = (256, 256), color_mode: str = "rgb", *args: Any, **kwargs: Any
    ) -> Any:
        folder = Path(str(directory))
        if folder.is_dir():
            return original(this, directory, target_size, color_mode, *args, **kwargs)
        share, part = float(getattr(this, "_validation_split", None) or 0), kwargs.get("subset")
        subset = (share, str(part)) if share and part else None
        size = (int(target_size[0]), int(target_size[1]))
        channels = 1 if color_mode == "grayscale" else 3
        flowing = FolderDataset(folder, size, int(kwargs.get("batch_size", 32)), channels, subset, 0)
        flowing.generator = this
        return flowing

    return flow
