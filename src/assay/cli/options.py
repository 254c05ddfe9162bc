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
    from ..api import studies

    if study is not None:
        return Path(study).stem if study.endswith(".toml") else study
    names = studies(store)
    if not names:
        raise NoSuchStudy(Problem("the store holds no study", "run one first"))
    return names[0]
