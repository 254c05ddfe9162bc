"""assay data"""

from __future__ import annotations

from pathlib import Path

import click

from .completion import data_sets
from .data_show import show_command
from .data_source import named_data
from .options import json_option, print_json
from .tables import print_table


@click.group("data")
def command() -> None:
    """List, show, fetch and make data sets."""


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the data sets that are known by name, and whether they are on this machine."""
    from ..data import entry, is_available, known

    entries = [entry(name) for name in known()]
    if as_json:
        print_json([{"name": e.name, "title": e.title, "here": is_available(e.name)} for e in entries])
        return
    rows = [
        [
            e.name,
            e.title,
            f"{e.num_training:,} + {e.num_test:,}",
            "x".join(map(str, e.info.shape)),
            str(len(e.classes)),
            "yes" if is_available(e.name) else "no",
        ]
        for e in entries
    ]
    print_table(["name", "title", "training + test", "shape", "classes", "here"], rows, right=[2, 4])
    if any(row[-1] == "no" for row in rows):
        click.echo("To download a missing one: assay data fetch NAME")


command.add_command(show_command)


@command.command("fetch")
@click.argument("name", shell_complete=data_sets)
@json_option
def fetch_command(name: str, as_json: bool) -> None:
    """Download data set NAME, verify it, and keep it.

    It is kept in the folder ASSAY_DATA, or in the platform's cache folder. NAME can also be a base, whose ImageNet
    weights are fetched: vgg16, vgg19, squeezenet or resnet18.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from ..data import WEIGHTS, fetch, fetch_weights

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {}

        def progress(file: str, received: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=received, total=total)

        paths = (fetch_weights if name in WEIGHTS else fetch)(name, progress=progress)
    if as_json:
        print_json({"name": name, "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)


@command.command("make")
@click.argument("name", shell_complete=data_sets)
@click.option(
    "--variation",
    help="The variation: rotated, random-background, image-background, rotated-image-background, translated, "
    "elastic or noisy-labels.  [default: the images as they are]",
)
@click.option(
    "--backgrounds", type=click.Path(path_type=Path), help="For image-background: a file or folder of pictures."
)
@click.option("--shift", type=int, default=4, show_default=True, help="For translated: pixels in each direction.")
@click.option(
    "--share", type=float, default=0.2, show_default=True, help="For noisy-labels: the share of changed labels."
)
@click.option(
    "--format",
    "form",
    default="csv",
    show_default=True,
    help="The format: csv, tsv, amat, idx, npz, folders, list or parquet.",
)
@click.option(
    "--train", "num_training", type=click.IntRange(min=1), help="The number of training images.  [default: all]"
)
@click.option(
    "--test",
    "num_test",
    type=click.IntRange(min=0),
    help="The number of test images.  [default: all of the test split]",
)
@click.option("--test-labels/--no-test-labels", default=True, help="Write the labels of test images.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed. The same seed makes the same images.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--croissant", is_flag=True, help="With --format parquet: also write croissant.json, for data hubs.")
@json_option
def make_command(
    name: str,
    variation: str | None,
    backgrounds: Path | None,
    shift: int,
    share: float,
    form: str,
    num_training: int | None,
    num_test: int | None,
    test_labels: bool,
    seed: int,
    output: Path,
    force: bool,
    croissant: bool,
    as_json: bool,
) -> None:
    """Write the images of data set NAME, or a variation of them, as files in a folder.

    NAME is a registered name, a file or folder of your own, or a study file.
    """
    from ..data import Settings, info_of, make, read_backgrounds

    data = named_data(name)
    pictures = [] if backgrounds is None else read_backgrounds(backgrounds, *info_of(data).shape[:2])
    paths = make(
        data,
        output,
        variation=variation,
        settings=Settings(shift=shift, share=share, backgrounds=pictures),
        form=form,
        num_training=num_training,
        num_test=num_test,
        seed=seed,
        test_labels=test_labels,
        force=force,
        croissant=croissant,
    )
    if as_json:
        print_json({"name": name, "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)
