"""assay convert"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The study file to write.  [default: print it]")
@json_option
def command(source: Path, output: Path | None, as_json: bool) -> None:
    """Keras models as a study file: SOURCE is a notebook (.ipynb), a script (.py) or a saved model (.keras).

    Sequential models are read, and nothing is run: code is parsed, and a .keras file is read as settings and arrays.
    """
    from dataclasses import asdict

    from ..api import convert
    from ..disk import write
    from ..spec.files import study_toml

    conversion = convert(source)
    text = study_toml(conversion.study)
    if as_json:
        models = [{**asdict(model), "lines": list(model.lines)} for model in conversion.models]
        print_json({"source": str(source), "models": models, "notes": conversion.notes, "study": text})
    elif output is None:
        click.echo(text, nl=False)
    if output is not None:
        write(output, text.encode())
    if as_json:
        return
    for note in conversion.notes:
        click.echo(note, err=True)
    for model in conversion.models:
        size = f", {model.parameters:,} parameters" if model.parameters is not None else ""
        click.echo(f"{model.name}: {len(model.lines)} layers{size}.", err=True)
    if output is not None:
        click.echo(output)
