"""assay export"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .completion import studies
from .options import answer_arguments, answer_options, json_option, print_json, store_option


@click.command("export")
@click.argument("run", shell_complete=studies)
@click.option(
    "--format",
    "formats",
    multiple=True,
    required=True,
    help="The format: keras, onnx, onnx-int8, onnx-int4, litert, litert-int8, torch, huggingface, safetensors, c, "
    "c-int4, c-int2 or c-ternary; may be given several times.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder to write to.  [default: STUDY-RUN]")
@answer_options
@store_option
@json_option
def command(
    run: str, formats: tuple[str, ...], output: Path | None, store: Path | None, as_json: bool, **answers: Any
) -> None:
    """Write the network of RUN as files that others can run, and a model card.

    RUN is the beginning of a run's id or a study's name, which means the first seed of its best arm. Files take stored
    pixel values and return probabilities; scaling is included. Every file that can be run is checked against the run's
    predictions.

    With --sets and --refuse, answers.json and the model card describe how to make sets of classes that hold the true
    class as often as promised, and how to detect images unlike the data. model.onnx then has an output "unlike".
    """
    from dataclasses import asdict

    from ..api import export

    exported = export(run, *formats, folder=output, store=store, **answer_arguments(answers))
    if as_json:
        files = [asdict(file) for file in exported.files]
        print_json({"folder": str(exported.folder), "card": str(exported.card), "files": files})
        return
    for file in exported.files:
        click.echo(f"{exported.folder / file.name}  {file.num_bytes:,} bytes")
        if file.about:
            click.echo(f"    {file.about}")
    click.echo(exported.card)
