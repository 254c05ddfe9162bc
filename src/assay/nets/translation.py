"""A backend's table from layer words to implementations, with one way of refusing a word that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from ..errors import Problem, SpecError
from .layers import Layer
from .shapes import LayerSummary

T = TypeVar("T", bound=Callable[..., object])


class Translation(Generic[T]):
    """A backend's implementations by layer class. ``TABLE[row]`` gives that of a network's layer.

    Functions are entered one by one (``@TABLE.of(Conv)`` above each) or all at once, as ``entries``.

    Args:
        what: What the backend has for a word, such as "ONNX operator", for the sentence that refuses one.
        remedy: What to do where it has none.
        entries: The implementations.
    """

    def __init__(self, what: str, remedy: str = "", entries: Mapping[type[Layer], T] | None = None) -> None:
        self.what, self.remedy = what, remedy
        self._entries: dict[type[Layer], T] = dict(entries or {})

    def of(self, *layers: type[Layer]) -> Callable[[T], T]:
        """Enters the function below it for these layers."""

        def enter(function: T) -> T:
            self._entries.update(dict.fromkeys(layers, function))
            return function

        return enter

    def __getitem__(self, row: LayerSummary) -> T:
        """What the backend makes of a layer.

        Raises:
            SpecError: Nothing: the backend lacks its word.
        """
        try:
            return self._entries[type(row.layer)]
        except KeyError:
            raise SpecError(Problem(lacking(row, self.what), self.remedy)) from None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the backend has."""
        return tuple(layer.word for layer in self._entries)

    def refusal(self, row: LayerSummary, reason: str) -> SpecError:
        """The error that this layer cannot be translated."""
        return SpecError(Problem(f'{row.name} ("{row.word}") {reason}', self.remedy))


def lacking(row: LayerSummary, what: str) -> str:
    """That a backend has nothing for a layer's word, such as no "ONNX operator"."""
    return f'{row.name} ("{row.word}") has no {what} here'
