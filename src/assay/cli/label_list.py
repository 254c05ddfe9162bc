"""Labels in doubt, as `assay data show` lists and writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import study_name
from .tables import print_table

if TYPE_CHECKING:
    from ..data import Dataset, LabelDoubt, Look

_MOST_DOUBTS = 20


def write_doubts(path: Path, doubts: Sequence[LabelDoubt]) -> None:
    """Writes every label in doubt as a CSV that becomes a table of corrections."""
    from ..data import doubts_table
    from ..disk import write

    write(path, doubts_table(doubts).encode())


def labels_in_doubt(
    study: str | None, store: Path | None, dataset: Dataset, seen: Look
) -> tuple[list[dict[str, Any]] | None, tuple[LabelDoubt, ...]]:
    """What the networks of a study doubt, ``None`` without a study; and every label in doubt, by whatever check.

    Raises:
        SpecError: The study ran on other data, or has no finished run.
    """
    from ..api import result
    from ..data import look_doubts
    from ..data.corrections import image_name
    from ..data.doubts import file_of
    from ..errors import Problem, SpecError
    from ..results.label_doubts import label_doubts

    if study is None:
        return None, tuple(look_doubts(dataset, seen))
    study_result = result(study_name(study, store), store=store)
    if study_result.record.data["content"] != dataset.info.content:
        what = f'study "{study_result.study}" ran on other data: {study_result.record.data["title"]}'
        raise SpecError(Problem(what, "name a study that ran on these"))
    names = dataset.names_of("train")
    doubtful = study_result.doubtful_labels()
    rows = [{str(key): value for key, value in row.items()} for row in doubtful.to_dict("records")]
    for row in rows:
        row["image"] = image_name(int(row["index"]), names)
        row["file"] = "" if names is None else file_of(dataset, row["image"])
    return rows, label_doubts(study_result, doubtful)


def print_doubted(doubted: list[dict[str, Any]]) -> None:
    """The labels that a study's networks doubt, the first of them as a table."""
    if not doubted:
        click.echo("Doubtful labels: none, by the runs of the best arm")
        return
    click.echo(
        f"Doubtful labels: {len(doubted):,} training images whose labels are probably wrong, by the best arm's runs"
    )
    rows = [
        [
            d["file"] or d["image"],
            d["label"],
            d["predicted"],
            "–" if math.isnan(d["doubt"]) else f"{100 * d['doubt']:.0f} %",
            f"{d['wrong']} of {d['runs']}",
            str(d["held_out"]),
        ]
        for d in doubted[:_MOST_DOUBTS]
    ]
    columns = ["training image", "label", "more likely", "doubt", "runs", "never trained on it"]
    print_table(columns, rows, right=[3, 5])
    if len(doubted) > len(rows):
        click.echo(f"  and {len(doubted) - len(rows):,} more (--csv, --html or --json)")
