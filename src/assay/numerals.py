"""How numbers and counts are written for people: in terminals, notebooks, reports, pages and LaTeX.

What programs read (JSON, CSV) is not written here. The pages' scripts have the same rules in ``web/static/dom.js``.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

MINUS = "\N{MINUS SIGN}"
NOTHING = "–"  # in place of a number that is not there
_MOST_DECIMALS = 6
_HYPHEN = re.compile(r"(?<![\w.-])-(?=\d)")


def minus(text: str) -> str:
    """The text with a minus sign where numbers were written with a hyphen; hyphens in words stay."""
    return _HYPHEN.sub(MINUS, text)


def fixed(number: float | None, decimals: int) -> str:
    """A number with so many decimals; never minus zero."""
    if number is None or not math.isfinite(number):
        return NOTHING
    return minus(f"{round(number, decimals) + 0.0:.{decimals}f}")


def signed(number: float | None, decimals: int) -> str:
    """A difference with its sign: ``+0.31``, ``−0.31``, and ``0.00`` without one."""
    text = fixed(number, decimals)
    return text if number is None or not round(number, decimals) > 0 else f"+{text}"


def percent(share: float | None, decimals: int = 2) -> str:
    """0.99123 as ``99.12 %``."""
    return NOTHING if share is None or not math.isfinite(share) else f"{fixed(100 * share, decimals)} %"


def points(share: float | None) -> str:
    """A difference of shares in percentage points, with its sign: 0.0031 as ``+0.31``."""
    return NOTHING if share is None or not math.isfinite(share) else signed(100 * share, 2)


def decimals_for(low: float, high: float, most: int) -> int:
    """How many decimals an estimate deserves: two significant digits of half its interval.

    Args:
        low: The interval's lower end.
        high: Its upper end.
        most: At most so many decimals, unless they would round an end onto a zero that the interval excludes.
    """
    half = (high - low) / 2
    decimals = most
    if math.isfinite(half) and half > 0:
        decimals = min(max(1 - math.floor(math.log10(half)), 0), most)
    nearest = min(abs(low), abs(high)) if low > 0 or high < 0 else 0.0
    if round(nearest, _MOST_DECIMALS) > 0:  # smaller ones are zeros of a computer
        while round(nearest, decimals) == 0:
            decimals += 1
    return decimals


def p_value(p: float | None) -> str:
    """A p value with two significant digits, never as zero."""
    return NOTHING if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def whole(number: int | None) -> str:
    """12345 as ``12,345``."""
    return NOTHING if number is None else minus(f"{number:,}")


def significant(number: float | None) -> str:
    """A number with three significant digits, in plain notation where that is readable."""
    if number is None or not math.isfinite(number):
        return NOTHING
    if number == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(number)))
    return minus(f"{number:,.{max(decimals, 0)}f}" if -6 < decimals <= 6 else f"{number:.2e}")


def flops(number: int | None) -> str:
    """26512000 as ``26.5 M``."""
    if number is None:
        return NOTHING
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{significant(number / size)} {letter}"
    return str(number)


def seconds(duration: float | None) -> str:
    """75.3 as ``1 min 15 s``, 0.123 as ``0.123 s``."""
    if duration is None or not math.isfinite(duration):
        return NOTHING
    return f"{significant(duration)} s" if duration < 60 else whole_seconds(duration)


def whole_seconds(duration: float) -> str:
    """A duration that is estimated or still rising: ``41 s``, ``3 min 20 s``, ``2 h 5 min``."""
    total = round(duration)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def moment(time: float | None) -> str:
    """Seconds since 1970 as ``2026-03-01 14:05 UTC``."""
    return NOTHING if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def counted(n: int, noun: str, plural: str = "") -> str:
    """``1 run``, ``3 runs``, ``1,200 runs``; with a plural of its own, ``2 classes``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def in_points(number: str) -> str:
    """A written number with its unit: ``1 point``, ``0.31 points``."""
    return f"{number} {'point' if number == '1' else 'points'}"


def capital(text: str) -> str:
    """A phrase as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
