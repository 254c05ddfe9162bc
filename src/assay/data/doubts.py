"""Labels that deserve a second look, in one list: what a table holds, and a page shows for relabelling."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .corrections import COLUMNS, image_name
from .look import Look
from .prepare import Dataset


@dataclass(frozen=True)
class LabelDoubt:
    """A training image whose label may be wrong.

    Args:
        index: Its place in the training data.
        image: What it is called in a table of corrections: its file below ``data.path``, or ``#`` and its place.
        file: The file's path, where there is such a file.
        label: The class that the data give it.
        suggested: The class that it looks like.
        why: What speaks against its label, a clause for each check.
        neighbour: The place of the image that it looks like most, where neighbours were compared.
    """

    index: int
    image: str
    file: str
    label: str
    suggested: str
    why: tuple[str, ...]
    neighbour: int | None = None


def doubt(
    dataset: Dataset, names: Sequence[str] | None, index: int, label: str, suggested: str, why: str
) -> LabelDoubt:
    """One doubt, with the image's name and file.

    Args:
        dataset: The data.
        names: Of the files of its training images; ``None`` where they are none.
        index, label, suggested, why: As of a :class:`LabelDoubt`.
    """
    image = image_name(index, names)
    return LabelDoubt(index, image, "" if names is None else file_of(dataset, image), label, suggested, (why,))


def file_of(dataset: Dataset, name: str) -> str:
    """The path of a training image's file; its name where there is no such file, as in an archive."""
    for source in dataset.info.sources:
        for place in (Path(source), Path(source).parent):
            path = place / name
            if path.is_file():
                return str(path)
    return name


def look_doubts(dataset: Dataset, seen: Look) -> list[LabelDoubt]:
    """The suspicious labels of a look before training, the clearest first."""
    names = dataset.names_of("train")
    return [
        replace(
            doubt(
                dataset, names, one.suspect.index, one.label, one.likely,
                f"{one.suspect.votes} of the 10 images most like it are {one.likely}, none is {one.label}",
            ),
            neighbour=one.suspect.neighbour,
        )
        for one in seen.suspects
    ]  # fmt: skip


def merged(doubts: Iterable[LabelDoubt]) -> tuple[LabelDoubt, ...]:
    """One doubt for each image, in the order in which images first come, with every reason."""
    by_index: dict[int, LabelDoubt] = {}
    for one in doubts:
        known = by_index.get(one.index)
        if known is not None:
            neighbour = one.neighbour if known.neighbour is None else known.neighbour
            one = replace(known, why=(*known.why, *one.why), neighbour=neighbour)
        by_index[one.index] = one
    return tuple(by_index.values())


def doubts_table(doubts: Sequence[LabelDoubt]) -> str:
    """The doubts as a CSV with an empty column ``corrected``: filled in, it is a table of corrections."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "suggested", "why", "file"])
    for one in doubts:
        writer.writerow([one.image, one.label, "", one.suggested, "; ".join(one.why), one.file])
    return text.getvalue()
