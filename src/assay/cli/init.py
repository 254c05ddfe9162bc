"""assay init"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..errors import InputError, Problem, SpecError, nearest
from .options import json_option, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from ..starting import DataAnswer, Template

_NAMES = ("ablation", "grid", "search", "transfer", "own-images")


@click.command("init")
@click.option("--template", metavar="|".join(_NAMES), help="The template to begin with.")
@click.option("--data", metavar="NAME|PATH", help="A data set of `assay data list`, or a folder or file of images.")
@click.option("--name", help="The study's name. The file is NAME.toml.  [default: the template's]")
@json_option
def command(template: str | None, data: str | None, name: str | None, as_json: bool) -> None:
    """Write a commented study file to begin with.

    In a terminal, Assay asks for what the options leave open: template, images, name. An existing file is never
    overwritten. With --json nothing is asked.
    """
    from ..api import start_study
    from ..starting import data_answer

    is_asking = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if not is_asking and (template is None or data is None):
        missing = [option for option, value in (("--template", template), ("--data", data)) if value is None]
        fix = "give them, for instance assay init --template grid --data digits --name first"
        place = "with --json nothing is asked" if as_json else "this is no terminal to ask in"
        raise SpecError(
            Problem(f"{place}, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} left open", fix)
        )
    kind = _template(template) if template is not None else _ask_template()
    answer = data_answer(data) if data is not None else _ask_data(kind)
    path = _ask_name(kind, answer) if is_asking and not name else start_study(kind.name, answer, name or kind.name)
    if as_json:
        print_json({"file": str(path), "template": kind.name, "data": answer.given, "name": path.stem})
        return
    click.echo(f"{path} is written. Next:")
    if kind.name == "transfer":
        click.echo("  assay data fetch squeezenet")
    if not answer.is_path and not _is_here(answer.given):
        click.echo(f"  assay data fetch {answer.given}")
    click.echo(f"  assay describe {path}\n  assay run {path}")


def _template(name: str) -> Template:
    from ..starting import TEMPLATES

    if name not in TEMPLATES:
        raise SpecError(Problem(f'there is no template "{name}"', nearest(name, list(TEMPLATES)), "template"))
    return TEMPLATES[name]


def _ask_template() -> Template:
    from ..starting import TEMPLATES

    click.echo("1. What kind of study?")
    for number, template in enumerate(TEMPLATES.values(), start=1):
        click.echo(f"   {number}  {template.name:<11} {template.title}")
    while True:
        given = str(click.prompt("   Its number or name", default="1")).strip()
        if given.isdigit() and 1 <= int(given) <= len(TEMPLATES):
            return list(TEMPLATES.values())[int(given) - 1]
        try:
            return _template(given)
        except SpecError as error:
            _show(error)


def _ask_data(template: Template) -> DataAnswer:
    from ..data import known
    from ..starting import data_answer

    click.echo("2. Which images?")
    if template.name != "own-images":
        click.echo(
            f"   A data set ({', '.join(list(known())[:3])}, ...: `assay data list`), or a folder or file of yours."
        )
    else:
        click.echo("   A folder with one folder a class, a table, an archive, a .npz file ... (docs/guides/data.md)")
    while True:
        default = None if template.name == "own-images" else "digits"
        given = str(click.prompt("   Name or path", default=default)).strip()
        try:
            answer = data_answer(given)
            if template.name == "own-images" and not answer.is_path:
                raise SpecError(Problem(f'"{given}" is a known data set', "give the path of your images"))
        except InputError as error:
            _show(error)
        else:
            return answer


def _ask_name(template: Template, data: DataAnswer) -> Path:
    from ..api import start_study

    click.echo("3. What is it called? NAME.toml is written here.")
    while True:
        given = str(click.prompt("   Name", default=template.name)).strip()
        try:
            return start_study(template.name, data, given.removesuffix(".toml"))
        except InputError as error:
            _show(error)


def _show(error: InputError) -> None:
    for problem in error.problems:
        click.echo(f"   {problem}", err=True)


def _is_here(name: str) -> bool:
    from ..data import is_available

    return is_available(name)
