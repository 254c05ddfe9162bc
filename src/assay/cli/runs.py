"""assay runs"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ..analysis.scores import LEAKY
from ..numerals import percent
from ..store.records import State
from .completion import arms, studies
from .options import json_option, print_json, store_option, study_name
from .tables import print_table, without_empty

if TYPE_CHECKING:
    from ..results.result import Result


@click.command("runs")
@click.argument("study", shell_complete=studies, required=False)
@store_option
@click.option("--arm", shell_complete=arms, help="Show only this arm.")
@click.option("--state", type=click.Choice(get_args(State)), help="Show only runs in this state.")
@click.option("--retrained", is_flag=True, help="List the runs of reveal --retrain instead.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print a table with everything that verdicts depend on, for `assay judge`."
)
@json_option
def command(
    study: str | None,
    store: Path | None,
    arm: str | None,
    state: str | None,
    retrained: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List STUDY's runs (by default of the latest study), one a line."""
    from ..api import result
    from ..spec.arms import arm_name

    stored = result(study_name(study, store), store=store)
    if as_csv:
        _print_csv(stored, {"--arm": arm, "--state": state, "--retrained": retrained, "--json": as_json})
        return
    record = stored.record
    all_runs = record.retrained if retrained else record.runs
    arms = [arm_record.name for arm_record in record.arms]
    if record.search is not None and not retrained:
        all_runs = (*record.search.runs, *record.runs)
        arms = list(dict.fromkeys(run.arm for run in all_runs))
    if arm is not None:
        arm = arm_name(arm, arms, record.name)
    runs = [run for run in all_runs if arm in (None, run.arm) and state in (None, run.state)]
    if as_json:
        from dataclasses import asdict

        print_json([{**asdict(run), "stopped_epoch": run.stopped_epoch} for run in runs])
        return
    has_folds = any(run.fold for run in runs)
    has_kept = any(run.kept is not run.last for run in runs)
    rows = []
    for run in runs:
        kept = run.kept
        has_score = kept is not None and math.isfinite(kept.validation_accuracy)
        rows.append(
            [
                run.id[:10],
                run.arm,
                str(run.seed),
                *([str(run.fold)] if has_folds else []),
                run.state,
                f"{len(run.epochs)}/{run.epochs_planned}",
                *([str(kept.epoch) if kept else ""] if has_kept else []),
                f"{percent(kept.validation_accuracy)}" if kept and has_score else "",
                f"{percent(run.test_accuracy)}" if run.test_accuracy is not None else "",
                f"{run.seconds:.1f}" if run.seconds is not None else "",
                f"{run.joules:.0f}" if run.joules is not None else "",
                run.reason,
            ]
        )
    head = ["run", "arm", "seed", *(["fold"] if has_folds else []), "state", "epochs", *(["kept"] if has_kept else [])]
    columns = [*head, "validation", "test", "seconds", "joules", "reason"]
    numbers = {"seed", "fold", "epochs", "kept", "validation", "test", "seconds", "joules"}
    columns, rows = without_empty(columns, rows, may_go=("test", "joules", "reason"))
    title = LEAKY if record.is_leaky else ""
    print_table(columns, rows, right=[i for i, name in enumerate(columns) if name in numbers], title=title)


def _print_csv(stored: Result, others: Mapping[str, object]) -> None:
    """The whole table: without some of its runs, verdicts on it would not be the study's."""
    from ..judging.export import table_text

    if given := [option for option, value in others.items() if value]:
        raise click.UsageError(f"--csv writes every run, and {given[0]} would leave some out; give one of the two.")
    click.echo(table_text(stored.scores()), nl=False)
