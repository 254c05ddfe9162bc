"""What a build function of Keras Tuner asks: names, bounds and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .space import Hyper


class HyperParameters:
    """``keras_tuner.HyperParameters``: names, bounds and values.

    Args:
        values: Given ones; the others have their defaults.
        hypers: Gets the hyperparameters that are asked for.
        on_use: Called whenever one is asked for.
    """

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        hypers: dict[str, Hyper] | None = None,
        on_use: Callable[[], object] | None = None,
    ) -> None:
        self.given = dict(values or {})
        self.hypers = {} if hypers is None else hypers
        self.values: dict[str, Any] = {}
        self._on_use = on_use
        self._scopes: list[str] = []
        self.tunes_new = True

    def _ask(self, hyper: Hyper) -> Any:
        if self._on_use is not None:
            self._on_use()
        name = hyper.name
        if not self.tunes_new and name not in self.hypers:
            return self.values.setdefault(name, hyper.default)
        hyper = self.hypers.setdefault(name, hyper)  # what was there first counts
        return self.values.setdefault(name, self.given.get(name, hyper.default))

    def _named(self, name: Any) -> str:
        """A name that a study can have."""
        plain = "".join(sign if sign.isalnum() or sign == "_" else "_" for sign in str(name))
        return plain if plain.isidentifier() else f"p_{plain}"

    def Int(  # noqa: N802
        self, name: Any, min_value: int, max_value: int, step: int | None = None, sampling: str | None = None,
        default: int | None = None, **_: Any,
    ) -> int:  # fmt: skip
        low, high = int(min_value), int(max_value)
        start = low if default is None else int(default)
        if sampling in ("log", "reverse_log") and step is not None:  # a factor then
            return int(self._ask(Hyper(self._named(name), _powers(low, high, step), default=start)))
        is_log = sampling == "log" and low > 0
        own = None if is_log else int(step or 1)
        return int(self._ask(Hyper(self._named(name), (), low, high, own, is_log, start)))

    def Float(  # noqa: N802
        self, name: Any, min_value: float, max_value: float, step: float | None = None, sampling: str | None = None,
        default: float | None = None, **_: Any,
    ) -> float:  # fmt: skip
        low, high = float(min_value), float(max_value)
        start = low if default is None else float(default)
        if sampling in ("log", "reverse_log") and step is not None:
            return float(self._ask(Hyper(self._named(name), _powers(low, high, step), default=start)))
        own = float(step) if step is not None else None
        return float(self._ask(Hyper(self._named(name), (), low, high, own, sampling == "log", start)))

    def Choice(self, name: Any, values: Sequence[Any], ordered: Any = None, default: Any = None, **_: Any) -> Any:  # noqa: N802
        every = tuple(values)
        return self._ask(Hyper(self._named(name), every, default=every[0] if default is None else default))

    def Boolean(self, name: Any, default: bool = False, **_: Any) -> bool:  # noqa: N802
        return bool(self._ask(Hyper(self._named(name), (False, True), default=bool(default))))

    def Fixed(self, name: Any, value: Any, **_: Any) -> Any:  # noqa: N802
        return self.values.setdefault(self._named(name), value)

    def get(self, name: Any) -> Any:
        if self._on_use is not None:
            self._on_use()
        plain = self._named(name)
        if plain in self.values:
            return self.values[plain]
        return self.given.get(plain, self.hypers[plain].default)

    __getitem__ = get

    def __contains__(self, name: Any) -> bool:
        return self._named(name) in self.values or self._named(name) in self.hypers

    @contextmanager
    def conditional_scope(self, parent_name: Any, parent_values: Any) -> Iterator[None]:
        yield

    @contextmanager
    def name_scope(self, name: Any) -> Iterator[None]:
        yield

    def copy(self) -> HyperParameters:
        return HyperParameters(self.given, self.hypers, self._on_use)

    def get_config(self) -> dict[str, Any]:
        return {"values": dict(self.values)}


def _powers(low: float, high: float, factor: float) -> tuple[Any, ...]:
    count = int(math.log(high / low) / math.log(factor) + 1e-9) + 1
    return tuple(low * factor**place for place in range(count))
