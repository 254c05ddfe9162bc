"""A data set's look as values for a page, and as one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ..data import Dataset, LabelDoubt, Look, gallery, png
from ..data.corrections import Correction
from ..data.look import MOST_LISTED
from .html import environment
from .inputs import DataLook, SuspectPicture
from .pictures import picture
from .relabel import relabelling

_MOST_PICTURED = 24
_MOST_ROWS = 60
_WIDEST = 96  # pixels of an example


def pictured(dataset: Dataset, seen: Look) -> DataLook:
    """The look as plain values; suspicious training images are pictured, test images never."""
    info, results = dataset.info, seen.survey
    images = dataset.training().images
    mean, deviation = (", ".join(f"{value:.3f}" for value in values) for values in (results.mean, results.deviation))
    stored = info.num_training + info.num_test
    blank = f"{results.blank[0]:,} in training, {results.blank[1]:,} in test"
    facts = (
        ("Values", f"{results.minimum:g} to {results.maximum:g} ({info.dtype})"),
        ("Mean, deviation", f"{mean}; {deviation}"),
        ("In memory", f"{images[:1].nbytes * stored / 1e6:,.1f} MB"),
        ("Exact copies", _copies(results.exact)),
        ("Near copies", _copies(results.near)),
        (
            "Blank images",
            blank if any(results.blank) else "none",
        ),
    )
    pairs = [(pair, "in both splits") for pair in seen.across]
    pairs += [(pair, f"labelled {' and '.join(pair.labels)}") for pair in seen.conflicting]
    return DataLook(
        sentences=seen.sentences,
        facts=facts,
        pairs=tuple(
            (f"{'Equal' if pair.is_exact else 'Nearly equal'}, {where}", pair.first, pair.second)
            for pair, where in pairs[: 2 * MOST_LISTED]
        ),
        num_pairs=sum(copies.across + copies.conflicting for copies in (results.exact, results.near)),
        suspects=tuple(
            SuspectPicture(
                picture(images[one.suspect.index]),
                picture(images[one.suspect.neighbour]),
                one.name,
                one.neighbour,
                one.label,
                one.likely,
            )
            for one in seen.suspects[:_MOST_PICTURED]
        ),
        num_suspects=len(seen.suspects),
        judgement=seen.judgement,
    )


def look_page(
    dataset: Dataset,
    seen: Look,
    table: str = "",
    *,
    doubts: Sequence[LabelDoubt] = (),
    earlier: Sequence[Correction] = (),
) -> str:
    """A look at a data set as one HTML file that needs no other.

    Args:
        dataset: The data set.
        seen: What its checks say.
        table: The `[data]` table of a study file that reads it.
        doubts: Labels in doubt, which the page offers for correction.
        earlier: Corrections that the data were read with.
    """
    info, training = dataset.info, dataset.training()
    shown = min(info.num_classes, _MOST_ROWS)
    across = max(4, min(12, 560 // info.width))
    step = -(-max(info.height, info.width) // _WIDEST)
    examples = png(gallery(training.images[:, ::step, ::step], training.labels, shown, across))
    return (
        environment()
        .get_template("look.html")
        .render(
            info=info,
            look=pictured(dataset, seen),
            counts=class_rows(info.classes, seen.survey.counts),
            class_names=info.classes[:shown],
            picture=base64.b64encode(examples).decode(),
            across=across,
            table=table,
            relabel=relabelling(dataset, doubts, earlier) if doubts else None,
            version=version("assay"),
        )
    )


def class_rows(names: tuple[str, ...], counts: tuple[int, ...]) -> list[tuple[str, int, float]]:
    """Each class with its images and their share of the largest class's; of many classes the largest and smallest."""
    most = max(counts, default=1) or 1
    rows = [(name, count, count / most) for name, count in zip(names, counts, strict=True)]
    if len(rows) <= _MOST_ROWS:
        return rows
    rows.sort(key=lambda row: -row[1])
    return [*rows[: _MOST_ROWS // 2], *rows[-(_MOST_ROWS // 2) :]]


def _copies(copies: Any) -> str:
    if not (copies.training or copies.test or copies.across):
        return "none"
    return f"{copies.training:,} in training, {copies.test:,} in test, {copies.across:,} in both"
