"""assay predict"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, cast

import click

from ..numerals import counted
from .completion import arms, studies
from .options import answer_arguments, answer_options, json_option, print_json, store_option

EXIT_LEFT_OUT = 1
_MOST_SKIPPED = 20


@click.command("predict")
@click.argument("run", shell_complete=studies)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The table to write.  [default: the terminal]")
@click.option(
    "--arm",
    shell_complete=arms,
    help="Average all seeds of this arm of study RUN. best is the best arm.",
)
@click.option("--probabilities", is_flag=True, help="Add a column of probabilities for each class.")
@click.option("--calibrate", is_flag=True, help="Fit a temperature on validation images, and add the confidence.")
@answer_options
@click.option(
    "--resize",
    is_flag=True,
    help="Resize images of another size by read.fit. Otherwise they are refused.",
)
@click.option("--extra", type=click.Choice(["first", "last"]), help="The column of a table that holds no pixel.")
@store_option
@json_option
def command(
    run: str,
    inputs: tuple[str, ...],
    output: Path | None,
    arm: str | None,
    probabilities: bool,
    calibrate: bool,
    resize: bool,
    extra: str | None,
    store: Path | None,
    as_json: bool,
    **answers: Any,
) -> None:
    """Classify images, and print or write a table with Id and Category.

    RUN is the beginning of a run's id or a study's name, which means the first seed of its best arm. INPUT is an image,
    a folder or archive of images, a table with one image a row (CSV, TSV, amat) or with image files, IDX, Parquet, .npz
    or .npy; "-" reads one of them from standard input. Images are read as the study's training images were. Labels are
    not used. An image's Id is its file name, or its number from 0. Files that are no images are left out and named; the
    exit code is then 1.

    --calibrate fits one temperature on validation images, which the run has not trained on, and adds the confidence:
    the probability of the predicted class. --sets adds the classes that an image may be. --refuse adds whether it is
    unlike the data. Both are fitted on validation images too. With --json a summary is printed instead of the table, so
    give -o.
    """
    import sys

    from ..errors import Problem, SpecError
    from ..results.answers import answer_request
    from ..results.predictions import PredictionStream, load_ensemble, spooled, write_predictions
    from ..store import default_folder

    if as_json and output is None:
        raise SpecError(Problem("--json prints a summary in place of the table", "say where that goes with -o"))
    if inputs.count("-") > 1:
        raise SpecError(Problem('"-" is given twice', "standard input can be read once"))
    request = answer_request(**answer_arguments(answers))
    runs = load_ensemble(run, store or default_folder(), arm=arm, calibrated=calibrate, request=request)
    answers_note = runs.answers.note if runs.answers is not None else ""
    if runs.ensemble.is_fused:
        import torch

        torch.set_num_threads(1)  # these networks are so small that threads cost more than they bring
    with ExitStack() as stack:
        paths = [stack.enter_context(spooled(sys.stdin.buffer)) if name == "-" else Path(name) for name in inputs]
        column = cast('Literal["first", "last"] | None', extra)
        predictions = PredictionStream(runs, paths, resize=resize, extra=column, skip_bad=True)
        seconds = write_predictions(predictions, output, probabilities=probabilities)
    if as_json:
        counts = dict(zip(runs.ensemble.classes, predictions.counts.tolist(), strict=True))
        print_json(
            {
                "output": str(output),
                "runs": [model.run.id for model in runs.models],
                "images": predictions.num_images,
                "seconds": seconds,
                "classes": counts,
                "temperature": runs.ensemble.temperature if calibrate else None,
                "refused": predictions.num_refused if request.refuse is not None else None,
                "notes": [*predictions.notes, *([answers_note] if answers_note else [])],
                "skipped": [{"file": name, "reason": reason} for name, reason in predictions.skipped],
            }
        )
        _end(predictions.skipped)
        return
    for name, reason in predictions.skipped[:_MOST_SKIPPED]:
        click.echo(f"Left out: {name} ({reason}).", err=True)
    for note in (*predictions.notes, runs.calibration_note, answers_note):
        if note:
            click.echo(note, err=True)
    click.echo(f"{counted(predictions.num_images, 'image')} in {seconds:.2f} s, by {runs.description}.", err=True)
    if request.refuse is not None:
        click.echo(f"{predictions.num_refused:,} refused: unlike the data.", err=True)
    if output is not None:
        click.echo(output)
    _end(predictions.skipped)


def _end(skipped: tuple[tuple[str, str], ...]) -> None:
    """Ends the command as one that has done a part, where files were left out."""
    if skipped:
        raise click.exceptions.Exit(EXIT_LEFT_OUT)
