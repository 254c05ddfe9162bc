"""Dots of equal or nearly equal value side by side: a beeswarm."""

from __future__ import annotations

from collections.abc import Sequence


def lanes(values: Sequence[float], width: float) -> list[int]:
    """The lane of each dot: 0 is the middle, 1 and -1 the lanes beside it, and so on.

    No two dots of a lane are nearer than ``width``, and a dot stands as near to the middle as that allows. The order
    of ``values`` decides between equal ones.

    Args:
        values: Where each dot stands along the axis.
        width: A dot's width, in the same unit.
    """
    last: dict[int, float] = {}  # the value of each lane's last dot
    chosen = [0] * len(values)
    for at in sorted(range(len(values)), key=lambda at: values[at]):
        step = 0
        # Middle first, then to both sides in turn: 0, 1, -1, 2, -2, ...
        while (lane := (step + 1) // 2 * (1 if step % 2 else -1)) in last and values[at] - last[lane] < width:
            step += 1
        last[lane] = values[at]
        chosen[at] = lane
    return chosen
