"""A measure that is a function of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem, SpecError
from ..spec.own import read_call
from .measure import Measure
from .predictions import Predictions
from .unit import NUMBER

Function = Callable[[NDArray[np.float64], NDArray[np.int64]], float]
LEFT_OUT = 200  # images that are left out, one at a time, to see what each does


def _no_function(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    raise NotImplementedError


@dataclass(frozen=True)
class OwnMeasure(Measure):
    """A function of probabilities [images, classes] and labels [images] to a number.

    It has a direction: ``higher_is_better = False`` as an attribute of the function turns it. The influence values are
    those of the jackknife, of ``LEFT_OUT`` images that are spread evenly and stand for the others.

    Args:
        function: The user's.
    """

    function: Function = _no_function

    def value(self, predictions: Predictions) -> float:
        return self._of(predictions.probabilities, predictions.labels.astype(np.int64))

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        probabilities, labels, n = predictions.probabilities, predictions.labels.astype(np.int64), len(predictions)
        if n < 3:
            return np.zeros(n)
        chosen = np.unique(np.linspace(0, n - 1, min(n, LEFT_OUT)).astype(np.int64))
        whole, moved = self._of(probabilities, labels), np.zeros(n)
        for image in chosen.tolist():
            rest = np.delete(np.arange(n), image)
            moved[image] = (n - 1) * (whole - self._of(probabilities[rest], labels[rest]))
        moved[chosen] -= moved[chosen].mean()
        return np.asarray(moved * math.sqrt(n / len(chosen)))

    def _of(self, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        try:
            value = float(self.function(probabilities, labels))
        except KeyboardInterrupt:
            raise
        except Exception as error:
            from ..nets.own.importing import reason_of

            what = f"{self.label}, a measure of your own, cannot be computed: {reason_of(error)}"
            raise DataError(Problem(what, "correct it")) from error
        if not math.isfinite(value):
            what = f"{self.label}, a measure of your own, is {value} on {len(labels):,} images"
            raise DataError(Problem(what, "return a finite number"))
        return value

    @property
    def bounds(self) -> tuple[float, float]:
        return -math.inf, math.inf


def own_measure(function: Function, name: str = "", *, higher_is_better: bool | None = None) -> OwnMeasure:
    """A function of probabilities and labels as a measure.

    Args:
        function: Of probabilities, float64 [images, classes], and labels, int64 [images], to a number.
        name: In tables and sentences; the function's own unless given.
        higher_is_better: Its direction; the function's attribute of that name, or true, unless given.

    Raises:
        SpecError: It cannot be called.
    """
    if not callable(function):
        what = f"got {function!r} as a measure"
        raise SpecError(Problem(what, "name one, or give a function of probabilities and labels", "metric"))
    label = name or getattr(function, "__name__", type(function).__name__)
    direction = getattr(function, "higher_is_better", True) if higher_is_better is None else higher_is_better
    return OwnMeasure(label, label.replace("_", " "), NUMBER, bool(direction), function)


def stored_own_measure(text: str) -> OwnMeasure:
    """The measure that ``FILE.py:NAME(arguments)`` names, where the user of this machine has named it before.

    Raises:
        NoCode: They have not, or the code has changed.
        SpecError: It cannot be made.
    """
    call = read_call(text, "metric")
    from ..nets.own import located
    from ..nets.own.importing import value_of

    made = own_measure(value_of(located(call), call), call.call)
    return OwnMeasure(text, made.label, made.unit, made.higher_is_better, made.function)
