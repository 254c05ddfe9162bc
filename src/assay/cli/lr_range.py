"""assay lr-range"""

from __future__ import annotations

from pathlib import Path

import click

from .completion import arms, study_files
from .options import json_option, print_json, store_option
from .tables import say


@click.command("lr-range")
@click.argument("study", shell_complete=study_files)
@click.option("--arm", shell_complete=arms, help="The arm to test.  [default: the first]")
@click.option("--low", type=float, default=1e-6, show_default=True, help="The first learning rate.")
@click.option("--high", type=float, default=10.0, show_default=True, help="The last learning rate.")
@click.option("--steps", type=int, default=200, show_default=True, help="Training steps from low to high.")
@click.option(
    "--seeds", type=int, default=1, show_default=True, help="The number of the study's seeds to test, one test each."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file of the picture: .png or .svg."
)
@store_option
@json_option
def command(
    study: str,
    arm: str | None,
    low: float,
    high: float,
    steps: int,
    seeds: int,
    output: Path | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Run a learning-rate range test of an arm of STUDY: steps with a rising learning rate.

    Nothing is stored, and no validation or test image is used. The result shows where to search. For a verdict, compare
    learning rates as levels of a factor, or search them.
    """
    from ..api import load, lr_range

    tested = lr_range(load(study), arm=arm, low=low, high=high, steps=steps, seeds=seeds, store=store)
    if output is not None:
        tested.picture.save(output)
    if as_json:
        print_json({**tested.as_dict(), "picture": None if output is None else str(output)})
        return
    say(tested.sentence)
    if output is not None:
        click.echo(f"Picture: {output.resolve().as_uri()}")
