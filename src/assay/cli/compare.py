"""assay compare"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import json_option, print_json, store_option, study_name
from .tables import wrapped

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
    difference that matters, undecided and how many more seeds would tell, or a refusal below 6 pairs.
    """
    from ..api import result

    found = result(study_name(study, store), store=store).compare(*names, split=split)
    if as_json:
        print_json(found.as_dict())
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: Comparison) -> list[str]:
    width = min(shutil.get_terminal_size((100, 24)).columns, 110) if sys.stdout.isatty() else 100
    lines = [f"{found.split.capitalize()} accuracy, in percentage points, paired by seed."]
    if found.effects:
        lines += ["", "FACTORS, each averaged over the others"]
        lines += _family(found.effects, width)
    if found.contrasts:
        against = f" against {found.contrasts[0].baseline}" if len(found.contrasts) > 1 else ""
        lines += ["", f"ARMS{against}"]
        lines += _family(found.contrasts, width)
    if found.ranking:
        lines += ["", f"RANKS, the mean over {found.ranking.n} seeds that all arms have (1 is the best)"]
        lines += _ranks(found, width)
    lines.append("")
    for note in found.notes:
        lines += wrapped(f"{note}.", width)
    return lines


def _family(contrasts: Sequence[Contrast], width: int) -> list[str]:
    lines = []
    for contrast in contrasts:
        mark = {"better": "+", "worse": "-", "equivalent": "="}.get(contrast.outcome, "?")
        said = contrast.sentence
        if contrast.outcome == "too few seeds":
            said = f"{contrast.arm}: {said}"
        lines += wrapped(f"{said}.", width, f"{mark} ", "  ")
        if beside := _beside(contrast):
            lines += wrapped(beside, width, "    ", "    ")
    return lines


def _beside(contrast: Contrast) -> str:
    """The evidence beside a verdict, on a line of its own."""
    found, parts = contrast.finding, []
    if found.difference and not found.look:
        name = "corrected t" if found.is_corrected else "sign-flip"
        parts.append(f"{name} p {found.difference.p_value:.2g}")
    if found.equivalence_p is not None:
        parts.append(f"equivalence p {found.equivalence_p:.2g}")
    if found.superiority:
        wins = found.superiority
        is_interaction = contrast.effect is not None and contrast.effect.is_interaction
        who = f"higher with {contrast.arm}" if is_interaction else f"{contrast.arm} wins"
        parts.append(f"{who} on {wins.mean:.0%} of seeds [{wins.low:.0%}, {wins.high:.0%}]")
    if found.bootstrap:
        parts.append(f"BCa bootstrap [{100 * found.bootstrap.low:.2f}, {100 * found.bootstrap.high:.2f}]")
    if found.smallest is not None:
        parts.append(f"n = {found.n} could find {100 * found.smallest:.2f}")
    return "; ".join(parts)


def _ranks(found: Comparison, width: int) -> list[str]:
    assert found.ranking is not None
    means = found.ranking.mean_ranks
    order = sorted(range(len(means)), key=lambda index: means[index])
    groups = list(zip("abcdefghijklmnopqrstuvwxyz", found.ranking.groups, strict=False))
    letters = {index: "".join(letter for letter, group in groups if index in group) for index in order}
    lines = [f"  {means[index]:5.2f}  {letters[index]:<3} {found.arms[index]}"[:width] for index in order]
    critical = found.ranking.critical_difference
    told = "Arms that share a letter are not told apart by pairwise sign-flip tests after Holm."
    if critical is not None:
        told += f" Nemenyi's critical difference is {critical:.2f}; it depends on which arms are ranked."
    return lines + wrapped(told, width, "  ", "  ")
