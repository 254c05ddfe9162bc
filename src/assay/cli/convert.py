"""assay convert"""

from __future__ import annotations

from pathlib import Path

import click

from ..numerals import counted
from .options import json_option, print_json


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The study file to write.  [default: print it]")
@click.option("--run", "runs", is_flag=True, help="Run the file's code, and convert what it builds and trains.")
@click.option("--seconds", type=click.FloatRange(min=1), default=300, show_default=True,
              help="With --run: the time limit for the code.")  # fmt: skip
@json_option
def command(source: Path, output: Path | None, runs: bool, seconds: float, as_json: bool) -> None:
    """Convert Keras models to a study file.

    SOURCE is a notebook (.ipynb), a script (.py) or a saved model (.keras, .h5). Without --run, no code is run. A saved
    model is read as settings and arrays. In code, Sequential models of literal layers are read; anything that only
    running the code can tell is refused.

    With --run, the code runs in a process of its own, without network and with limits of time and memory. There, fit
    records its settings and data and returns at once. Run only code that you trust.
    """
    if runs:
        _run(source, output, seconds, as_json)
        return
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
        size = f", {counted(model.parameters, 'parameter')}" if model.parameters is not None else ""
        click.echo(f"{model.name}: {counted(len(model.lines), 'layer')}{size}.", err=True)
    if output is not None:
        click.echo(output)


def _run(source: Path, output: Path | None, seconds: float, as_json: bool) -> None:
    import tempfile
    from dataclasses import asdict

    from ..api import convert_by_running
    from ..spec.files import study_toml

    click.echo(f"Running the code of {source} in a process of its own; nothing is trained.", err=True)
    with tempfile.TemporaryDirectory(prefix="assay-convert-") as folder:
        conversion = convert_by_running(source, folder, seconds=seconds)
        paths = conversion.write(output) if output is not None else []
    texts = [study_toml(one.study) for one in conversion.studies]
    if as_json:
        models = [{**asdict(model), "lines": list(model.lines)} for model in conversion.models]
        values = {"source": str(source), "models": models, "notes": conversion.notes, "studies": texts}
        print_json({**values, "study": texts[0], "files": list(map(str, paths))})
        return
    if output is None:
        click.echo("\n".join(texts), nl=False)
    for note in conversion.notes:
        click.echo(note, err=True)
    for model in conversion.models:
        size = f", {counted(model.parameters, 'parameter')}" if model.parameters is not None else ""
        click.echo(f"{model.name}: {counted(len(model.lines), 'layer')}{size}.", err=True)
    if output is None and any(one.arrays is not None for one in conversion.studies):
        click.echo("Its images are kept as arrays: give -o FILE, and they are written beside it.", err=True)
    for path in paths:
        click.echo(path)
