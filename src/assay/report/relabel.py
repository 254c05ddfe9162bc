"""Labels in doubt as a page shows them: a thumbnail each, and the means to correct it into a table."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..data import Dataset, LabelDoubt
from ..data.corrections import Correction
from .pictures import picture

MOST_SHOWN = 1000


@dataclass(frozen=True)
class Relabelling:
    """What the page's part for relabelling holds.

    Args:
        items: A doubt, its thumbnail, and that of the image that it looks like most (or empty), as PNG in base64.
        num_all: How many doubts there are.
        classes: Names that an image may be given.
        earlier: Rows of the table of corrections that the data were read with, as JSON.
    """

    items: tuple[tuple[LabelDoubt, str, str], ...]
    num_all: int
    classes: tuple[str, ...]
    earlier: str


def relabelling(dataset: Dataset, doubts: Sequence[LabelDoubt], earlier: Sequence[Correction] = ()) -> Relabelling:
    """The part of a page in which labels are corrected.

    Args:
        dataset: The data.
        doubts: Labels in doubt, the clearest first; ``MOST_SHOWN`` of them are shown.
        earlier: Corrections that the data were read with: they stay in the table.
    """
    images = dataset.training().images

    def thumbnail(index: int | None) -> str:
        return "" if index is None else base64.b64encode(picture(images[index])).decode()

    items = tuple((one, thumbnail(one.index), thumbnail(one.neighbour)) for one in doubts[:MOST_SHOWN])
    rows = json.dumps([[row.image, row.label, row.corrected] for row in earlier])
    return Relabelling(items, len(doubts), dataset.info.classes, rows)
