"""Networks, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from ...analysis.scores import ordered_arms
from ...numerals import flops, whole
from ...spec import Arm
from ...spec.factors import level_name
from ...store.records import StudyRecord
from ..inputs import NetworkTable
from ..palette import arm_styles
from .table import Cell, Column, Table, line


def network_tables(
    study: StudyRecord, summaries: Mapping[str, NetworkTable]
) -> tuple[tuple[tuple[Cell, ...], Table], ...]:
    """Each network once, with the arms that share it."""
    styles = arm_styles(study)
    shared: dict[tuple[NetworkTable, str], list[str]] = {}
    for arm in ordered_arms(study):
        if arm.name in summaries:
            shared.setdefault((summaries[arm.name], _choices(arm.design)), []).append(arm.name)
    caption = (
        "Layers, top to bottom." if len(shared) > 1 or len(study.arms) == 1 else "Layers of every arm, top to bottom."
    )
    return tuple(
        (tuple(Cell(name, styles[name]) for name in names), _network_table(network, f"{caption}{choices}"))
        for (network, choices), names in shared.items()
    )


def _choices(arm: Arm) -> str:
    """What each seed of an arm that is a search has chosen, in sentences; empty for other arms."""
    if arm.search is None:
        return ""
    chosen = [
        f"seed {seed} chose {', '.join(f'{name} {level_name(value)}' for name, value in values.items())}"
        for seed, values in sorted(arm.search.chosen.items(), key=lambda one: int(one[0]))
    ]
    return f" A search for each seed, of which this is one candidate{': ' if chosen else ''}{'; '.join(chosen)}."


def _network_table(network: NetworkTable, caption: str) -> Table:
    rows = tuple(
        line(
            "\N{EM SPACE}" * len(row.path) + row.name,
            row.word,
            row.output_shape,
            whole(row.parameters),
            flops(row.flops),
        )
        for row in network.rows
    )
    columns = (
        *(Column(title, is_number=False) for title in ("layer", "as written", "output")),
        *(Column(title) for title in ("parameters", "FLOPs per image")),
    )
    trainable = "all trainable"
    if network.non_trainable:
        trainable = f"{whole(network.trainable)} trainable, {whole(network.non_trainable)} not"
    total = line("total", trainable, "", whole(network.parameters), flops(network.flops))
    if network.members > 1:
        caption += f" An ensemble of {network.members} such networks; the totals are of all of them."
    return Table(f"{caption} {network.program.text()}" if network.program else caption, columns, rows, total)
