"""assay threshold"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json, store_option, study_name
from .tables import say


@click.command("threshold")
@click.argument("study", required=False)
@click.option("--class", "class_name", required=True, metavar="NAME", help="The class, such as ill.")
@click.option("--arm", help="The arm whose runs are used.  [default: the best arm by validation]")
@click.option("--sensitivity", type=float, metavar="SHARE", help="Find this share of the class, such as 0.95.")
@click.option(
    "--specificity", type=float, metavar="SHARE", help="Do not call this share of the other images, such as 0.9."
)
@click.option(
    "--cost",
    type=float,
    metavar="NUMBER",
    help="Minimize the cost: one missed image costs as much as this many false alarms.",
)
@store_option
@json_option
def command(
    study: str | None,
    class_name: str,
    arm: str | None,
    sensitivity: float | None,
    specificity: float | None,
    cost: float | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Choose the probability from which a class is called, with sensitivity and specificity.

    Each run's threshold is chosen on its validation images, by one of --sensitivity, --specificity and --cost.
    Sensitivity and specificity are given with intervals, on test images once they are revealed, and on validation
    images until then.
    """
    from ..api import result

    stored = result(study_name(study, store), store=store)
    point = stored.threshold(class_name, arm=arm, sensitivity=sensitivity, specificity=specificity, cost=cost)
    if as_json:
        print_json(point.as_dict())
        return
    for line in (*point.sentences, *point.notes):
        say(f"{line}.")
