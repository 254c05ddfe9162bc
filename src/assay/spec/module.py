"""The line of a study that names a network of one's own: ``module "my_nets.py:ResNet9(width=16)"``.

The line is the whole network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import Problem, SpecError
from . import own
from .own import OwnCall, read_call

WORD = "module"
SYNTAX = f'module "{own.SYNTAX}"'
KEY = "layers[0]"
_LINE = re.compile(r'\s*module\s+"(?P<text>.*)"(?P<source>\s+source=[0-9a-f]{64})?\s*', re.DOTALL)


def is_module_line(line: Any) -> bool:
    """Whether a line of a study begins with the word ``module``."""
    return isinstance(line, str) and line.split(maxsplit=1)[:1] == [WORD]


def module_of(lines: Sequence[Any]) -> OwnCall | None:
    """The module that these lines of an arm name; ``None`` where they are layers.

    Raises:
        SpecError: The line cannot be read, an argument is no plain value, or other layers stand beside it.
    """
    named = [line for line in lines if is_module_line(line)]
    if not named:
        return None
    if len(lines) > 1:
        what = "a module of your own is the whole network, and other layers stand beside it"
        raise SpecError(Problem(what, "leave them out, or put them into the module", "layers"))
    return read_module(named[0])


def read_module(line: str) -> OwnCall:
    """One line as the call that it names; a class alone is called without arguments.

    Raises:
        SpecError: It cannot be read, or an argument is no plain value.
    """
    match = _LINE.fullmatch(line)
    if match is None or not own.is_own(match["text"]):
        raise SpecError(Problem(f"{line!r} names no class in a Python file", f"write {SYNTAX}", KEY))
    call = read_call(match["text"] + (match["source"] or ""), KEY)
    return replace(call, arguments=call.arguments or "")


def line_of(call: OwnCall) -> str:
    """The line of a study that names a call."""
    text, is_pinned, source = call.text.rpartition(" source=")
    return f'{WORD} "{text}" source={source}' if is_pinned else f'{WORD} "{call.text}"'


def identity_of(line: Any) -> Any:
    """A line as it enters a run's identity: without the module's file, where its source is known."""
    if not is_module_line(line):
        return line
    try:
        call = read_module(line)
    except SpecError:
        return line
    return line if call.source is None else f'{WORD} "{call.call}" source={call.source}'


def with_absolute_module(line: Any, folder: Path) -> Any:
    """The same line with the file's path made absolute; anything else is returned as it is."""
    match = _LINE.fullmatch(line) if is_module_line(line) else None
    if match is None:
        return own.with_absolute_file(line, folder)
    start, end = match.span("text")
    return f"{line[:start]}{own.with_absolute_file(match['text'], folder)}{line[end:]}"


def lines_of(value: Any) -> Any:
    """Values of an arm or a network in which ``module`` stands for its layers, as ``layers``.

    Raises:
        ValueError: Layers are given too, or the module is neither a text nor a class of a file.
    """
    if not isinstance(value, dict) or WORD not in value:
        return value
    rest = {key: given for key, given in value.items() if key != WORD}
    named = value[WORD]
    if rest.get("layers"):
        raise ValueError("module and layers are both given; a module is the whole network: leave the layers out")
    if not isinstance(named, str):
        named = own.text_of(named)
    return {**rest, "layers": [named if is_module_line(named) else f'{WORD} "{named}"']}
