"""assay reveal"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json, store_option, study_name


@click.command("reveal")
@click.argument("study", required=False)
@store_option
@json_option
def command(study: str | None, store: Path | None, as_json: bool) -> None:
    """Score STUDY's finished runs on the sealed test split, once, and record the look.

    Choose on validation first: what is chosen after a look at the test split is no longer tested by it.
    """
    from ..api import result
    from .status import print_answer

    found = result(study_name(study, store), store=store)
    found.reveal(
        on_scored=lambda run, accuracy: (
            None if as_json else click.echo(f"{run.arm}, seed {run.seed}: {accuracy:.2%} on the test split", err=True)
        )
    )
    record = found.record
    if as_json:
        scores = [
            {"run": run.id, "arm": run.arm, "seed": run.seed, "accuracy": run.test_accuracy, "loss": run.test_loss}
            for run in record.runs
            if run.test_accuracy is not None
        ]
        print_json({"study": record.name, "looks": len(record.looks), "scores": scores})
        return
    print_answer(record)
    click.echo(f"Looks at the test split so far: {len(record.looks)}")
