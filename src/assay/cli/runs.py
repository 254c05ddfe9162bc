"""assay runs"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json, print_table, store_option, study_name


@click.command("runs")
@click.argument("study", required=False)
@store_option
@click.option("--arm", help="Only this arm.")
@click.option("--state", help="Only runs in this state: finished, running, queued, diverged, failed ...")
@json_option
def command(study: str | None, store: Path | None, arm: str | None, state: str | None, as_json: bool) -> None:
    """STUDY's runs, one a line (the latest study if none is named)."""
    from ..api import result
    from ..errors import Problem, SpecError, nearest

    record = result(study_name(study, store), store=store).record
    arms = [known.name for known in record.arms]
    if arm is not None and arm not in arms:
        raise SpecError(Problem(f'study "{record.name}" has no arm "{arm}"', nearest(arm, arms)))
    runs = [run for run in record.runs if arm in (None, run.arm) and state in (None, run.state)]
    if as_json:
        from dataclasses import asdict

        print_json([asdict(run) for run in runs])
        return
    rows = []
    for run in runs:
        last = run.last
        rows.append(
            [
                run.id[:10],
                run.arm,
                str(run.seed),
                run.state,
                f"{len(run.epochs)}/{run.epochs_planned}",
                f"{last.validation_accuracy:.2%}" if last else "",
                f"{run.test_accuracy:.2%}" if run.test_accuracy is not None else "",
                f"{run.seconds:.1f}" if run.seconds is not None else "",
                run.reason,
            ]
        )
    columns = ["run", "arm", "seed", "state", "epochs", "validation", "test", "seconds", "reason"]
    print_table(columns, rows, right=[2, 4, 5, 6, 7])
