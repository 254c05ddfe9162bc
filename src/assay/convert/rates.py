"""Learning rates by step or epoch as one of a study's schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_CLOSE = 1e-4


def schedule_by_epoch(rates: Sequence[float]) -> dict[str, Any] | None:
    """The schedule that gives these rates, one for each epoch, relative to the first; ``None`` for none.

    Stairs are tried first: a callback that sets the rate before each epoch makes stairs.
    """
    if len(rates) < 2 or _alike(rates, [rates[0]] * len(rates)):
        return {"name": "constant"}
    first_change = next((at for at, rate in enumerate(rates) if not math.isclose(rate, rates[0], rel_tol=_CLOSE)), 0)
    factor = rates[first_change] / rates[0]
    if 0 < factor <= 1:
        stairs = [rates[0] * factor ** (at // first_change) for at in range(len(rates))]
        if _alike(rates, stairs):
            return {"name": "step", "every": first_change, "factor": _rounded(factor)}
    total = len(rates)
    half_cosine = [rates[0] * (1 + math.cos(math.pi * at / total)) / 2 for at in range(total)]
    return {"name": "cosine"} if _alike(rates, half_cosine) else None


def schedule_by_step(rates: Sequence[float], steps_per_epoch: int) -> dict[str, Any] | None:
    """The schedule that gives these rates, one for each step of all epochs; ``None`` for none."""
    total = len(rates)
    if total < 2 or _alike(rates, [rates[0]] * total):
        return {"name": "constant"}
    by_epoch = rates[::steps_per_epoch]
    if _alike(rates, [by_epoch[step // steps_per_epoch] for step in range(total)]):
        return schedule_by_epoch(by_epoch)
    ratio = rates[1] / rates[0]
    if 0 < ratio < 1 and _alike(rates, [rates[0] * ratio**step for step in range(total)]):
        return {"name": "exponential", "factor": _rounded(ratio**steps_per_epoch)}
    final = rates[-1] / rates[0]
    for end in (0.0, final):
        cosine = [rates[0] * (end + (1 - end) * (1 + math.cos(math.pi * step / total)) / 2) for step in range(total)]
        if _alike(rates, cosine, 2e-3):
            return {"name": "cosine", **({"final": _rounded(end)} if end > 1e-3 else {})}
    return None


def shown(rates: Sequence[float]) -> str:
    """A few of the rates, for a note."""
    picked = [rates[at] for at in sorted({0, len(rates) // 3, 2 * len(rates) // 3, len(rates) - 1})]
    return ", ".join(f"{rate:.3g}" for rate in picked)


def _alike(rates: Sequence[float], others: Sequence[float], tolerance: float = _CLOSE) -> bool:
    return all(abs(a - b) <= tolerance * abs(rates[0]) for a, b in zip(rates, others, strict=True))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
