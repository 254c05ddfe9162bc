"""The `read` keys as options, made from their one declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from ..spec import Reading

_F = TypeVar("_F", bound=Callable[..., Any])
_PREFIX = "read_"


def read_options(function: _F) -> _F:
    """Adds an option for each `read` key; :func:`read_values` takes them from the command's arguments."""
    for key, field in reversed(Reading.model_fields.items()):
        function = _option(key, field.annotation, field.description or "")(function)
    return function


def read_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The `read` table that these options give; keys that were not given are left out."""
    given = {key: value for key, value in options.items() if value is not None}
    return {key.removeprefix(_PREFIX): value for key, value in given.items()}


def _option(key: str, annotation: Any, description: str) -> Callable[[_F], _F]:
    name, place = "--" + key.replace("_", "-"), _PREFIX + key
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        kinds = [annotation]
    if kinds == [bool]:
        return click.option(f"{name}/--no-{name[2:]}", place, default=None, help=description)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices:
        return click.option(name, place, type=click.Choice([*map(str, choices)]), callback=_as_number, help=description)
    if kinds == [int]:
        return click.option(name, place, type=int, help=description)
    is_tuple = any(get_origin(kind) is tuple for kind in kinds)
    if is_tuple and all(set(get_args(kind)) <= {int, Ellipsis} for kind in kinds):
        return click.option(name, place, metavar="HxW", callback=_numbers, help=description)
    if is_tuple:
        return click.option(name, place, metavar="A,B,...", callback=_names, help=description)
    return click.option(name, place, help=description)


def _as_number(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    return int(value) if value is not None and value.isdigit() else value


def _numbers(context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    parts = value.replace(",", "x").strip("[] ").split("x")
    if not all(part.strip().isdigit() for part in parts):
        raise click.BadParameter(f'got "{value}"; give height and width, such as 64x64.', context, option)
    numbers = tuple(int(part) for part in parts)
    return numbers * 2 if len(numbers) == 1 else numbers


def _names(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    return int(value) if value.isdigit() else tuple(name.strip() for name in value.split(","))
