"""The documentation's examples hold: commands and options exist, study files are valid, Python uses public names."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import assay
from assay.cli.main import COMMANDS, commands
from assay.spec import parse_study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "decisions")]
LANGUAGES = {"sh", "bash", "text", "toml", "python", "json", "c", "bibtex", "latex", "yaml", "js", "html"}
FENCE = re.compile(r"^( *)(```+)(\S*)[^\n]*\n(.*?)^\1\2$", re.DOTALL | re.MULTILINE)

SHORT = {"Network": {"module"}}  # a keyword that stands for others


class Example(NamedTuple):
    """A fenced block of a page, and where it stands."""

    place: str
    language: str
    content: str


def examples() -> Iterator[Example]:
    """Every fenced block of every page, but Sphinx's directives."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            place = f"{page.relative_to(ROOT)}:{text[: match.start()].count(chr(10)) + 1}"
            if not match[3].startswith("{"):
                yield Example(place, match[3], match[4])


EXAMPLES = list(examples())


def of(*languages: str) -> list[Any]:
    return [pytest.param(e, id=e.place) for e in EXAMPLES if e.language in languages]


def test_every_block_says_its_language() -> None:
    assert [f"{e.place} {e.language!r}" for e in EXAMPLES if e.language not in LANGUAGES] == []
    assert len(EXAMPLES) > 100


@pytest.mark.parametrize("example", of("sh", "bash"))
def test_commands_and_their_options_exist(example: Example) -> None:
    for line in example.content.replace("\\\n", " ").splitlines():
        for part in re.split(r"\s(?:&&|\||;)\s", line):
            words = shlex.split(part, comments=True)
            if "assay" not in words[:3]:
                continue
            words = words[words.index("assay") + 1 :]
            if words and not words[0].startswith("-"):
                check_words(words, example)


def check_words(words: list[str], example: Example) -> None:
    assert words[0] in COMMANDS, f"{example.place}: there is no command {words[0]}"
    context = click.Context(commands)
    command = commands.get_command(context, words[0])
    rest = words[1:]
    if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"{example.place}: there is no command {words[0]} {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not None
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert used - known - {"--help", "-h"} == set(), f"{example.place}: assay {' '.join(words)}"


@pytest.mark.parametrize("example", of("toml"))
def test_study_files_are_valid(example: Example) -> None:
    """Parts of files are valid TOML; a whole study file is read as one."""
    values = tomllib.loads(example.content)
    if {"data", "network"} <= set(values) or {"data", "arms"} <= set(values):
        assert parse_study(example.content, file="study.toml", name="study").data


@pytest.mark.parametrize("example", of("python"))
def test_python_uses_public_names(example: Example) -> None:
    """It parses; names of ``assay`` are public, and what they are called with is what they take."""
    tree = ast.parse(textwrap.dedent(example.content))
    for node in ast.walk(tree):
        name = public_name(node)
        if name:
            assert name in assay.__all__, f"{example.place}: assay.{name} is not public"
        if isinstance(node, ast.Call) and (called := public_name(node.func)):
            takes = inspect.signature(getattr(assay, called)).parameters
            names = {keyword.arg for keyword in node.keywords if keyword.arg} - SHORT.get(called, set())
            is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
            assert is_open or names <= set(takes), f"{example.place}: assay.{called} does not take {names - set(takes)}"


def public_name(node: ast.AST) -> str | None:
    """The name in ``assay.name``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "assay":
        return node.attr
    return None
