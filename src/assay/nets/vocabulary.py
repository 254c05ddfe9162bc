"""Layer words: one line of text for each layer, read into layers and written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any, get_args, get_type_hints

from ..errors import Problem, nearest
from . import layers as words
from .calls import word_of_call
from .layers import ActivationName, Kind, Layer, spelled

WORDS: Mapping[str, type[Layer]] = {
    "conv": words.Conv,
    "depthwise": words.Depthwise,
    "separable": words.Separable,
    "batchnorm": words.BatchNorm,
    "layernorm": words.LayerNorm,
    "groupnorm": words.GroupNorm,
    "instancenorm": words.InstanceNorm,
    "maxpool": words.MaxPool,
    "avgpool": words.AvgPool,
    "globalmaxpool": words.GlobalMaxPool,
    "globalavgpool": words.GlobalAvgPool,
    "dropout": words.Dropout,
    "spatialdropout": words.SpatialDropout,
    "flatten": words.Flatten,
    "dense": words.Dense,
    "activation": words.Activate,
}
JOINS: Mapping[type[Layer], str] = {words.Add: "add", words.Concatenate: "concatenate"}
_KINDS = {**{kind: word for word, kind in WORDS.items()}, **JOINS}
_ACTIVATIONS = get_args(ActivationName)


@dataclass(frozen=True)
class Value:
    """One value of a layer word.

    Args:
        name: The field it fills.
        kind: How it is read and written.
        is_option: Written as ``name=value``, not by position.
        is_required: May not be left out.
    """

    name: str
    kind: Kind
    is_option: bool
    is_required: bool

    @property
    def syntax(self) -> str:
        """The value as the vocabulary's description writes it."""
        sign = self.kind.sign or self.name.upper()
        text = f"{self.name}={sign}" if self.is_option else sign if self.is_required else self.name
        return text if self.is_required else f"[{text}]"


@dataclass(frozen=True)
class Entry:
    """One word of the vocabulary, for documentation: how it is written and what it means."""

    word: str
    values: tuple[Value, ...]
    meaning: str

    @property
    def syntax(self) -> str:
        """The word with its values, the optional ones in brackets."""
        return " ".join([self.word, *(value.syntax for value in self.values)])


def _entry(word: str, layer: type[Any]) -> Entry:
    hints = get_type_hints(layer, include_extras=True)

    def value(field: Field[Any]) -> Value:
        return Value(field.name, hints[field.name].__metadata__[0], bool(field.kw_only), field.default is MISSING)

    return Entry(word, tuple(map(value, fields(layer))), (layer.__doc__ or "").strip())


VOCABULARY: Mapping[str, Entry] = {word: _entry(word, layer) for word, layer in WORDS.items()}


def read_word(line: str) -> tuple[list[Problem], Layer | None]:
    """The layer that a line stands for, or every problem with it."""
    word, *tokens = line.split() or [""]
    spelling = spelled(word)
    if spelling in _ACTIVATIONS:
        spelling, tokens = "activation", [word, *tokens]
    problems, values = _read(line, spelling, word, tokens)
    return problems, None if problems else WORDS[spelling](**values)


def kind_of(layer: Layer) -> str:
    """The layer's first word, such as ``"conv"``."""
    return _KINDS[type(layer)]


def word_of(layer: Layer) -> str:
    """The layer as its shortest words, such that ``parse([word_of(layer)]) == (layer,)``; a join as a phrase."""
    if isinstance(layer, words.Add | words.Concatenate):
        activation = getattr(layer, "activation", "linear")
        return kind_of(layer) + (f", then {activation}" if activation != "linear" else "")
    entry = VOCABULARY[kind_of(layer)]
    defaults = {field.name: field.default for field in fields(layer)}  # type: ignore[arg-type]
    parts = [entry.word]
    for value in entry.values:
        if not value.is_required and replace(layer, **{value.name: defaults[value.name]}) == layer:  # type: ignore[type-var]
            continue
        text = value.kind.write(getattr(layer, value.name))
        parts.append(f"{value.name}={text}" if value.is_option else text)
    return " ".join(parts)


def _read(line: str, spelling: str, word: str, tokens: Sequence[str]) -> tuple[list[Problem], dict[str, Any]]:
    """All problems of one line, and its values by field."""
    if spelling not in VOCABULARY:
        if meant := word_of_call(line):
            return [Problem(f"{line} is a call of Keras", f'write "{meant}"')], {}
        place = f'"{line}": ' if tokens or not word else ""
        return [Problem(f'{place}"{word}" is no layer', nearest(spelling, [*VOCABULARY, *_ACTIVATIONS]))], {}
    entry = VOCABULARY[spelling]
    by_position = [value for value in entry.values if not value.is_option]
    problems: list[Problem] = []
    values: dict[str, Any] = {}

    def wrong(what: str, fix: str) -> None:
        problems.append(Problem(f'"{line}": {what}', fix))

    def read(value: Value, text: str) -> None:
        try:
            values[value.name] = value.kind.read(text)
        except ValueError:
            values[value.name] = None
            wrong(*_complaint(entry, value, text))

    bare = [token for token in tokens if "=" not in token]
    for value, token in zip(by_position, bare, strict=False):
        read(value, token)
    for token in bare[len(by_position) :]:
        wrong(f'"{token}" is one value too many', f"write {entry.syntax}")
    named = {token.partition("=")[0] for token in tokens if "=" in token}
    for value in by_position[len(bare) :]:
        if value.is_required and value.name not in named:
            usual = f", {entry.word} 2 is Keras's default" if value.name == "size" else ""
            wrong(f"no {value.name} given", f"write {entry.syntax}{usual}")
    options = {value.name: value for value in entry.values if value.is_option}
    for name, _, text in (token.partition("=") for token in tokens if "=" in token):
        if name in values and name in options:
            wrong(f"{name} is given twice", "give it once")
        elif name in options:
            read(options[name], text)
        elif any(value.name == name for value in by_position):
            wrong(f'"{name}=" names a value that goes by its position', f"write {entry.syntax}")
        elif options:
            wrong(f'"{name}" is no option of {word}', nearest(name, list(options)))
        else:
            wrong(f'"{name}" is no option of {word}, which has none', f"write {entry.syntax}")
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
