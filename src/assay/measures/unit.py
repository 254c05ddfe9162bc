"""In what a measure is written: percent and points, nats, or a plain number."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How values and differences of a measure are written.

    Args:
        name: Of a difference, such as ``points``; empty for a plain number.
        scale: Turns the measure into the unit.
        decimals: Of values and differences.
        suffix: Behind a value, such as `` %``.
    """

    name: str
    scale: float
    decimals: int
    suffix: str

    def value(self, value: float | None) -> str:
        """A value with its suffix: 0.9912 as ``99.12 %``."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{self.number(value)}{self.suffix}"

    def number(self, value: float | None) -> str:
        """A value without its suffix."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{round(self.scale * value, self.decimals) + 0.0:.{self.decimals}f}"

    def change(self, difference: float | None) -> str:
        """A difference with its sign, without its unit: 0.0031 as ``+0.31``."""
        if difference is None or not math.isfinite(difference):
            return "–"
        return f"{round(self.scale * difference, self.decimals) + 0.0:+.{self.decimals}f}"

    def amount(self, difference: float) -> str:
        """A difference's size with its unit: 0.0031 as ``0.31 points``."""
        text = f"{round(self.scale * difference, self.decimals) + 0.0:.{self.decimals}f}"
        return f"{text} {self.name}" if self.name else text

    @property
    def words(self) -> str:
        """The unit of a table's differences: ``percentage points``, ``nats``, or nothing."""
        return "percentage points" if self is PERCENT else self.name


PERCENT = Unit("points", 100.0, 2, " %")
NATS = Unit("nats", 1.0, 4, "")
NUMBER = Unit("", 1.0, 4, "")
