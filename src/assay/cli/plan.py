"""assay plan"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..numerals import counted
from .completion import study_files
from .options import json_option, print_json, store_option
from .tables import print_table, say

if TYPE_CHECKING:
    from ..analysis.planning import SeedPlan


@click.command("plan")
@click.argument("study", shell_complete=study_files)
@click.option(
    "--difference",
    type=float,
    metavar="POINTS",
    help="The difference to see, in percentage points.  [default: the study's margin]",
)
@click.option("--like", metavar="OTHER", help="A study in the store whose seeds will resemble those of this one.")
@store_option
@json_option
def command(study: str, difference: float | None, like: str | None, store: Path | None, as_json: bool) -> None:
    """Estimate how many seeds and validation images STUDY needs to see a difference.

    Run one or two seeds of each arm first (count = 2 under [seeds]), or name a study that has run with --like. STUDY is
    a file, a shipped study or a study in the store. Nothing is trained.
    """
    from ..api import plan

    planned = plan(study, difference=difference, like=like, store=store)
    if as_json:
        print_json(planned.as_dict())
        return
    _print(planned)


def _print(planned: SeedPlan) -> None:
    from ..analysis.planning import duration

    say(f"{planned.headline}.")
    if planned.difference is not None:
        say(f"{planned.planned_sentence}.")
        click.echo()
        rows = [
            [
                f"{option.images:,}",
                "more than 1,000" if option.seeds is None else str(option.seeds),
                "" if option.runs is None else str(option.runs),
                "" if option.seconds is None or not option.runs else duration(option.seconds),
            ]
            for option in planned.options
        ]
        cores = counted(planned.workers, "core")
        print_table(["validation images", "seeds an arm", "more runs", f"time on {cores}"], rows, right=(0, 1, 2))
    if len(planned.contrasts) > 1 and planned.difference is not None:
        click.echo()
        print_table(
            ["contrast", "predicted", "measured", "seeds an arm"],
            [
                [
                    f"{one['b']} against {one['a']}",
                    *_deviations(one),
                    "more than 1,000" if one["seeds"] is None else str(one["seeds"]),
                ]
                for one in planned.contrasts
            ],
            right=(1, 2, 3),
            title="Deviation of each difference between seeds, in points",
        )
    if planned.arms:
        click.echo()
        print_table(
            ["arm", "runs", "predicted", "measured", "predicted from"],
            [
                [
                    arm["arm"],
                    str(arm["runs"]),
                    *_deviations(arm),
                    arm["source"],
                ]
                for arm in planned.arms
            ],
            right=(1, 2, 3),
            title="Deviation of accuracy between seeds, in points",
        )
    if planned.notes:
        click.echo()
    for note in planned.notes:
        say(note)


def _deviations(one: dict[str, Any]) -> tuple[str, str]:
    measured = one["measured"]
    return f"{100 * one['predicted']:.2f}", "" if measured is None else f"{100 * measured:.2f}"
