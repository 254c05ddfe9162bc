"""assay diagnose"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from ..numerals import counted
from .completion import arms, studies
from .options import json_option, print_json, store_option, study_name
from .tables import wrapped


@click.command("diagnose")
@click.argument("study", shell_complete=studies, required=False)
@click.option("--arm", shell_complete=arms, help="Show only this arm, run by run.")
@store_option
@json_option
def command(study: str | None, arm: str | None, store: Path | None, as_json: bool) -> None:
    """Find problems of STUDY's runs (by default of the latest study), with evidence and what to try.

    Rules on the recorded curves find overfitting, underfitting, unsuitable learning rates, dead units, classes that are
    never predicted, and more.
    """
    from ..analysis.scores import LEAKY
    from ..api import result
    from ..spec.arms import arm_name
    from ..stats.diagnose import MIN_EPOCHS

    diagnoses = result(study_name(study, store), store=store).diagnose()
    if arm is not None:
        arm = arm_name(arm, list(diagnoses.looked_at), diagnoses.study)
    if as_json:
        values = diagnoses.as_dict()
        if arm is not None:
            values["runs"] = [run for run in values["runs"] if run["arm"] == arm]
            values["arms"] = [row for row in values["arms"] if row["arm"] == arm]
        print_json(values)
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, 110) if sys.stdout.isatty() else 100

    def say(text: str, indent: str = "") -> None:
        for line in wrapped(text, width, indent, indent):
            click.echo(line)

    if diagnoses.leaky:
        say(LEAKY)
    for name, count in diagnoses.looked_at.items():
        if arm not in (None, name):
            continue
        kinds = [row for row in diagnoses.arms if row.arm == name]
        runs = f"{counted(count, 'run')} looked at"
        short = diagnoses.too_short.get(name, 0)
        say(f"{name}: {runs}" + ("" if kinds or short or not count else ", nothing wrong found"))
        if short:
            who = "it has" if count == 1 else "all have" if short == count else f"{short} have"
            say(
                f"{who} fewer than {MIN_EPOCHS} epochs: too few to judge over- or underfitting, rates and convergence",
                "  ",
            )
        for row in kinds:
            say(f"{row.kind}, {row.num_runs} of {row.of}", "  ")
            if arm is None:
                say(f"{row.example.evidence} (seed {row.seed}).", "    ")
            else:
                for run in diagnoses.runs:
                    if run.arm == name and run.diagnosis.kind == row.kind:
                        fold = f", fold {run.fold}" if run.fold else ""
                        say(f"seed {run.seed}{fold}: {run.diagnosis.evidence}.", "    ")
            say(f"Try: {row.example.advice}.", "    ")
            say(f"Rule: {row.example.source}.", "    ")
