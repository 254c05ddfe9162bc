"""Folders of images as Keras's loaders give them, without TensorFlow: the study reads the images itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from ...convert.configs import LayerConfig
from ...convert.front import Front
from ...errors import DataError, Problem
from ..feed import Feed, as_array, generated
from ..places import place
from .random_operations import collected, name_of, taken


class FolderDataset:
    """``image_dataset_from_directory``: a folder with one subfolder a class, read by the study itself.

    Args:
        folder: The folder.
        size: Height and width.
        batch: Images in a batch.
        channels: 1 or 3.
        subset: What share is set aside, and which part this is.
        count: Of its images.
        notes: On settings that have no word, a sentence each.
    """

    def __init__(
        self,
        folder: Path,
        size: tuple[int, int],
        batch: int,
        channels: int,
        subset: tuple[float, str] | None,
        count: int,
        notes: Sequence[str] = (),
    ) -> None:
        self.folder, self.size, self.batch_size, self.channels = folder, size, batch, channels
        self.subset, self.count = subset, count
        is_there = folder.is_dir()
        self.class_names = sorted(one.name for one in folder.iterdir() if one.is_dir()) if is_there else []
        self.class_indices = {name: number for number, name in enumerate(self.class_names)}
        self.file_paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
        self.samples = self.n = count
        self.front = Front()
        self.generator: Any = None
        self.repeats = 1
        self.notes = list(notes)
        if not is_there:
            self.notes.append(
                f"{place()}: the folder {folder} is not there; put the images there before the study runs."
            )

    def same(self, *_: Any, **__: Any) -> FolderDataset:
        return self

    shuffle = prefetch = cache = with_options = same

    def _changed(self, *notes: str, **values: Any) -> FolderDataset:
        """A copy: what is derived from a pipeline leaves it alone."""
        other = copy(self)
        other.front, other.notes = deepcopy(self.front), [*self.notes, *notes]
        vars(other).update(values)
        return other

    def repeat(self, count: Any = None, **_: Any) -> FolderDataset:
        return self if count in (None, -1) else self._changed(repeats=self.repeats * int(count))

    def batch(self, size: int, **_: Any) -> FolderDataset:
        return self._changed(batch_size=int(size))

    def map(self, function: Callable[..., Any], *_: Any, **__: Any) -> FolderDataset:
        """Takes a linear scaling and random layers over; anything else is left out, with a note."""
        import keras

        called: dict[tuple[str, str], LayerConfig] = {}
        # Pixels that differ from each other, so that whatever moves or mixes them is seen.
        shape = (1, *self.size, self.channels)
        pixels = np.random.default_rng(0).permutation(np.linspace(0, 255, math.prod(shape))).reshape(shape)
        try:
            with collected(called):
                results = [
                    function(
                        keras.ops.convert_to_tensor(pixels.astype("float32")), keras.ops.full((1,), label, "int32")
                    )
                    for label in (0, 1, 1)
                ]
            first, second, again = (as_array(images).astype(float) for images, _ in results)
            labels = [as_array(one).reshape(-1) for _, one in results]
        except Exception:
            return self._changed(self._left_out(function))
        if first.shape != shape or not np.array_equal(second, again) or not np.array_equal(first, second):
            return self._changed(self._left_out(function))
        factor, offset = np.polyfit(pixels.reshape(-1), first.reshape(-1), 1)
        if not np.allclose(first, factor * pixels + offset, rtol=1e-4, atol=1e-4 * max(1e-3, abs(first).max())):
            return self._changed(self._left_out(function))
        changed = self._changed()
        if not math.isclose(factor, 1, rel_tol=1e-5) or abs(offset) > 1e-4:
            changed.front.scale, changed.front.offset = (
                changed.front.scale * factor, changed.front.offset * factor + offset,
            )  # fmt: skip
        changed.notes += taken(called, changed.front)
        numbers = [int(one.argmax()) if len(one) > 1 else int(one[0]) for one in labels]
        if numbers != [0, 1, 1]:
            what = f"the pipeline's map({name_of(function)}) changes labels; here each folder is a class"
            changed.notes.append(f"{place()}: {what}.")
        return changed

    def _left_out(self, function: Any) -> str:
        what = f"the pipeline's map({name_of(function)}) is no plain scaling; it has no word here and is left out"
        return f"{place()}: {what}; name what it does under [training.augmentation]."

    def take(self, count: int) -> FolderDataset:
        return self._changed(
            f"{place()}: the pipeline takes {count} batches; here all of the folder's images are used."
        )

    def skip(self, count: int) -> FolderDataset:
        return self._changed(
            f"{place()}: the pipeline skips {count} batches; here all of the folder's images are used."
        )

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def cardinality(self) -> Any:
        return np.int64(len(self))

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("the folder's images are read by the study")

    def assay_feed(self, where: str) -> Feed:
        """What ``fit`` reads, with the place of the call."""
        notes = list(self.notes)
        if self.repeats > 1:
            notes.append(
                f"{where}: the pipeline repeats its images {self.repeats} times in an epoch; here an epoch is one pass."
            )
        feed = Feed(
            None, None, self.batch_size, deepcopy(self.front), self.folder, self.size, self.channels, self.subset,
            self.count, notes,
        )  # fmt: skip
        return feed if self.generator is None else generated(feed, self.generator, where)


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
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    **_: Any,
) -> Any:
    """As Keras's own, without TensorFlow."""
    folder, where = Path(str(directory)), place()
    if labels != "inferred":
        what = "image_dataset_from_directory gets labels of its own"
        raise DataError(Problem(what, "give a folder for each class, or a table of files and labels", where))
    notes = [*_chosen(class_names, folder, where)]
    if interpolation != "bilinear" or crop_to_aspect_ratio or pad_to_aspect_ratio:
        what = "images are resized bilinearly and stretched here"
        notes.append(f'{where}: {what}; [data.read] fit = "crop" or "pad" keeps their proportions.')
    channels = 1 if color_mode == "grayscale" else 3
    size = (int(image_size[0]), int(image_size[1]))
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    share = float(validation_split or 0)

    def part(name: str | None) -> FolderDataset:
        own = count if not share else round(count * (share if name == "validation" else 1 - share))
        part = (share, name) if share and name else None
        return FolderDataset(folder, size, int(batch_size or 1), channels, part, own, notes)

    return (part("training"), part("validation")) if subset == "both" else part(subset)


