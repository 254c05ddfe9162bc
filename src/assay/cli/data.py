"""assay data"""

from __future__ import annotations

from pathlib import Path

import click

from .options import json_option, print_json, print_table


@click.group("data")
def command() -> None:
    """List, show, fetch and make data sets."""


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Data sets known by name, and whether they are on this machine."""
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
            " x ".join(map(str, e.info.shape)),
            str(len(e.classes)),
            "yes" if is_available(e.name) else "assay data fetch " + e.name,
        ]
        for e in entries
    ]
    print_table(["name", "title", "training + test", "shape", "classes", "here"], rows, right=[2, 4])


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Size, classes and origin of data set NAME."""
    from ..data import class_counts, entry, is_available, prepare

    about = entry(name)
    counts = None
    if is_available(name):
        dataset = prepare(name)
        counts = class_counts(dataset.training().labels, dataset.info.num_classes).tolist()
    if as_json:
        print_json(
            {
                "name": about.name, "title": about.title, "shape": about.info.shape, "classes": about.classes,
                "num_training": about.num_training, "num_test": about.num_test, "training_counts": counts,
                "licence": about.licence, "citation": about.citation,
            }
        )  # fmt: skip
        return
    click.echo(f"{about.title}: {about.num_training:,} training and {about.num_test:,} test images")
    click.echo(f"Images: {' x '.join(map(str, about.info.shape))} (height x width x channels)")
    if counts is None:
        click.echo(f"Not on this machine: assay data fetch {name}")
    else:
        rows = [[label, f"{count:,}"] for label, count in zip(about.classes, counts, strict=True)]
        print_table(["class", "training images"], rows, right=[1])
    click.echo(f"Licence: {about.licence}\n\n{about.citation}")


@command.command("fetch")
@click.argument("name")
@json_option
def fetch_command(name: str, as_json: bool) -> None:
    """Download data set NAME, verify it, and keep it (in ASSAY_DATA or the platform's cache folder)."""
    from ..data import fetch

    if as_json:
        print_json({"name": name, "files": [str(path) for path in fetch(name)]})
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        tasks = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total)

        paths = fetch(name, progress=progress)
    for path in paths:
        click.echo(path)


@command.command("make")
@click.argument("name")
@click.option("--variation", help="What becomes of the images: random-background.  [default: nothing]")
@click.option(
    "--format", "form", default="csv", show_default=True, help="csv, tsv, amat, idx, npz, folders, list or parquet."
)
@click.option("--train", "num_training", type=click.IntRange(min=1), help="Training images.  [default: all]")
@click.option("--test", "num_test", type=click.IntRange(min=0), help="Test images.  [default: all of the test split]")
@click.option("--test-labels/--no-test-labels", default=True, help="Write the labels of test images.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same images.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@json_option
def make_command(
    name: str,
    variation: str | None,
    form: str,
    num_training: int | None,
    num_test: int | None,
    test_labels: bool,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Write images of data set NAME, or a variation of them, as files in a folder."""
    from ..data import make

    paths = make(
        name,
        output,
        variation=variation,
        form=form,
        num_training=num_training,
        num_test=num_test,
        seed=seed,
        test_labels=test_labels,
    )
    if as_json:
        print_json({"name": name, "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)
