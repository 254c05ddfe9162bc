"""assay report"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json, store_option, study_name


@click.command("report")
@click.argument("study", required=False)
@store_option
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where to write it.  [default: in the store]")
@json_option
def command(study: str | None, store: Path | None, output: Path | None, as_json: bool) -> None:
    """Write STUDY's report: one HTML file that needs no network (the latest study if none is named)."""
    from ..api import result

    path = result(study_name(study, store), store=store).report(output)
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(f"Report: {path.absolute().as_uri()}")
