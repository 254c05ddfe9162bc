"""assay describe"""

from __future__ import annotations

import click

from .options import json_option, print_json, print_table


@click.command("describe")
@click.argument("study")
@click.option("--arm", help="Only this arm.")
@json_option
def command(study: str, arm: str | None, as_json: bool) -> None:
    """STUDY's networks: each layer's output shape, parameters and FLOPs. Nothing is trained.

    Parameters are counted as Keras does: moving statistics are part of the total and not trainable.
    One multiply-add is two FLOPs; FLOPs are for one image, forward.
    """
    from ..api import describe, load, network_tables, training_path
    from ..errors import Problem, SpecError, nearest

    loaded = load(study)
    tables = network_tables(loaded)
    summaries = describe(loaded)
    paths = {arm.name: training_path(summaries[arm.name], arm.training) for arm in loaded.expand()}
    if arm is not None and arm not in tables:
        raise SpecError(Problem(f'"{study}" has no arm "{arm}"', nearest(arm, list(tables))))
    chosen = {name: table for name, table in tables.items() if arm in (None, name)}
    if as_json:
        from dataclasses import asdict

        print_json({name: {**asdict(table), "path": paths[name]} for name, table in chosen.items()})
        return
    for name, table in chosen.items():
        rows = [[row.name, row.word, row.output_shape, f"{row.parameters:,}", f"{row.flops:,}"] for row in table.rows]
        print_table(["layer", "as written", "output", "parameters", "FLOPs"], rows, right=[3, 4], title=name)
        click.echo(
            f"{table.parameters:,} parameters: {table.trainable:,} trainable, {table.non_trainable:,} not. "
            f"{table.flops:,} FLOPs an image.\n{paths[name]}\n"
        )
