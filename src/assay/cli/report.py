"""assay report"""

from __future__ import annotations

from pathlib import Path

import click

from .completion import studies
from .options import json_option, print_json, store_option, study_name

_NAMES = {"html": "Report", "pdf": "PDF", "notebook": "Notebook", "markdown": "Markdown", "latex": "LaTeX"}


@click.command("report")
@click.argument("study", shell_complete=studies, required=False)
@store_option
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Where to write it.  [default: in the store, reports/STUDY]"
)
@click.option("--pdf", is_flag=True, help="A PDF, printed by Chromium, Chrome or Edge.")
@click.option("--notebook", is_flag=True, help="An executed Jupyter notebook whose cells call Assay's Python API.")
@click.option("--markdown", is_flag=True, help="The tables in Markdown.")
@click.option("--latex", is_flag=True, help="The tables in LaTeX, with booktabs.")
@json_option
def command(
    study: str | None,
    store: Path | None,
    output: Path | None,
    pdf: bool,
    notebook: bool,
    markdown: bool,
    latex: bool,
    as_json: bool,
) -> None:
    """Write STUDY's report (by default of the latest study): one HTML file that needs no network.

    The options for other forms replace it. Several may be given; each then has its own suffix.
    """
    from ..api import result
    from ..report import SUFFIXES, ReportForm

    choices: dict[ReportForm, bool] = {"pdf": pdf, "notebook": notebook, "markdown": markdown, "latex": latex}
    forms: list[ReportForm] = [form for form, is_chosen in choices.items() if is_chosen] or ["html"]
    study_result = result(study_name(study, store), store=store)
    written = {}
    for form in forms:
        path = output.with_suffix(SUFFIXES[form]) if output is not None and len(forms) > 1 else output
        written[form] = study_result.report(path, form=form)
        if not as_json:
            click.echo(f"{_NAMES[form]}: {written[form].absolute().as_uri()}")
    if as_json:
        first = written[forms[0]]
        files = {form: str(path) for form, path in written.items()}
        print_json({"report": str(first), "bytes": first.stat().st_size, "files": files})
