"""assay ledger"""

from __future__ import annotations

from pathlib import Path

import click

from ..numerals import counted, moment, p_value
from .options import json_option, print_json, store_option
from .tables import print_table, say


@click.command("ledger")
@store_option
@click.option("--all", "show_all", is_flag=True, help="Also list comparisons without a claim.")
@json_option
def command(store: Path | None, show_all: bool, as_json: bool) -> None:
    """List every claim of the store in order, and which ones stand at a false discovery rate of 5 %.

    Each verdict errs in at most 5 % of studies, so some claims of many studies are false. A claim stands if its p value
    is at most the level that its comparison got when it was first judged. The levels follow LORD++, which holds for any
    number of studies (docs/explanation/statistics.md). Listing claims is no look.
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
