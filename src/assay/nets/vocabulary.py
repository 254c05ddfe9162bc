"""The vocabulary: how each layer word is written, derived from its record; layers written back as words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any, get_type_hints

from .kinds import Kind
from .layers import WORDS, Join, Layer


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


def word_of(layer: Layer) -> str:
    """The layer as its shortest words, such that ``parse([word_of(layer)]) == (layer,)``; a join as a phrase."""
    if isinstance(layer, Join):
        activation = getattr(layer, "activation", "linear")
        return layer.word + (f", then {activation}" if activation != "linear" else "")
    entry = VOCABULARY[layer.word]
    defaults = {field.name: field.default for field in fields(layer)}  # type: ignore[arg-type]
    parts = [entry.word]
    for value in entry.values:
        if not value.is_required and replace(layer, **{value.name: defaults[value.name]}) == layer:  # type: ignore[type-var]
            continue
        text = value.kind.write(getattr(layer, value.name))
        parts.append(f"{value.name}={text}" if value.is_option else text)
    return " ".join(parts)
