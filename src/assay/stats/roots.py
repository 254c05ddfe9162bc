"""Where a function crosses zero."""

from __future__ import annotations

from collections.abc import Callable

_RELATIVE = 8.881784197001252e-16  # four units in the last place: nearer than that no root can be told
_MOST_STEPS = 100


def root_of(function: Callable[[float], float], low: float, high: float, *, within: float) -> float:
    """A zero of a continuous function that changes sign between ``low`` and ``high``, by Brent's method.

    Each step interpolates where that can be trusted, and else halves the interval. The points are those of SciPy's
    ``brentq``, whose package takes longer to import than all roots of a verdict take to find.

    Args:
        function: Its sign differs at the two ends, or it is 0 at one of them.
        low, high: The ends.
        within: How far from the zero the result may lie.

    Raises:
        ValueError: The sign is the same at both ends.

    Source: Brent (1973), "Algorithms for Minimization Without Derivatives", chapter 4.
    """
    before, f_before = low, function(low)  # the point before the newest one
    newest, f_newest = high, function(high)
    if f_before == 0 or f_newest == 0:
        return before if f_before == 0 else newest
    if (f_before > 0) == (f_newest > 0):
        raise ValueError(f"the function has one sign at {low!r} and {high!r}; give ends between which it changes")
    beyond, f_beyond = before, f_before  # a point on the zero's other side
    last = step = newest - before
    for _ in range(_MOST_STEPS):
        if (f_before > 0) != (f_newest > 0):
            beyond, f_beyond = before, f_before
            last = step = newest - before
        if abs(f_beyond) < abs(f_newest):  # the newest point is to be the better end
            before, newest, beyond = newest, beyond, newest
            f_before, f_newest, f_beyond = f_newest, f_beyond, f_newest
        least, half = (within + _RELATIVE * abs(newest)) / 2, (beyond - newest) / 2
        if f_newest == 0 or abs(half) < least:
            break
        if abs(last) > least and abs(f_newest) < abs(f_before):
            if before == beyond:  # two points: a line
                tried = -f_newest * (newest - before) / (f_newest - f_before)
            else:  # three: a parabola in the function's value
                slope = (f_before - f_newest) / (before - newest)
                other = (f_beyond - f_newest) / (beyond - newest)
                tried = -f_newest * (f_beyond * other - f_before * slope) / (other * slope * (f_beyond - f_before))
            is_trusted = 2 * abs(tried) < min(abs(last), 3 * abs(half) - least)
            last, step = (step, tried) if is_trusted else (half, half)
        else:
            last = step = half
        before, f_before = newest, f_newest
        newest += step if abs(step) > least else least if half > 0 else -least
        f_newest = function(newest)
    return newest
