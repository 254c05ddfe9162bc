"""assay data show"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..spec import Data
from .completion import data_sets
from .data_source import named_data
from .label_list import labels_in_doubt, print_doubted, write_doubts
from .options import json_option, print_json, store_option
from .read_options import read_options, read_values
from .tables import print_table, say

if TYPE_CHECKING:
    from ..data import Dataset, DatasetInfo, LabelDoubt, Look, Survey
    from ..data.proposal import Proposal
    from ..errors import Problem

_MOST_CLASSES = 40
_MOST_ROWS = 100
_MOST_PAIRS = 5


@click.command("show")
@click.argument("name", shell_complete=data_sets)
@click.option(
    "--test", help='With a file or folder: the test split. Another file or folder, a share, a count, or "last 2000".'
)
@click.option("--groups", help="With a file or folder: the column that groups images which belong together, or folder.")
@read_options
@click.option(
    "--write",
    "study_file",
    type=click.Path(path_type=Path),
    help="Write a study on these data, with the proposed settings. An existing file is never replaced.",
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write everything as one HTML file.")
@click.option(
    "--csv",
    "doubts_file",
    type=click.Path(path_type=Path),
    help="Write every doubtful label as a table. Fill in its column corrected, and use it as data.corrections.",
)
@click.option(
    "--gallery", "target", type=click.Path(path_type=Path), help="Write a gallery of images: a .png or .html file."
)
@click.option("--study", help="A study that ran on these data. Labels that its best arm doubts are shown too.")
@store_option
@json_option
def show_command(
    name: str,
    test: str | None,
    groups: str | None,
    study_file: Path | None,
    page: Path | None,
    doubts_file: Path | None,
    target: Path | None,
    study: str | None,
    store: Path | None,
    as_json: bool,
    **read: Any,
) -> None:
    """Show what data set NAME holds, what may be wrong with it, and its origin.

    NAME is a registered name, a file or folder of your own, or a study file, whose data are shown. If files are
    ambiguous, one message lists every question, with the [data] table that answers it. The options from --label to
    --skip-bad are the keys of its read table. Test images are compared with training images and counted, never shown.
    """
    from dataclasses import asdict

    from ..data import entry, is_available, look, prepare, propose
    from ..data.proposal import data_table, has_validation

    data = named_data(name, test, groups, read_values(read))
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
    _refuse_existing(doubts_file)
    is_own = data.path is not None and not name.endswith(".toml")
    table = ""
    questions: tuple[Problem, ...] = ()
    if is_own:
        _refuse_existing(study_file)
        proposal = propose(data)
        data, dataset, questions = proposal.data, proposal.dataset, proposal.questions
        table = data_table(
            data,
            Path.cwd(),
            is_test_there=bool(dataset.info.num_test),
            has_validation=has_validation(dataset),
        )
        if questions and study_file is None:
            _ask(proposal, table, as_json=as_json)
    else:
        dataset = prepare(data)
    info, seen = dataset.info, look(dataset)
    results = seen.survey
    doubted, doubts = labels_in_doubt(study, store, dataset, seen)
    verified = registered.verified_by if registered is not None else ""
    if target is not None:
        _write_gallery(dataset, target)
    if page is not None:
        _write_page(dataset, seen, page, table, doubts, data.corrections)
    if doubts_file is not None:
        write_doubts(doubts_file, doubts)
    if study_file is not None:
        _write_study(dataset, data, study_file, questions)
    if as_json:
        print_json(
            {
                **_record(info), "content": info.content, "verified": verified, "here": True,
                "training_counts": results.counts, "survey": _survey_record(seen), "warnings": results.warnings,
                "doubtful_labels": doubted, "labels_in_doubt": [asdict(one) for one in doubts], "table": table,
                "in_doubt": [str(question) for question in questions],
            }
        )  # fmt: skip
        return
    for question in questions:
        say(f"In doubt: {question}")
    tests = f"{info.num_test:,} test images" if info.num_test else "no test split"
    click.echo(f"{info.title}: {info.num_training:,} training images, {tests}")
    click.echo(f"Images: {' x '.join(map(str, info.shape))} (height x width x channels), {info.dtype}")
    click.echo(f"Values: {results.minimum:g} to {results.maximum:g}; {_moments(results)}")
    _print_terminal_gallery(dataset)
    _print_counts(info, results)
    _print_copies(seen)
    _print_suspects(seen)
    for note in info.notes:
        say(f"Note: {note}")
    for warning in results.warnings:
        say(f"Warning: {warning}")
    click.echo(f"Test split: {info.test_split_note}")
    click.echo(f"Content (SHA-256): {info.content}")
    if doubted is not None:
        print_doubted(doubted)
    if registered is not None:
        _print_origin(info, verified)
    if table:
        click.echo(f"\nIn a study file here:\n\n{table}")
    for what, place in (("Gallery", target), ("Page", page), ("Labels in doubt", doubts_file), ("Study", study_file)):
        if place is not None:
            is_page = what in ("Gallery", "Page")
            click.echo(f"{what}: {place.absolute().as_uri() if is_page else place}")


def _ask(proposal: Proposal, table: str, *, as_json: bool) -> None:
    """Names everything that is in doubt and what is proposed, and ends the command as for bad input."""
    from ..data.proposal import show_command as command_for

    questions, command = proposal.questions, command_for(proposal.data)
    if as_json:
        print_json({"in_doubt": [str(question) for question in questions], "table": table, "command": command})
        raise click.exceptions.Exit(2)
    for question in questions:
        click.echo(f"error: {question}", err=True)
    click.echo(f"\nProposed, for a study file in this folder:\n\n{table}", err=True)
    click.echo(f"To look at them:  {command}\nTo begin a study: {command} --write study.toml", err=True)
    raise click.exceptions.Exit(2)


def _refuse_existing(path: Path | None) -> None:
    from ..errors import Problem, SpecError

    if path is not None and path.exists():
        raise SpecError(Problem("it is there already", "give --write another name", file=str(path)))


def _write_study(dataset: Dataset, data: Data, path: Path, questions: Any) -> None:
    from ..data.proposal import starting_study
    from ..disk import disk_errors
    from ..errors import Problem, SpecError

    if data.path is None:
        what = "it writes a study on files of your own"
        raise SpecError(Problem(what, "leave --write out: a study names these data by their name"))
    text = starting_study(data, dataset, path.absolute().parent, questions)
    with disk_errors(path, "written"):
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            _refuse_existing(path)


def _write_page(
    dataset: Dataset, seen: Look, path: Path, table: str, doubts: Sequence[LabelDoubt], corrections: str | None
) -> None:
    from ..data import read_corrections
    from ..disk import write
    from ..errors import Problem, SpecError
    from ..report import look_page

    if path.suffix != ".html":
        raise SpecError(Problem(f"got {path}", "give an .html file to --html"))
    earlier = read_corrections(Path(corrections)) if corrections is not None else ()
    write(path, look_page(dataset, seen, table, doubts=doubts, earlier=earlier).encode())


def _survey_record(seen: Look) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(seen.survey),
        "balance": seen.survey.balance,
        "across": [asdict(pair) for pair in seen.across],
        "conflicting": [asdict(pair) for pair in seen.conflicting],
        "suspicious_labels": [asdict(one) for one in seen.suspects],
        "judgement": seen.judgement,
    }


def _print_copies(seen: Look) -> None:
    results = seen.survey
    for kind, copies in (("exact", results.exact), ("near", results.near)):
        click.echo(
            f"Copies, {kind}: {copies.training:,} in training, {copies.test:,} in test, "
            f"{copies.across:,} of test images in training, {copies.conflicting:,} with another label"
        )
    for pairs, between in ((seen.across, "in both splits"), (seen.conflicting, "with two labels")):
        for pair in pairs[:_MOST_PAIRS]:
            first, second = (
                f"{file} ({label})" if pair.labels else file
                for file, label in zip((pair.first, pair.second), pair.labels or ("", ""), strict=True)
            )
            click.echo(f"  {'equal' if pair.is_exact else 'nearly equal'}, {between}: {first} and {second}")
        if len(pairs) > _MOST_PAIRS:
            click.echo(f"  and more {between} (--html or --json)")
    click.echo(f"Blank images: {results.blank[0]:,} in training, {results.blank[1]:,} in test")


def _print_suspects(seen: Look) -> None:
    say(f"Suspicious labels: {len(seen.suspects):,}. {seen.judgement}")
    rows = [[one.name, one.label, one.likely, f"{one.suspect.votes} of 10"] for one in seen.suspects[: _MOST_PAIRS * 2]]
    if rows:
        print_table(["training image", "label", "looks like", "neighbours"], rows)
    if len(seen.suspects) > len(rows):
        click.echo(f"  and {len(seen.suspects) - len(rows):,} more (--csv, --html or --json)")


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
    click.echo(results.balance)


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
