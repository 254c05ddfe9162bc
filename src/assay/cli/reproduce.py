"""assay reproduce"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..numerals import counted
from .main import EXIT_DONE
from .options import json_option, print_json, store_option
from .tables import print_table, say

if TYPE_CHECKING:
    from ..documents import Cost, Reproduction

WORTH_ASKING = 600.0  # seconds


@click.command("reproduce")
@click.argument("keys", nargs=-1)
@click.option("--as-published", is_flag=True, help="Repeat the published protocol, with its leaks and unscaled inputs.")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds per network, instead of each study's count.")
@click.option("--yes", is_flag=True, help="Do not ask before more than 10 minutes of training.")
@click.option("--show", is_flag=True, help="Train nothing: show what the store holds.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the page here, .html or .md.")
@click.option("--workers", type=click.IntRange(min=1), help="Runs at a time.  [default: as many as cores]")
@store_option
@json_option
def command(
    keys: tuple[str, ...], as_published: bool, seeds: int | None, yes: bool, show: bool, output: Path | None,
    workers: int | None, store: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Train the networks of documents A to E and compare them with the published results.

    KEYS are documents (A ... E) or systems (A-no-dropout); all if there are none.
    """
    from ..documents import reproduce
    from ..runner.progress import JsonLines, Lines, Live

    progress = JsonLines(sys.stderr) if as_json else Live() if sys.stderr.isatty() else Lines()
    reproduction = reproduce(
        *keys, as_published=as_published, seeds=seeds, store=store, workers=workers, progress=progress,
        confirm=lambda costs: _is_confirmed(costs, yes), trains=not show,
    )  # fmt: skip
    path = reproduction.write(output)
    if as_json:
        print_json(_values(reproduction, path))
    else:
        _print(reproduction)
        click.echo(f"Page: {path.absolute().as_uri()}")
    return EXIT_DONE


def _is_confirmed(costs: Sequence[Cost], yes: bool) -> bool:
    from ..numerals import seconds as duration

    if not costs:
        return True
    for cost in costs:
        click.echo(
            f"{cost.study}: {counted(cost.num_runs, 'run')}, {cost.flops / 1e12:,.0f} TFLOP at "
            f"{cost.flops_per_second / 1e9:,.0f} GFLOP/s a core: at most {duration(cost.seconds)}",
            err=True,
        )
    total = sum(cost.seconds for cost in costs)
    if total <= WORTH_ASKING or yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(f"this may take {duration(total)}; add --yes, or name fewer systems or seeds.")
    return click.confirm(f"This may take {duration(total)}. Continue?", default=True, err=True)


def _print(reproduction: Reproduction) -> None:
    from ..documents.page import system_cells, verdict_sentence

    columns = ("system", "parameters", "published", "ours, mean [95 %]", "n", "within spread")
    title = (
        "As published: leaky validation and raw inputs, as the documents have them."
        if reproduction.is_as_published
        else ""
    )
    print_table(columns, [system_cells(row) for row in reproduction.rows], right=(1, 2, 3, 4), title=title)
    for judged in reproduction.verdicts:
        say(f"{judged.claim.document}: {verdict_sentence(judged)}")


def _values(reproduction: Reproduction, path: Path) -> dict[str, object]:
    return {
        "as_published": reproduction.is_as_published,
        "page": str(path),
        "systems": [
            {
                "key": row.system.key, "published": row.system.accuracy, "parameters": row.parameters,
                "published_parameters": row.system.parameters, "accuracy": row.scores, "loss": row.losses,
                "seconds": [run.seconds for run in row.runs], "waits": row.system.waits,
            }
            for row in reproduction.rows
        ],
        "claims": [
            {"document": f.claim.document, "claim": f.claim.text, "verdict": f.verdict, "evidence": f.sentence}
            for f in reproduction.verdicts
        ],
    }  # fmt: skip
