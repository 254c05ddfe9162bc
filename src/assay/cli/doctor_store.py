"""assay doctor STORE"""

from __future__ import annotations

from pathlib import Path

import click

from ..numerals import counted
from ..store import Finding, checkup, repair
from .main import EXIT_BAD_INPUT, EXIT_DONE
from .options import print_json


def check_store(store: Path, as_json: bool) -> int:
    """Print what is wrong with a store."""
    checked = checkup(store)
    findings = checked.findings
    if as_json:
        print_json({"rows": checked.num_rows, "weights": checked.files.num_hashed, "findings": _plain(findings)})
        return EXIT_BAD_INPUT if findings else EXIT_DONE
    for finding in findings:
        click.echo(f"!! {finding.what}" + (f" -> {finding.remedy}" if finding.remedy else ""))
    rows = (
        counted(checked.num_rows, "row") if checked.has_checksums else "rows of an earlier version, without checksums"
    )
    if not findings:
        click.echo(f"{store} is sound: SQLite's check, {rows}, {counted(checked.files.num_hashed, 'file')} of weights.")
    elif any(finding.is_mendable for finding in findings):
        click.echo(f"`assay doctor {store} --repair` does what stands behind the arrows; a copy is kept.")
    if checked.is_written:
        click.echo("note: a process writes this store now: what it is at was not looked at.", err=True)
    return EXIT_BAD_INPUT if findings else EXIT_DONE


def mend_store(store: Path, as_json: bool) -> int:
    """Mend a store and print what was done."""
    repairs = repair(store)
    if as_json:
        folder = str(repairs.folder) if repairs.folder else None
        print_json({"repairs": list(repairs.notes), "copy": folder, "left": _plain(repairs.left)})
        return EXIT_BAD_INPUT if repairs.left else EXIT_DONE
    if repairs.folder is None:
        click.echo(f"{store} is sound; nothing was changed.")
        return EXIT_DONE
    for note in repairs.notes:
        click.echo(f"ok {note}")
    for finding in repairs.left:
        click.echo(f"!! {finding.what} -> {finding.remedy}")
    click.echo(f"The database as it was lies in {repairs.folder}.")
    return EXIT_BAD_INPUT if repairs.left else EXIT_DONE


def _plain(findings: list[Finding] | tuple[Finding, ...]) -> list[dict[str, object]]:
    return [{"found": one.what, "remedy": one.remedy, "mendable": one.is_mendable} for one in findings]
