"""assay describe"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..numerals import counted
from .completion import arms, study_files
from .options import json_option, print_json, store_option
from .tables import print_table

if TYPE_CHECKING:
    from ..nets import Summary
    from ..nets.fixed_point import Core
    from ..report import NetworkTable

WIDTH = 100


@click.command("describe")
@click.argument("study", shell_complete=study_files)
@click.option("--arm", shell_complete=arms, help="Show only this arm.")
@click.option(
    "--core",
    help="Estimate the time of an image on this microcontroller core: cortex-m0+, cortex-m4, cortex-m7, rv32ec.",
)
@store_option
@json_option
def command(study: str, arm: str | None, core: str | None, store: Path | None, as_json: bool) -> None:
    """Show the layers of STUDY's networks: shape, parameters, FLOPs, memory, receptive field.

    Nothing is trained. Parameters are counted as in Keras: moving statistics are part of the total and not trainable.
    FLOPs are for one image, forward; a multiply-add counts as two. Memory is that of a layer's output for one image in
    float32. "Sees" is the number of pixels that one output value depends on, zeros around the image included. "Step" is
    the number of pixels between neighbouring values.

    "As C" is the fixed-point program that `assay export --format c` would write: bytes of constants with 8-bit weights,
    RAM, multiply-adds of one image, and with --core the estimated time.
    """
    from ..api import describe, load
    from ..nets.fixed_point import core_of
    from ..results.recorded import network_tables, training_path
    from ..search.halving import design_of
    from ..spec.arms import arm_name

    known = None if core is None else core_of(core)
    loaded = load(study)
    summaries = describe(loaded, store=store)
    tables = network_tables(summaries, loaded.data.scaling)
    paths = {arm.name: training_path(summaries[arm.name], arm.training, loaded.device) for arm in loaded.expand()}
    searches = {
        arm.name: f"A search for each seed, of {design_of(loaded.searched(arm, 0)).num_trials} trials; here is one "
        "candidate.\n"
        for arm in loaded.expand()
        if arm.search is not None
    }
    if arm is not None:
        arm = arm_name(arm, list(tables), loaded.name)
    chosen = {name: table for name, table in tables.items() if arm in (None, name)}
    if as_json:
        from dataclasses import asdict

        bases = {name: summary.base for name, summary in summaries.items()}
        texts = {name: base.text() if base else None for name, base in bases.items()}
        rows = {n: {**asdict(table), "path": paths.get(n, ""), "base": texts[n]} for n, table in chosen.items()}
        for row in rows.values():
            if row["program"]:
                row["program"]["microseconds"] = dict(row["program"]["microseconds"])
        print_json(rows)
        return
    for name, table in chosen.items():
        columns = ["layer", "as written", "output", "parameters", "FLOPs", "memory", "sees", "step"]
        print_table(columns, _cells(table), right=[3, 4, 5, 6, 7], title=name, width=WIDTH)
        click.echo(
            f"{searches.get(name, '')}{_ensemble(summaries[name])}"
            f"{counted(table.parameters, 'parameter')}: {table.trainable:,} trainable, {table.non_trainable:,} not. "
            f"{table.flops:,} FLOPs an image.\n"
            f"{short(table.activation_bytes, 'B')} of activations an image, all layers kept, as in training.\n"
            f"{_program(table, core, known)}\n"
            f"{_base(summaries[name])}"
            f"{paths.get(name, 'A random candidate of the search.')}\n"
        )


def _program(table: NetworkTable, name: str | None, core: Core | None) -> str:
    """What C export would make of the network."""
    if table.program is None:
        return f"As C: none, since {table.no_program}."
    if core is None or name is None:
        return table.program.text()
    time = dict(table.program.microseconds)[name]
    return (
        f"{table.program.text()}\n{core.title} at {core.megahertz:g} MHz: about {time:,.0f} microseconds an image\n"
        f"(estimated; {core.cycles:g} cycles an instruction assumed)."
    )


def _ensemble(summary: Summary) -> str:
    """What an ensemble's table and totals are of."""
    if summary.members == 1:
        return ""
    return f"An ensemble of {summary.members} such networks, whose mean probability is the answer; together:\n"


def _base(summary: Summary) -> str:
    """What the network stands on, and what becomes of its images."""
    return "" if summary.base is None else summary.base.text() + "\n"


def _cells(table: NetworkTable) -> list[list[str]]:
    """A line for each layer, indented by its blocks, and one for the start of each block."""
    cells: list[list[str]] = []
    around: tuple[str, ...] = ()
    for row in table.rows:
        for depth, block in enumerate(row.path):
            if around[: depth + 1] != row.path[: depth + 1]:
                cells.append(["  " * depth + block, *[""] * 7])
        around = row.path
        sees, step = _size(row.receptive_field), _size(row.receptive_stride) if row.receptive_stride else ""
        counts = [f"{row.parameters:,}", short(row.flops), short(row.activation_bytes, "B")]
        cells.append(["  " * len(row.path) + row.name, row.word, row.output_shape, *counts, sees, step])
    return cells


def short(number: int, unit: str = "") -> str:
    """Three digits and a prefix: ``3.61 M``, ``50.2 kB``."""
    value, prefixes = float(number), iter(("", "k", "M", "G", "T", "P", "E"))
    prefix = next(prefixes)
    while value >= 999.5 and prefix != "E":
        value, prefix = value / 1000, next(prefixes)
    digits = f"{value:.0f}" if not prefix or value >= 99.95 else f"{value:#.3g}"
    return f"{digits} {prefix}{unit}".strip()


def _size(sides: tuple[int, int]) -> str:
    height, width = sides
    return str(height) if height == width else f"{height}x{width}"
