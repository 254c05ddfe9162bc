"""assay compare"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import json_option, print_json, store_option, study_name
from .tables import lowered, wrapped

if TYPE_CHECKING:
    from ..analysis import Comparison, Contrast
    from ..analysis.scores import Split


@click.command("compare")
@click.argument("study", required=False)
@click.argument("names", nargs=-1, metavar="[A B | FACTOR]")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    help="Whose accuracy.  [default: validation]",
)
@store_option
@json_option
def command(study: str | None, names: tuple[str, ...], split: Split, store: Path | None, as_json: bool) -> None:
    """Verdicts on STUDY's arms (the latest study if none is named): each against the first, with its factors' effects.

    Two arms, A and B, or one FACTOR may be named. Runs are paired by seed. A verdict is a sentence: better, no
    difference that matters, no clear effect and what would settle it, or a refusal below 6 pairs.
    """
    from ..api import result

    comparison = result(study_name(study, store), store=store).compare(*names, split=split)
    if as_json:
        print_json(comparison.as_dict())
        return
    for line in _lines(comparison):
        click.echo(line)


def _lines(comparison: Comparison) -> list[str]:
    width = min(shutil.get_terminal_size((100, 24)).columns, 110) if sys.stdout.isatty() else 100
    lines = [f"{comparison.split.capitalize()} accuracy, in percentage points, paired by seed."]
    if comparison.effects:
        lines += ["", *wrapped("FACTORS, each averaged over the others: the study's question, one family", width)]
        lines += _family(comparison.effects, width)
    if comparison.contrasts:
        against = f" against {comparison.contrasts[0].baseline}" if len(comparison.contrasts) > 1 else ""
        lines += ["", f"ARMS{against}"]
        lines += _family(comparison.contrasts, width)
    if comparison.ranking:
        lines += ["", f"RANKS, the mean over {comparison.ranking.n} seeds that all arms have (1 is the best)"]
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
