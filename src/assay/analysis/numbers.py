"""How numbers are written for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def percent(share: float | None) -> str:
    """0.99123 as ``99.12 %``."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.2f} %"


def points(share: float | None) -> str:
    """A difference of shares in percentage points, with its sign: 0.0031 as ``+0.31``."""
    return "–" if share is None or not math.isfinite(share) else f"{round(100 * share, 2) + 0.0:+.2f}"


def p_value(p: float | None) -> str:
    """A p value with two significant digits, never as zero."""
    return "–" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def whole(number: int | None) -> str:
    """12345 as ``12,345``."""
    return "–" if number is None else f"{number:,}"


def significant(number: float | None) -> str:
    """A number with three significant digits, in plain notation where that is readable."""
    if number is None or not math.isfinite(number):
        return "–"
    if number == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(number)))
    return f"{number:,.{max(decimals, 0)}f}" if -6 < decimals <= 6 else f"{number:.2e}"


def flops(number: int | None) -> str:
    """26512000 as ``26.5 M``."""
    if number is None:
        return "–"
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{significant(number / size)} {letter}"
    return str(number)


def seconds(duration: float | None) -> str:
    """75.3 as ``1 min 15 s``, 0.123 as ``0.123 s``."""
    if duration is None or not math.isfinite(duration):
        return "–"
    if duration < 60:
        return f"{significant(duration)} s"
    minutes, rest = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(time: float | None) -> str:
    """Seconds since 1970 as ``2026-03-01 14:05 UTC``."""
    return "–" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def counted(n: int, noun: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
