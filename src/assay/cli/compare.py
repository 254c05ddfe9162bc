"""assay compare"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..numerals import counted
from ..spec.metric import metric_name
from .columns import read_column
from .completion import arms_and_factors, studies
from .options import json_option, print_json, store_option, study_name
from .tables import lowered, wrapped

if TYPE_CHECKING:
    from ..analysis import Comparison, Contrast
    from ..analysis.scores import Split


@click.command("compare")
@click.argument("study", shell_complete=studies, required=False)
@click.argument("names", nargs=-1, shell_complete=arms_and_factors, metavar="[A B | FACTOR]")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    help="The images to compare on.  [default: validation]",
)
@click.option(
    "--metric",
    metavar="NAME",
    help="The measure to compare by: balanced_accuracy, macro_f1, macro_auc, log_loss, brier_score, calibration_error, "
    "worst_class_recall, worst_group_accuracy, recall:CLASS, precision:CLASS. Any other than the study's own is "
    "exploratory.  [default: the study's own]",
)
@click.option(
    "--groups",
    metavar="FILE[:COLUMN]",
    help="For worst_group_accuracy: a table with a row for each training image, in their order, and the column of "
    "their groups.  [default: the data set's groups]",
)
@click.option(
    "--levels", "with_levels", is_flag=True, help="Also show each arm's mean, with an interval over seeds and images."
)
@store_option
@json_option
def command(
    study: str | None,
    names: tuple[str, ...],
    split: Split,
    metric: str | None,
    groups: str | None,
    with_levels: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Judge STUDY's arms (by default of the latest study): each against the first, and effects of factors.

    Name two arms, A and B, or one FACTOR, to judge only these. Runs are paired by seed. A verdict is a sentence:
    better, no difference that matters, no clear effect and what would settle it, or a refusal below 6 pairs.
    """
    from ..results.result import result

    if metric is not None:
        metric = _metric(metric)
    column = None if groups is None else read_column(groups)
    stored = result(study_name(study, store), store=store)
    comparison = stored.compare(*names, split=split, metric=metric, groups=column)
    levels = stored.levels(split=split, metric=metric, groups=column) if with_levels else None
    if as_json:
        more = {} if levels is None else {"levels": levels.to_dict("records")}
        print_json({**comparison.as_dict(), **more})
        return
    for line in comparison_lines(comparison):
        click.echo(line)
    if levels is not None:
        click.echo()
        for sentence in levels.attrs["sentences"]:
            click.echo(f"{sentence}.")


def _metric(text: str) -> str:
    """A metric's name; of a function of the user's own with the source of its code, which they name by writing it."""
    from ..runner.own_code import named_metric

    return named_metric(metric_name(text, "--metric"), "--metric")


def comparison_lines(comparison: Comparison) -> list[str]:
    width = min(shutil.get_terminal_size((100, 24)).columns, 110) if sys.stdout.isatty() else 100
    measure = comparison.measure
    unit = f", in {measure.unit.words}" if measure.unit.words else ""
    better = "" if measure.higher_is_better else ", lower is better"
    exploratory = " Exploratory: the study goes by another metric." if comparison.is_exploratory else ""
    what = f"{comparison.split.capitalize()} {measure.label}{unit}{better}, paired by seed.{exploratory}"
    lines = wrapped(what, width)
    if comparison.general:
        lines += ["", *wrapped("IN GENERAL, over all data sets: how much the error rate changes", width)]
        for one in comparison.general:
            mark = {"better": "+", "worse": "-"}.get(one.outcome, "?")
            lines += wrapped(f"{one.sentence}.", width, f"{mark} ", "  ")
            lines += wrapped(one.details, width, "    ", "    ")
    if comparison.race is not None:
        lines += ["", "THE BEST", *wrapped(f"{comparison.race.headline(measure)}.", width, "+ ", "  ")]
        lines += wrapped("; ".join(comparison.race.details), width, "    ", "    ")
    if comparison.effects:
        lines += ["", *wrapped("FACTORS, each averaged over the others: the study's question, one family", width)]
        lines += _family(comparison.effects, width)
    if comparison.contrasts:
        against = f" against {comparison.contrasts[0].baseline}" if len(comparison.contrasts) > 1 else ""
        if comparison.general:
            against = ", on each data set by itself"
        if comparison.race is not None:
            against += ": estimates"
        lines += ["", f"ARMS{against}"]
        lines += _family(comparison.contrasts, width)
    if comparison.ranking:
        lines += [
            "",
            f"RANKS, the mean over {counted(comparison.ranking.n, 'seed')} that all arms have (1 is the best)",
        ]
        lines += _ranks(comparison, width)
    lines.append("")
    for note in comparison.notes:
        lines += wrapped(f"{note}.", width)
    return lines


def _family(contrasts: Sequence[Contrast], width: int) -> list[str]:
    lines = []
    for contrast in contrasts:
        mark = {"better": "+", "worse": "-", "mixed": "~", "equivalent": "="}.get(contrast.outcome, "?")
        is_refused = contrast.outcome == "too few seeds"
        sentence = f"{contrast.arm}: {lowered(contrast.sentence)}" if is_refused else contrast.sentence
        lines += wrapped(f"{sentence}.", width, f"{mark} ", "  ")
        if contrast.details:
            lines += wrapped(contrast.details, width, "    ", "    ")
    return lines


def _ranks(comparison: Comparison, width: int) -> list[str]:
    assert comparison.ranking is not None
    means = comparison.ranking.mean_ranks
    order = sorted(range(len(means)), key=lambda index: means[index])
    groups = list(zip("abcdefghijklmnopqrstuvwxyz", comparison.ranking.groups, strict=False))
    letters = {index: "".join(letter for letter, group in groups if index in group) for index in order}
    lines = [f"  {means[index]:5.2f}  {letters[index]:<3} {comparison.arms[index]}"[:width] for index in order]
    critical = comparison.ranking.critical_difference
    note = "Arms that share a letter are not told apart by pairwise sign-flip tests after Holm."
    if comparison.ranking.refusal:
        note = f"{comparison.ranking.refusal}."
    if critical is not None:
        note += f" Nemenyi's critical difference is {critical:.2f}; it depends on which arms are ranked."
    return lines + wrapped(note, width, "  ", "  ")
