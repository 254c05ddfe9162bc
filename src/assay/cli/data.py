"""assay data"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..spec import Data
from .options import json_option, print_json, store_option, study_name
from .tables import print_table

if TYPE_CHECKING:
    from ..data import Dataset, DatasetInfo, Survey

_MOST_CLASSES = 40
_MOST_ROWS = 100
_MOST_DOUBTS = 20


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
            "x".join(map(str, e.info.shape)),
            str(len(e.classes)),
            "yes" if is_available(e.name) else "no",
        ]
        for e in entries
    ]
    print_table(["name", "title", "training + test", "shape", "classes", "here"], rows, right=[2, 4])
    if any(row[-1] == "no" for row in rows):
        click.echo("To download a missing one: assay data fetch NAME")


@command.command("show")
@click.argument("name")
@click.option(
    "--test", help='With a file or folder: the test split, another one, a share such as 0.2, a count, or "last 2000".'
)
@click.option("--groups", help="With a file or folder: the column of images that belong together, or folder.")
@click.option("--gallery", "target", type=click.Path(path_type=Path), help="Write a gallery: a .png or .html file.")
@click.option("--study", help="A study that ran on these data: also show the labels that its best arm doubts.")
@store_option
@json_option
def show_command(
    name: str,
    test: str | None,
    groups: str | None,
    target: Path | None,
    study: str | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """What data set NAME holds, what may be wrong with it, and where it comes from.

    NAME is a registered name, a file or folder of your own, or a study file, whose data are shown. Test images are
    compared with training images and counted, never shown.
    """
    from dataclasses import asdict

    from ..data import entry, is_available, prepare, survey

    data = _data(name, test, groups)
    registered = entry(data.name) if data.path is None and data.content is None else None
    if registered is not None and not is_available(data.name):
        if as_json:
            print_json({**_record(registered.info), "verified": registered.verified_by, "here": False})
            return
        info = registered.info
        click.echo(f"{info.title}: {info.num_training:,} training and {info.num_test:,} test images")
        click.echo(f"Images: {' x '.join(map(str, info.shape))} (height x width x channels)")
        click.echo(f"Not on this machine: assay data fetch {data.name}")
        _print_origin(info, registered.verified_by)
        return
    dataset = prepare(data)
    info, results = dataset.info, survey(dataset)
    doubted = _doubted(study, store, info.content) if study is not None else None
    verified = registered.verified_by if registered is not None else ""
    if target is not None:
        _write_gallery(dataset, target)
    if as_json:
        print_json(
            {
                **_record(info), "content": info.content, "verified": verified, "here": True,
                "training_counts": results.counts, "survey": asdict(results), "warnings": results.warnings,
                "doubtful_labels": doubted,
            }
        )  # fmt: skip
        return
    tests = f"{info.num_test:,} test images" if info.num_test else "no test split"
    click.echo(f"{info.title}: {info.num_training:,} training images, {tests}")
    click.echo(f"Images: {' x '.join(map(str, info.shape))} (height x width x channels), {info.dtype}")
    click.echo(f"Values: {results.minimum:g} to {results.maximum:g}; {_moments(results)}")
    _print_terminal_gallery(dataset)
    _print_counts(info, results)
    for kind, copies in (("exact", results.exact), ("near", results.near)):
        click.echo(
            f"Copies, {kind}: {copies.training:,} in training, {copies.test:,} in test, "
            f"{copies.across:,} of test images in training, {copies.conflicting:,} with another label"
        )
    click.echo(f"Blank images: {results.blank[0]:,} in training, {results.blank[1]:,} in test")
    for note in info.notes:
        click.echo(f"Note: {note}")
    for warning in results.warnings:
        click.echo(f"Warning: {warning}")
    click.echo(f"Test split: {info.test_split_note}")
    click.echo(f"Content (SHA-256): {info.content}")
    if doubted is not None:
        _print_doubted(doubted)
    if registered is not None:
        _print_origin(info, verified)
    if target is not None:
        click.echo(f"Gallery: {target.absolute().as_uri()}")


def _data(name: str, test: str | None = None, groups: str | None = None) -> Data:
    """The data that a command-line argument names."""
    from ..data import known
    from ..errors import Problem, SpecError, nearest
    from ..spec import read_study
    from ..spec.data import last_of

    path = Path(name)
    if name.startswith("hf://"):
        return Data.of({"path": name, "test": test, "groups": groups})
    if name in known() or path.suffix == ".toml":
        for option, value in (("--test", test), ("--groups", groups)):
            if value is not None:
                is_study = path.suffix == ".toml"
                what = "is a study, and says this itself" if is_study else "has a test split of its own and no groups"
                raise SpecError(Problem(f"{name} {what}", f"leave {option} out"))
        return read_study(path).data if path.suffix == ".toml" else Data(name=name)
    if not path.exists():
        raise SpecError(Problem(f'"{name}" is no known data set and no file', nearest(name, known())))
    test_source: Any = test
    if test is not None and last_of(test) is None:
        try:
            test_source = int(test) if test.isdigit() else float(test)
        except ValueError:
            test_source = str(Path(test).absolute())
    return Data.of({"path": str(path.absolute()), "test": test_source, "groups": groups})


def _record(info: DatasetInfo) -> dict[str, Any]:
    return {
        "name": info.name, "title": info.title, "shape": info.shape, "classes": info.classes, "dtype": info.dtype,
        "num_training": info.num_training, "num_test": info.num_test, "notes": info.notes, "licence": info.licence,
        "citation": info.citation, "sources": info.sources, "test_split_note": info.test_split_note,
    }  # fmt: skip


def _moments(results: Survey) -> str:
    mean, deviation = (", ".join(f"{value:.4f}" for value in values) for values in (results.mean, results.deviation))
    return f"mean {mean}, deviation {deviation} on a scale from 0 to 1"


def _print_counts(info: DatasetInfo, results: Survey) -> None:
    rows = sorted(zip(info.classes, results.counts, strict=True), key=lambda row: -row[1])
    if len(rows) <= _MOST_CLASSES:
        shown = list(zip(info.classes, results.counts, strict=True))
    else:
        shown = [
            *rows[: _MOST_CLASSES // 2],
            (f"... {len(rows) - _MOST_CLASSES:,} more", 0),
            *rows[-(_MOST_CLASSES // 2) :],
        ]
    cells = [[label, f"{count:,}" if count or not label.startswith("...") else ""] for label, count in shown]
    print_table(["class", "training images"], cells, right=[1])
    click.echo(f"Imbalance: the largest class has {results.imbalance:.4g} times the images of the smallest")


def _print_origin(info: DatasetInfo, verified: str) -> None:
    click.echo(f"{verified}\nLicence: {info.licence}\nSource: {', '.join(info.sources)}\n\n{info.citation}")


def _write_gallery(dataset: Dataset, target: Path) -> None:
    from ..data import gallery, page, png
    from ..disk import write
    from ..errors import Problem, SpecError

    training, classes = dataset.training(), dataset.info.classes[:_MOST_ROWS]
    picture = png(gallery(training.images, training.labels, len(classes), 12))
    if target.suffix not in (".png", ".html"):
        raise SpecError(Problem(f"got {target}", "give a .png or .html file to --gallery"))
    content = picture if target.suffix == ".png" else page(picture, dataset.info.title, classes).encode()
    write(target, content)


def _print_terminal_gallery(dataset: Dataset) -> None:
    """One image of each class in half blocks, where a terminal can show them."""
    from rich.console import Console
    from rich.text import Text

    from ..data import gallery

    console = Console(highlight=False)
    if not console.is_terminal or console.color_system not in ("256", "truecolor"):
        return
    training, info = dataset.training(), dataset.info
    fewer = -(-max(info.height, info.width) // 16)
    across = max(1, (console.width - 1) // (-(-info.width // fewer) + 1))
    count = min(info.num_classes, across)
    picture = gallery(training.images[:, ::fewer, ::fewer], training.labels, count, 1)
    height = -(-info.height // fewer)
    tiles = [picture[k * (height + 1) : k * (height + 1) + height] for k in range(count)]
    for row in range(0, height, 2):
        line = Text()
        for tile in tiles:
            lower = tile[min(row + 1, height - 1)]
            for upper_pixel, lower_pixel in zip(tile[row], lower, strict=True):
                above, below = (
                    ",".join(map(str, (*pixel, *pixel, *pixel)[:3])) for pixel in (upper_pixel, lower_pixel)
                )
                line.append("▀", style=f"rgb({above}) on rgb({below})")
            line.append(" ")
        console.print(line)


def _doubted(study: str, store: Path | None, content: str) -> list[dict[str, Any]]:
    from ..api import result
    from ..errors import Problem, SpecError

    study_result = result(study_name(study, store), store=store)
    if study_result.record.data["content"] != content:
        what = f'study "{study_result.study}" ran on other data: {study_result.record.data["title"]}'
        raise SpecError(Problem(what, "name a study that ran on these"))
    frame = study_result.doubtful_labels()
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _print_doubted(doubted: list[dict[str, Any]]) -> None:
    if not doubted:
        click.echo("Doubtful labels: none, no training image is wrong in most runs of the best arm")
        return
    click.echo(
        f"Doubtful labels: {len(doubted):,} training images that most runs of the best arm take for another class"
    )
    rows = [
        [str(d["index"]), d["label"], d["predicted"], f"{d['wrong']} of {d['runs']}", str(d["held_out"])]
        for d in doubted[:_MOST_DOUBTS]
    ]
    print_table(["training image", "label", "predicted", "runs", "never trained on it"], rows, right=[0, 4])


@command.command("fetch")
@click.argument("name")
@json_option
def fetch_command(name: str, as_json: bool) -> None:
    """Download data set NAME, verify it, and keep it (in ASSAY_DATA or the platform's cache folder).

    NAME can also be a base, whose ImageNet weights are fetched: vgg16, vgg19, squeezenet or resnet18.
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
@click.argument("name")
@click.option(
    "--variation",
    help="rotated, random-background, image-background, rotated-image-background, translated, "
    "elastic or noisy-labels.  [default: the images as they are]",
)
@click.option("--backgrounds", type=click.Path(path_type=Path), help="Pictures for image-background: a file or folder.")
@click.option("--shift", type=int, default=4, show_default=True, help="Pixels each way, for translated.")
@click.option("--share", type=float, default=0.2, show_default=True, help="Share of labels, for noisy-labels.")
@click.option(
    "--format", "form", default="csv", show_default=True, help="csv, tsv, amat, idx, npz, folders, list or parquet."
)
@click.option("--train", "num_training", type=click.IntRange(min=1), help="Training images.  [default: all]")
@click.option("--test", "num_test", type=click.IntRange(min=0), help="Test images.  [default: all of the test split]")
@click.option("--test-labels/--no-test-labels", default=True, help="Write the labels of test images.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same images.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace files of an earlier one.")
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
    as_json: bool,
) -> None:
    """Write images of data set NAME, or a variation of them, as files in a folder.

    NAME is a registered name, a file or folder of your own, or a study file.
    """
    from ..data import Settings, info_of, make, read_backgrounds

    data = _data(name)
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
    )
    if as_json:
        print_json({"name": name, "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)
