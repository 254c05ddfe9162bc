"""``tf.data.Dataset`` on NumPy arrays, as far as files that train image classifiers need it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...convert.configs import LayerConfig
from ...convert.front import Front
from ...errors import DataError, Problem
from ..feed import WEIGHS, Feed, as_array
from ..places import place
from .random_operations import collected, name_of, taken

AUTOTUNE = -1
_INFINITE = -1
_TRIED = 16  # elements that a function is applied to twice, to see whether it draws at random


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays that are read in batches.

    Args:
        parts: Arrays of one length: images, labels and whatever else.
        is_tuple: Elements are tuples of the parts, not the one part.
        size: Of a batch; 0 before ``batch``.
        front: The augmentation that was taken out of it.
        notes: What was left out of the pipeline, a sentence each.
        repeats: Passes that make an epoch; -1 without an end.
    """

    parts: tuple[Any, ...]
    is_tuple: bool = True
    size: int = 0
    front: Front = field(default_factory=Front)
    notes: tuple[str, ...] = ()
    repeats: int = 1

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
        notes = tuple(note for one in every for note in one.notes)
        return Dataset(tuple(part for one in every for part in one.parts), front=every[0].front, notes=notes)

    def batch(self, size: Any, drop_remainder: bool = False, **_: Any) -> Dataset:
        left = len(self.parts[0]) % int(size)
        notes = self.notes
        if drop_remainder and left:
            notes = (*notes, f"{place()}: the last {left} images of an epoch are dropped (drop_remainder); here the "
                             "last batch is a short one.")  # fmt: skip
        return replace(self, size=int(size), notes=notes)

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
        """Applies a function to each element, or to each batch.

        Random layers and ``tf.image.random_*`` that it calls become augmentation; a function that draws at random
        otherwise is left out, with a note.
        """
        step = self.size or 1
        called: dict[tuple[str, str], LayerConfig] = {}
        front = deepcopy(self.front)
        with collected(called):
            starts = range(0, min(len(self.parts[0]), _TRIED * step), step)
            first, again = ([self._applied(function, slice(at, at + step)) for at in starts] for _ in range(2))
            pairs = [pair for one, other in zip(first, again, strict=True) for pair in zip(one, other, strict=True)]
            if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
                note = (
                    f"{place()}: the pipeline's map({name_of(function)}) draws at random; it has no word here and is "
                )
                note += "left out; name what it does under [training.augmentation]."
                return replace(self, notes=(*self.notes, note))
            results = [self._applied(function, slice(at, at + step)) for at in range(0, len(self.parts[0]), step)]
        notes = [*self.notes, *taken(called, front)]
        joined = tuple(np.concatenate(parts) for parts in zip(*results, strict=True))
        return replace(self, parts=joined, is_tuple=len(joined) > 1, front=front, notes=tuple(notes))

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

    def assay_feed(self, where: str) -> Feed:
        """What ``fit`` reads, with the place of the call."""
        if len(self.parts) < 2:
            raise DataError(Problem("its pipeline has images without labels", "give both", where))
        notes = list(self.notes)
        if self.repeats > 1:
            notes.append(
                f"{where}: the pipeline repeats its images {self.repeats} times in an epoch; here an epoch is one pass."
            )
        if not self.size:
            notes.append(f"{where}: the pipeline has no batches; a batch is one image.")
        if len(self.parts) > 2:
            notes.append(f"{where}: the pipeline {WEIGHS}")
        return Feed(self.parts[0], self.parts[1], self.size or 1, deepcopy(self.front), notes=notes)
