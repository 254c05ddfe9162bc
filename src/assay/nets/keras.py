"""Keras's layer classes: their signatures, and the settings of one layer read against them. Keras is not needed."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from ..errors import nearest
from .kinds import ActivationName, spelled

REQUIRED = object()  # stands for the default of an argument that has none
_NOT_CHECKED = ("_initializer", "name", "seed", "dtype", "trainable")  # what these say has no words, and needs none


class Unfit(Exception):
    """A setting of a Keras layer that layer words cannot express, and what to do about it."""

    def __init__(self, what: str, fix: str = "") -> None:
        self.what, self.fix = what, fix
        super().__init__(what)


@dataclass(frozen=True)
class Signature:
    """How a layer class of Keras 3 is called.

    Args:
        text: As Keras documents it: ``"LayerNormalization(axis=-1, epsilon=0.001, center=True)"``.
        aliases: Other names of the class.
    """

    text: str
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The class's name."""
        return self.text.partition("(")[0]

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The arguments in Keras's order with their defaults; ``REQUIRED`` where there is none."""
        brackets = "".join(self.text.partition("(")[1:])[:-1]
        (function,) = ast.parse(f"def call{brackets}): pass").body
        assert isinstance(function, ast.FunctionDef)
        names = [argument.arg for argument in function.args.args]
        values = [ast.literal_eval(default) for default in function.args.defaults]
        missing: list[Any] = [REQUIRED] * (len(names) - len(values))
        return dict(zip(names, [*missing, *values], strict=True))

    @property
    def positions(self) -> tuple[str, ...]:
        """The names of arguments that are given by position."""
        return tuple(self.defaults)


class Settings:
    """The settings of one layer, read argument by argument.

    Each method raises ``Unfit`` where the value has no words here. What is left out has Keras's default.

    Args:
        signature: Of the layer's class.
        values: Its configuration, as Keras's ``get_config`` or a call gives it.
    """

    def __init__(self, signature: Signature, values: Mapping[str, Any]) -> None:
        self.name = signature.name
        self._defaults, self._values = signature.defaults, values
        self._seen: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """The value as it is; ``default`` is for names that are not in Keras 3's signature."""
        self._seen.add(name)
        value = self._values.get(name, self._defaults.get(name, default))
        if value is REQUIRED:
            raise Unfit(f"it has no {name}", "give it")
        return value

    def count(self, name: str) -> int:
        value = self.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9:
            raise Unfit(f"{name} is {short(value)}", "give a whole number, 1 or more")
        return value

    def pair(self, name: str, default: Any = None) -> tuple[int, int]:
        """Height and width; ``default`` is for Keras's None."""
        value = self.get(name)
        value = default if value is None else value
        sides = [value, value] if isinstance(value, int) else value
        is_pair = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) == 2
        if not is_pair or not all(isinstance(side, int) and 0 < side < 10**9 for side in sides):
            raise Unfit(f"{name} is {short(value)}", "give one or two whole numbers")
        return sides[0], sides[1]

    def one(self, name: str, default: Any = None) -> int:
        """A height and width that are equal."""
        height, width = self.pair(name, default)
        if height != width:
            raise Unfit(f"{name} is {height} x {width}", "height and width are equal here")
        return height

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if not isinstance(value, bool):
            raise Unfit(f"{name} is {short(value)}", "give True or False")
        return value

    def padding(self) -> Any:
        value = self.get("padding")
        if value not in ("valid", "same"):
            raise Unfit(f"padding is {short(value)}", 'give "valid" or "same"')
        return value

    def number(self, name: str, *, below: float = 1e9) -> float:
        value = self.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < below:
            raise Unfit(f"{name} is {short(value)}", f"give a number from 0 to below {below:g}")
        return float(value)

    def activation(self) -> Any:
        value = self.get("activation")
        value = "linear" if value is None else value
        name = spelled(value) if isinstance(value, str) else ""
        if name not in get_args(ActivationName):
            known = list(get_args(ActivationName))
            fix = nearest(name, known) if name else f"known: {', '.join(known)}"
            raise Unfit(f"its activation is {short(value)}", fix)
        return name

    def penalties(self, *names: str) -> tuple[float, float]:
        """l1 and l2 on the kernels, which are penalized alike."""
        penalties = {_penalty(self.get(name), name) for name in names}
        if len(penalties) > 1:
            raise Unfit("its kernels have different penalties", "give both the same")
        return penalties.pop()

    def must_be(self, name: str, *allowed: Any) -> None:
        value = self.get(name)
        if not any(value == one for one in allowed):
            raise Unfit(f"{name} is {short(value)}", f"here it is {allowed[0]!r}")

    def refuse_unread(self) -> None:
        """Raise where a setting that nobody has read is not Keras's default: it would be lost without a word."""
        for name, default in self._defaults.items():
            if name in self._seen or name.endswith(_NOT_CHECKED) or name not in self._values:
                continue
            value = self._values[name]
            value = tuple(value) if isinstance(value, list) else value
            if value == default or (name == "data_format" and value == "channels_last"):
                continue
            if name.endswith(("_regularizer", "_constraint")):
                raise Unfit(f"{name} is {short(value)}", "leave it out: kernels alone are penalized here (l1=, l2=)")
            usual = "channels_last" if name == "data_format" else default
            raise Unfit(f"{name} is {short(value)}", f"here it is {usual!r}")


def short(value: Any) -> str:
    """A value for a sentence, at most 60 characters long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _penalty(value: Any, name: str) -> tuple[float, float]:
    if value is None:
        return 0.0, 0.0
    settings: Any = {}
    kind = value
    if isinstance(value, Mapping):
        kind, settings = value.get("class_name"), value.get("config") or {}
    kind = kind.lower() if isinstance(kind, str) else ""
    defaults = {"l1": (0.01, 0.0), "l2": (0.0, 0.01), "l1l2": (0.0, 0.0), "l1_l2": (0.0, 0.0)}
    if kind not in defaults or not isinstance(settings, Mapping):
        raise Unfit(f"{name} is {short(value)}", "l1 and l2 have words")
    l1, l2 = (settings.get(key, default) for key, default in zip(("l1", "l2"), defaults[kind], strict=True))
    if not all(isinstance(x, int | float) and 0 <= x < 1e9 for x in (l1, l2)):
        raise Unfit(f"{name} is {short(value)}", "give numbers, 0 or more")
    return float(l1), float(l2)
