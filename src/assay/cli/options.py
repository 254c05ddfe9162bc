"""Options and output shared by commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import NoSuchStudy, Problem

_F = TypeVar("_F", bound=Callable[..., Any])


class _Folder(click.Path):
    """A folder that is named: an empty name, as of a variable that is not set, is no name of the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the folder's name is empty; name one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


def store_option(function: _F) -> _F:
    return click.option(
        "--store",
        type=_Folder(path_type=Path),
        help="The store's folder.  [default: ASSAY_STORE or ./assay-store]",
    )(function)


def json_option(function: _F) -> _F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def print_json(value: Any) -> None:
    from ..runner.events import without_nan

    click.echo(json.dumps(without_nan(value), indent=2, default=str))


def study_name(study: str | None, store: Path | None) -> str:
    """The study that a command is about: a name or a study file's name; the store's latest if none is given."""
    if study is not None:
        return Path(study).stem if study.endswith(".toml") else study
    from ..api import studies

    names = studies(store)
    if not names:
        raise NoSuchStudy(Problem("the store holds no study", "run one first"))
    return names[0]


def answer_options(function: _F) -> _F:
    """``--sets`` and ``--refuse``, with what says how."""
    options = (
        click.option(
            "--sets",
            type=float,
            metavar="COVERAGE",
            help="Add sets of classes that hold the true class this often, such as 0.9.",
        ),
        click.option(
            "--set-method",
            type=click.Choice(["adaptive", "regularized", "threshold"]),
            default="adaptive",
            show_default=True,
            help="The method that makes sets.",
        ),
        click.option("--by-class", is_flag=True, help="Keep the promise of --sets for each class."),
        click.option("--never-empty", is_flag=True, help="Put the most probable class into sets that would be empty."),
        click.option("--refuse", is_flag=True, help="Mark images that are unlike the data."),
        click.option(
            "--refuse-share",
            type=float,
            metavar="SHARE",
            help="Mark images farther from the data than all but this share of validation images.  [default: 0.05]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def answer_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What ``answer_options`` were given, as ``predict`` and ``export`` take them.

    Raises:
        SpecError: An option says how sets are made, and no sets are asked for.
    """
    from ..errors import SpecError

    by_class, never_empty, method = options["by_class"], options["never_empty"], options["set_method"]
    if options["sets"] is None and (by_class or never_empty or method != "adaptive"):
        option = "--by-class" if by_class else "--never-empty" if never_empty else "--set-method"
        raise SpecError(Problem(f"{option} says how sets are made, and no sets are asked for", "add --sets 0.9"))
    share = options["refuse_share"]
    return {
        "sets": options["sets"],
        "set_method": method,
        "by_class": by_class,
        "never_empty": never_empty,
        "refuse": options["refuse"] if share is None else share,
    }
