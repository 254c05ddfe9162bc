"""Parses one line of a study into a layer, or into every problem with the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from ..errors import Problem, nearest
from ..spec.module import WORD as MODULE
from .calls import keras_call_problem
from .kinds import ActivationName, spelled
from .layers import WORDS, Layer
from .layers.registry import SPELLINGS
from .vocabulary import VOCABULARY, Entry, Value

_ACTIVATIONS = get_args(ActivationName)


def read_word(line: str) -> tuple[list[Problem], Layer | None]:
    """The layer that a line stands for, or every problem with it."""
    word, *tokens = line.split() or [""]
    spelling = spelled(word)
    if spelling in _ACTIVATIONS:
        spelling, tokens = "activation", [word, *tokens]
    elif spelling not in WORDS and spelling in SPELLINGS:
        spelling = SPELLINGS[spelling][1].word
    problems, values = _read(line, spelling, word, tokens)
    return problems, None if problems else WORDS[spelling](**values)


def _read(line: str, spelling: str, word: str, tokens: Sequence[str]) -> tuple[list[Problem], dict[str, Any]]:
    """All problems of one line, and its values by field."""
    if word == MODULE:
        what = "a module of your own is a whole network, and stands among other layers here"
        return [Problem(what, "make it the only line of the arm's layers")], {}
    if spelling not in VOCABULARY:
        if (problem := keras_call_problem(line)) is not None:
            return [problem], {}
        place = f'"{line}": ' if tokens or not word else ""
        return [Problem(f'{place}"{word}" is no layer', nearest(spelling, [*VOCABULARY, *_ACTIVATIONS]))], {}
    entry = VOCABULARY[spelling]
    by_position = [value for value in entry.values if not value.is_option]
    problems: list[Problem] = []
    values: dict[str, Any] = {}

    def report(what: str, fix: str) -> None:
        problems.append(Problem(f'"{line}": {what}', fix))

    def read(value: Value, text: str) -> None:
        try:
            values[value.name] = value.kind.read(text)
        except ValueError:
            values[value.name] = None
            report(*_complaint(entry, value, text))

    bare = [token for token in tokens if "=" not in token]
    for value, token in zip(by_position, bare, strict=False):
        read(value, token)
    for token in bare[len(by_position) :]:
        report(f'"{token}" is one value too many', f"write {entry.syntax}")
    named = {token.partition("=")[0] for token in tokens if "=" in token}
    for value in by_position[len(bare) :]:
        if value.is_required and value.name not in named:
            usual = f", {entry.word} 2 is Keras's default" if value.name == "size" else ""
            report(f"no {value.name} given", f"write {entry.syntax}{usual}")
    options = {value.name: value for value in entry.values if value.is_option}
    for name, _, text in (token.partition("=") for token in tokens if "=" in token):
        if name in values and name in options:
            report(f"{name} is given twice", "give it once")
        elif name in options:
            read(options[name], text)
        elif any(value.name == name for value in by_position):
            report(f'"{name}=" names a value that goes by its position', f"write {entry.syntax}")
        elif options:
            report(f'"{name}" is no option of {word}', nearest(name, list(options)))
        else:
            report(f'"{name}" is no option of {word}, which has none', f"write {entry.syntax}")
    return problems, values


def _complaint(entry: Entry, value: Value, text: str) -> tuple[str, str]:
    """What is wrong with a value's text, and the fix."""
    if text.startswith("{") and text.endswith("}"):
        factor = text.strip("{}").split(".")[0]
        return f'"{text}" stands where {value.kind.rule} belongs', f"add {factor} to [factors] or give the {value.name}"
    if not value.kind.choices:
        return f'"{text}" given for {value.name}', f"give {value.kind.rule}"
    for option in entry.values:
        if option.is_option and option is not value and text in option.kind.choices:
            return f'"{text}" is no {value.name}', f"write {option.name}={text}"
    return f'"{text}" is no {value.name}', nearest(text, value.kind.choices)
