"""assay ledger"""

from __future__ import annotations

from pathlib import Path

import click

from ..numerals import counted, moment, p_value
from .options import json_option, print_json, store_option
from .tables import print_table, say


@click.command("ledger")
@store_option
@click.option("--all", "show_all", is_flag=True, help="Also comparisons of which nothing is claimed.")
@json_option
def command(store: Path | None, show_all: bool, as_json: bool) -> None:
    """Every claim that the store has made, in order, and which stand with the false discovery rate at 5 %.

    Each verdict errs in at most 5 % of studies; of many studies some claims are false. A claim stands where its p is at
    most the level that its comparison was given when it was first judged: LORD++, which holds over any number of
    studies (docs/explanation/statistics.md). Listing them is no look.
    """
    from ..api import ledger

    result = ledger(store)
    if as_json:
        print_json(result.as_dict())
        return
    say(f"{result.headline}.")
    entries = result.entries if show_all else result.claims
    if entries:
        click.echo()
        rows = [
            [
                str(entry.number), moment(entry.claimed or entry.begun), entry.study, f"{entry.label}: {entry.outcome}",
                p_value(entry.p), p_value(entry.level), entry.standing,
            ]
            for entry in entries
        ]  # fmt: skip
        columns = ["#", "when", "study", "claim", "p", "needs", "standing"]
        print_table(columns, rows, right=[0, 4, 5])
    if result.entries:
        click.echo()
        need = f"p {p_value(result.next_level)} or less, which takes {counted(result.next_seeds, 'seed')} or more"
        say(f"{result.method}. A new study's first comparison would need {need}.")
