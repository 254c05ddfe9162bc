"""assay curve"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import studies
from .options import json_option, print_json, store_option, study_name
from .tables import print_table, say

if TYPE_CHECKING:
    from ..analysis import LearningCurves


@click.command("curve")
@click.argument("study", shell_complete=studies, required=False)
@click.option(
    "--more",
    type=int,
    metavar="IMAGES",
    help="How many more images of each class.  [default: as many as the largest size]",
)
@store_option
@json_option
def command(study: str | None, more: int | None, store: Path | None, as_json: bool) -> None:
    """Extrapolate the learning curve of STUDY: what more training images would bring.

    The study needs the number of training images as a factor: training = "{images} per class" under [data], and
    images = [50, 100, 200, 400] under [factors]. If networks vary too, more images are compared with a larger network.
    """
    from ..api import result

    curves = result(study_name(study, store), store=store).curve(more=more)
    if as_json:
        print_json(curves.as_dict())
        return
    _print(curves)


def _print(curves: LearningCurves) -> None:
    unit = curves.measure.unit
    for sentence in curves.sentences:
        say(f"{sentence}.")
    click.echo()
    rows = []
    for one in curves.curves:
        for size in one.sizes:
            fitted = "left out" if size.is_left_out else one.fitted(size.images, unit)
            images = f"{round(size.images):,}{' (all)' if size.is_all else ''}"
            rows.append([one.label, images, str(len(size.scores)), unit.value(size.mean), fitted])
        if one.curve is not None:
            beyond = one.largest + curves.more
            rows.append([one.label, f"{round(beyond):,}", "", "", one.fitted(beyond, unit)])
    columns = ["network", "images a class", "seeds", f"mean {curves.measure.label}", "curve, 95 % band"]
    if all(not row[0] for row in rows):
        columns, rows = columns[1:], [row[1:] for row in rows]
    print_table(columns, rows, right=range(len(columns) - 4, len(columns)))
    if curves.notes:
        click.echo()
    for note in curves.notes:
        say(f"{note}.")
