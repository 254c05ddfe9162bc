"""assay judge"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .compare import comparison_lines
from .options import json_option, print_json
from .tables import say

if TYPE_CHECKING:
    from ..judging import Judgement

_FORMS = ("table", "mlflow", "tensorboard", "optuna", "keras-tuner", "predictions")


@click.command("judge")
@click.argument("results")
@click.option("--against", metavar="ARM", help="The baseline arm.  [default: the first]")
@click.option("--arm", metavar="NAME[,NAME]", help="The columns or settings that define an arm.")
@click.option("--seed", metavar="NAME", help="The column or setting that pairs runs.  [default: seed]")
@click.option("--score", metavar="NAME", help="The column or metric that is compared.  [default: score]")
@click.option("--metric", metavar="NAME", help="The measure to judge, of several; or what the score is.")
@click.option(
    "--higher-is-better/--lower-is-better", default=None, help="The measure's direction, if Assay does not know it."
)
@click.option("--data", metavar="NAME", help="One of several data sets.  [default: each, one after another]")
@click.option("--experiment", metavar="NAME", help="The MLflow experiment, or the study of an Optuna storage.")
@click.option("--margin", type=float, metavar="POINTS", help="Differences below this many points do not matter.")
@click.option("--claim", type=click.Choice(["new images", "these images"]), help="What verdicts generalize to.")
@click.option("--chance", type=click.FloatRange(0, 1), help="The accuracy of guessing; it identifies collapsed runs.")
@click.option("--question", default="", help="The question, which is the report's title.")
@click.option("--form", type=click.Choice(_FORMS), help="What RESULTS are.  [default: detected]")
@click.option("--report", "-o", type=click.Path(path_type=Path), help="Write a report: .html, .pdf, .md or .tex.")
@click.option("--store", type=click.Path(path_type=Path), help="Record the look and its claims in this store's ledger.")
@click.option("--name", help="The name to record it under.  [default: the file's]")
@json_option
def command(results: str, report: Path | None, as_json: bool, **options: Any) -> None:
    """Judge RESULTS that Assay did not train: a table, a tracker's folder, or saved predictions.

    \b
    scores.csv: columns arm, seed, score; also fold, data, metric, state, factor.NAME
    mlruns, mlflow.db: MLflow
    logs: TensorBoard
    project: Keras Tuner
    optuna.db: Optuna
    predictions: a folder for each arm, a file for each seed, and labels.npy

    Runs of two arms with the same seed are a pair, and the first arm is the baseline. Nothing is kept unless --store
    names a store.
    """
    from ..judging import parts_of

    parts = parts_of(results, **options)
    files = _write_reports(parts, report) if report is not None else []
    if as_json:
        values = [part.as_dict() for part in parts]
        shown = values[0] if len(values) == 1 else {"data_sets": values}
        print_json({**shown, **({"files": [str(file) for file in files]} if files else {})})
        return
    for number, part in enumerate(parts):
        if number:
            click.echo()
        _print(part, title=len(parts) > 1)
    if len(parts) > 1:
        click.echo()
        say("Each data set is judged by itself: each has 5 % of false calls of its own.")
    for file in files:
        click.echo(f"Report: {file.absolute().as_uri()}")


def _print(part: Judgement, *, title: bool) -> None:
    result = part.answer
    if title:
        say(f"DATA SET {part.record.data.get('title')}")
    say(f"{result.label}. {result.headline}.")
    for note in result.notes:
        say(note)
    for note in part.notes:
        say(note)
    if len(part.record.arms) > 1:
        click.echo()
        lines = comparison_lines(part.compare())
        for line in lines[2:] if part.record.source else lines:  # the first says "validation", which is not known
            click.echo(line)


def _write_reports(parts: tuple[Judgement, ...], path: Path) -> list[Path]:
    forms = {".html": "html", ".pdf": "pdf", ".md": "markdown", ".tex": "latex"}
    form: Any = forms.get(path.suffix.lower())
    if form is None:
        raise click.UsageError(f'"{path.name}" ends in no form of a report; end it in .html, .pdf, .md or .tex.')
    if len(parts) == 1:
        return [parts[0].report(path, form=form)]
    return [part.report(path.with_stem(f"{path.stem}-{part.record.name}"), form=form) for part in parts]
