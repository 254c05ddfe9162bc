"""assay robustness"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import click

from ..numerals import counted
from .completion import studies
from .options import json_option, print_json, store_option, study_name


@click.command("robustness")
@click.argument("study", shell_complete=studies, required=False)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="The images to corrupt. test counts as a look, and needs a revealed study.",
)
@click.option(
    "--images", type=click.IntRange(min=1), default=1000, show_default=True, help="The most images for each run."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of random draws.")
@click.option("--yes", is_flag=True, help="Do not ask before test images are used.")
@store_option
@json_option
def command(
    study: str | None, split: str, images: int, seed: int, yes: bool, store: Path | None, as_json: bool
) -> None:
    """Test STUDY's runs on corrupted images, with a verdict for each corruption.

    Corruptions are noise, blur, light, shifts, strokes, occlusion and JPEG, in five severities. Each run predicts its
    own validation images. Arms are judged by the study's metric on runs paired by seed, with one error rate for all
    corruptions. The predictions are kept in the store, and `assay report` shows the result.
    """
    from ..api import result
    from ..results.robustness import Split, refuse_sealed

    stored = result(study_name(study, store), store=store)
    if split == "test":
        refuse_sealed(stored.brief)
        if not yes:
            _ask(stored.study)
    is_live = sys.stderr.isatty() and not as_json
    found = stored.robustness(
        split=cast("Split", split),
        images=images,
        seed=seed,
        on_progress=_show_progress if is_live else lambda num_done, num_runs: None,
    )
    if as_json:
        print_json(found.as_dict())
        return
    _print_scores(found)
    decided = [one for one in found.verdicts if one.outcome in ("better", "worse")]
    overall = [one for one in found.verdicts if one.corruption == "all corruptions"]
    unit = found.measure.unit
    click.echo()
    for one in [*overall, *(one for one in decided if one not in overall)]:
        click.echo(f"{one.sentence}.")
    rest = [one for one in found.verdicts if one not in decided and one not in overall]
    few = [one for one in rest if one.outcome == "too few seeds"]
    if rest and not few:
        listed = ", ".join(
            f"{one.corruption.replace('_', ' ')}{'' if len(found.arms) == 2 else f' ({one.b})'} {unit.change(one.mean)}"
            for one in rest
        )
        click.echo(f"Undecided{f' ({unit.name})' if unit.name else ''}: {listed}.")
    for note in found.notes:
        click.echo(f"{note}.")


def _print_scores(found: object) -> None:
    from ..analysis import Robustness
    from .tables import print_table

    assert isinstance(found, Robustness)
    header = ["corruption", *(arm.arm for arm in found.arms)]
    written, label = found.measure.unit.value, found.measure.label
    rows = [["none", *(written(float(arm.clean.mean())) for arm in found.arms)]]
    rows += [
        [name.replace("_", " "), *(written(float(arm.scores[:, place].mean())) for arm in found.arms)]
        for place, name in enumerate(found.corruptions)
    ]
    rows.append(["all corruptions", *(written(float(arm.scores.mean())) for arm in found.arms)])
    title = f"{label[:1].upper()}{label[1:]}, mean over severities 1 to 5"
    print_table(header, rows, right=range(1, len(header)), title=title)


def _show_progress(num_done: int, num_runs: int) -> None:
    click.echo(f"\r{num_done} of {counted(num_runs, 'run')} answered", nl=num_done == num_runs, err=True)


def _ask(study: str) -> None:
    """Asks before test images are looked at.

    Raises:
        SpecError: There is no terminal to ask.
        click.Abort: The answer is no.
    """
    from ..errors import Problem, SpecError

    if not sys.stdin.isatty():
        raise SpecError(Problem(f'this would look at the test images of "{study}" once more', "add --yes if it may"))
    click.echo("This counts as one more look at the test split, unless it was taken before.", err=True)
    click.confirm("Look at the test images?", default=False, abort=True, err=True)
