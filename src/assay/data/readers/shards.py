"""Files of encoded images with a label each, by their splits: WebDataset's tar files and TFRecords."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, Problem
from ...spec import Reading
from .arrays import joined
from .content import Part, RawSplits, validation_note
from .labels import texts_to_labels
from .pictures import decode
from .sides import side_of


@dataclass(frozen=True, eq=False)
class Shard:
    """A file of encoded images.

    Args:
        path: The file.
        names: What each image is called [n].
        labels: Their labels [n].
        contents: Reads (index, encoded image) in any order.
    """

    path: Path
    names: Sequence[str]
    labels: Sequence[str]
    contents: Callable[[], Iterator[tuple[int, bytes]]]


def by_split(files: Sequence[Path], place: str) -> dict[str, list[Path]]:
    """Files by the split that their names say; all are for training where none says one.

    Raises:
        DataError: Some names say a split, and none says training.
    """
    sides: dict[str, list[Path]] = {}
    unnamed: list[Path] = []
    for file in files:
        side = side_of(re.split(r"[-_.]?\d", file.name)[0])
        side = "test" if side == "eval" else side
        (unnamed if side not in ("train", "val", "test") else sides.setdefault(side, [])).append(file)
    if not sides:
        return {"train": unnamed}
    if "train" not in sides or unnamed:
        what = f"{unnamed[0].name if unnamed else files[0].name} does not say that it is of the training split"
        raise DataError(Problem(what, "call it train-..., or name one file as data.path", file=place))
    return sides


def read_shards(
    sides: dict[str, list[Path]],
    open_shard: Callable[[Path], Shard],
    reading: Reading,
    place: str,
    classes: tuple[str, ...] | None = None,
) -> RawSplits:
    """The images of all shards of each split, in their order.

    Raises:
        DataError: A shard is damaged, or files are no images.
    """
    notes: list[str] = []
    parts: dict[str, Part] = {}
    for side in ("train", "val", "test"):
        if side not in sides:
            continue
        shards = [open_shard(path) for path in sides[side]]
        names = [name for shard in shards for name in shard.names]
        labels = [label for shard in shards for label in shard.labels]
        if "" in labels:
            what = f"{names[labels.index('')]} has no label"
            raise DataError(Problem(what, "give every image one", file=place))

        def contents(shards: Sequence[Shard] = shards) -> Iterator[tuple[int, bytes]]:
            before = 0
            for shard in shards:
                for index, content in shard.contents():
                    yield before + index, content
                before += len(shard.names)

        where = str(shards[0].path) if len(shards) == 1 else place
        images, kept, more = decode(contents, names, reading, where)
        notes += more
        numbers = texts_to_labels([labels[index] for index in kept])
        parts[side] = Part(images, numbers, where, names=tuple(names[index] for index in kept))
    training = parts["train"]
    if "val" in parts:
        training = joined(training, parts["val"])
        notes.append(validation_note("The images of the validation shards"))
    return RawSplits(training, parts.get("test"), classes, tuple(dict.fromkeys(notes)), (place,))