def _chosen(classes: Any, folder: Path, where: str) -> list[str]:
    """A note where only some of the folder's classes are taken: a study takes all."""
    given = [str(one) for one in classes or ()]
    left = [one.name for one in sorted(folder.iterdir()) if one.is_dir()] if folder.is_dir() else []
    left = [name for name in left if name not in given]
    if not given or not left:
        return []
    shown = ", ".join(left[:5]) + (" and more" if len(left) > 5 else "")
    return [
        f"{where}: of the folder's classes it leaves out {shown}; here every subfolder is a class: move those away."
    ]


def flow_from_directory(original: Callable[..., Any]) -> Callable[..., Any]:
    """``ImageDataGenerator.flow_from_directory``, also of a folder that is not there."""

    def flow(
        this: Any, directory: Any, target_size: Any = (256, 256), color_mode: str = "rgb", classes: Any = None,
        *args: Any, **kwargs: Any,
    ) -> Any:  # fmt: skip
        folder = Path(str(directory))
        notes = _chosen(classes, folder, place())
        if folder.is_dir():
            flowing = original(this, directory, target_size, color_mode, classes, *args, **kwargs)
            flowing.assay_notes = notes
            return flowing
        share, part = float(getattr(this, "_validation_split", None) or 0), kwargs.get("subset")
        subset = (share, str(part)) if share and part else None
        size = (int(target_size[0]), int(target_size[1]))
        channels = 1 if color_mode == "grayscale" else 3
        flowing = FolderDataset(folder, size, int(kwargs.get("batch_size", 32)), channels, subset, 0, notes)
        flowing.generator = this
        return flowing

    return flow
