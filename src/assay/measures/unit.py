"""In what a measure is written: percent and points, nats, or a plain number."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..numerals import NOTHING, decimals_for, fixed, signed


@dataclass(frozen=True)
class Unit:
    """How values and differences of a measure are written.

    Args:
        name: The unit of a difference, such as ``"points"``; empty for a plain number.
        scale: The factor from the measure to the unit.
        decimals: Decimals of values and differences.
        suffix: The text after a value, such as ``" %"``.
    """

    name: str
    scale: float
    decimals: int
    suffix: str

    def value(self, value: float | None) -> str:
        """A value with its suffix: 0.9912 as ``99.12 %``."""
        text = self.number(value)
        return text if text == NOTHING else f"{text}{self.suffix}"

    def number(self, value: float | None) -> str:
        """A value without its suffix."""
        return NOTHING if value is None else fixed(self.scale * value, self.decimals)

    def change(self, difference: float | None) -> str:
        """A difference with its sign, without its unit: 0.0031 as ``+0.31``."""
        return NOTHING if difference is None else signed(self.scale * difference, self.decimals)

    def amount(self, difference: float) -> str:
        """A difference's size with its unit: 0.0031 as ``0.31 points``."""
        text = fixed(self.scale * difference, self.decimals)
        return f"{text} {self.name}" if self.name else text

    def within(self, low: float, high: float) -> Unit:
        """The unit with the decimals that an estimate with this interval deserves."""
        return replace(self, decimals=decimals_for(self.scale * low, self.scale * high, self.decimals))

    def interval(self, low: float, high: float) -> str:
        """An interval in brackets, ``[97.95, 98.29]``, with the decimals that it deserves."""
        unit = self.within(low, high)
        return f"[{unit.number(low)}, {unit.number(high)}]"

    def changes(self, low: float, high: float) -> str:
        """A difference's interval in brackets with signs, ``[+0.05, +0.31]``, with the decimals that it deserves."""
        unit = self.within(low, high)
        return f"[{unit.change(low)}, {unit.change(high)}]"

    @property
    def words(self) -> str:
        """The unit of a table's differences: ``percentage points``, ``nats``, or nothing."""
        return "percentage points" if self.name == PERCENT.name else self.name


PERCENT = Unit("points", 100.0, 2, " %")
NATS = Unit("nats", 1.0, 4, "")
NUMBER = Unit("", 1.0, 4, "")
