"""assay reveal"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from ..errors import NoSuchStudy, Problem, SpecError
from ..numerals import counted, percent
from ..store import RunRecord, StudyRecord
from .completion import arms, studies
from .main import EXIT_DONE, EXIT_FAILED_RUNS
from .options import json_option, print_json, store_option, study_name


@click.command("reveal")
@click.argument("study", shell_complete=studies, required=False)
@store_option
@click.option(
    "--retrain",
    metavar="ARM",
    shell_complete=arms,
    help="Train this arm again on training and validation images, and score only these runs.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the test split is opened.")
@click.option("--workers", type=click.IntRange(min=1), help="Runs at a time, with --retrain.  [default: all cores]")
@json_option
def command(
    study: str | None, store: Path | None, retrain: str | None, yes: bool, workers: int | None, as_json: bool
) -> int:
    """Score STUDY's finished runs on the sealed test split, once, and record the look.

    Assay asks before it opens the test split. If every finished run has its score already, the scores are shown again,
    which is no look.

    Choose on validation images first. A choice that is made after a look at the test split is not tested by it. With
    --retrain ARM, the chosen arm is trained again with the study's seeds on training and validation images together,
    and only these runs are scored. A limit on the images of each class stays.
    """
    from ..analysis import elsewhere
    from ..api import result
    from ..results.reveal import num_unscored
    from ..runner.progress import JsonLines, Lines, Live
    from ..spec.arms import arm_name
    from .status import print_answer

    study_result = result(_named(study, store), store=store)
    record = study_result.brief
    if retrain is not None:
        retrain = arm_name(retrain, [arm.name for arm in record.arms], study_result.study)
    if (count := num_unscored(record, retrain)) and not yes:
        _ask(record, study_result.store, count, retrain)
    progress = JsonLines(sys.stderr) if as_json else Live() if sys.stderr.isatty() else Lines()
    scored: list[tuple[RunRecord, float]] = []
    frame = study_result.reveal(
        retrain=retrain,
        on_progress=_show_progress if sys.stderr.isatty() and not as_json else lambda num_done, num_runs: None,
        on_scored=lambda run, accuracy: scored.append((run, accuracy)),
        workers=workers,
        progress=progress,
    )
    record = study_result.record
    runs = record.runs if retrain is None else tuple(run for run in record.retrained if run.arm == retrain)
    if as_json:
        scores = [
            {"run": run.id, "arm": run.arm, "seed": run.seed, "fold": run.fold, "accuracy": run.test_accuracy,
             "loss": run.test_loss}
            for run in runs
            if run.test_accuracy is not None
        ]  # fmt: skip
        facts = {"study": record.name, "looks": len(record.looks), "looks_elsewhere": record.looks_elsewhere,
                 "leaky": record.is_leaky, "retrained": retrain}  # fmt: skip
        print_json({**facts, "scores": scores, "unscored": frame.attrs["unscored"]})
    else:
        _print_scores(record, scored, is_retrained=retrain is not None)
        if retrain is None:
            print_answer(study_result.shown)
        else:
            _print_retrained(retrain, record)
        click.echo(f"Looks at the test split so far: {len(record.looks)}{elsewhere(record)}")
    for label, reason in frame.attrs["unscored"].items():
        click.echo(f"{label} has no score: {reason}", err=True)
    is_lacking = frame.attrs["unscored"] or (retrain is not None and any(run.is_failed for run in runs))
    return EXIT_FAILED_RUNS if is_lacking else EXIT_DONE


def _named(study: str | None, store: Path | None) -> str:
    """The study that is named: the test split is never opened of one that was guessed."""
    from ..api import studies

    if study is None:
        known = ", ".join(studies(store))
        raise NoSuchStudy(
            Problem("no study is named", f"the store holds {known}: name one" if known else "the store holds none")
        )
    return study_name(study, store)


def _show_progress(num_done: int, num_runs: int) -> None:
    click.echo(f"\r{num_done} of {counted(num_runs, 'run')} scored", nl=num_done == num_runs, err=True)


def _ask(record: StudyRecord, folder: Path, count: int, retrain: str | None) -> None:
    """Asks before the test split is opened.

    Raises:
        SpecError: There is no terminal to ask.
        click.Abort: The answer is no.
    """
    from ..analysis import elsewhere
    from ..results.recorded import dataset_of
    from ..results.reveal import looks_so_far
    from ..store import parts_of

    study, what = record.name, counted(count, "finished run")
    if retrain is not None:
        what = f"{retrain}, trained anew with {counted(count, 'seed')},"
    if not sys.stdin.isatty():
        raise SpecError(
            Problem(f'this would score {what} on the sealed test split of "{study}"', "add --yes if it may")
        )
    others = [looks_so_far(part, dataset_of(part), folder).looks_elsewhere for part in parts_of(record).values()]
    record = replace(record, looks_elsewhere=max(others))
    click.echo(f"Looks at these test images so far: {len(record.looks)}{elsewhere(record)}.", err=True)
    click.echo(
        f'This scores {what} on the sealed test split of "{study}" and counts as a look: what is chosen after it is no '
        "longer tested by it.",
        err=True,
    )
    click.confirm("Open the test split?", default=False, abort=True, err=True)


def _print_scores(record: StudyRecord, scored: Sequence[tuple[RunRecord, float]], *, is_retrained: bool) -> None:
    """Each newly scored run, by the study's metric; a run of an arm trained again by its accuracy alone."""
    from ..analysis.measured import measure_of, run_values
    from ..measures import ACCURACY

    measure = measure_of(record)
    values: dict[str, float] = {}
    if scored and measure != ACCURACY and not is_retrained:
        values = dict(zip(record.columns.ids, run_values(record, "test").tolist(), strict=True))
    for run, accuracy in scored:
        text = percent(accuracy) if measure == ACCURACY else f"accuracy {percent(accuracy)}"
        if math.isfinite(value := values.get(run.id, math.nan)):
            text = f"{measure.label} {measure.unit.value(value)}"
        click.echo(f"{run.arm}, {run.label}: {text} on the test split", err=True)


def _print_retrained(arm: str, record: StudyRecord) -> None:
    from ..analysis import retrained_sentences

    runs = tuple(run for run in record.retrained if run.arm == arm)
    for sentence in retrained_sentences(replace(record, retrained=runs)):
        click.echo(f"On test: {sentence}.")
    for run in runs:
        if run.is_failed:
            click.echo(f"Seed {run.seed} has no score: {run.state}: {run.reason}; {run.advice}")
