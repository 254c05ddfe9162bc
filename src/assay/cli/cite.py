"""assay cite"""

from __future__ import annotations

from pathlib import Path

import click

from .completion import studies
from .options import json_option, print_json, store_option, study_name


@click.command("cite")
@click.argument("study", shell_complete=studies, required=False)
@store_option
@json_option
def command(study: str | None, store: Path | None, as_json: bool) -> None:
    """Print BibTeX of STUDY's data set and methods (by default of the latest study)."""
    from ..api import result
    from ..report import bibtex, references

    citations = references(result(study_name(study, store), store=store).record)
    if as_json:
        print_json(
            [{"key": reference.key, "use": reference.use, "bibtex": reference.bibtex} for reference in citations]
        )
        return
    click.echo(bibtex(citations), nl=False)
