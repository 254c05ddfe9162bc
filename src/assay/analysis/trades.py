"""Images beside parameters: up to how many images of a class twice as many bring more than another network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..measures import Measure
from ..numerals import capital
from .arm_curve import ArmCurve

_PLACES = 60  # sizes at which the two are compared


@dataclass(frozen=True)
class Trade:
    """Up to how many images doubling their number is worth more than the larger network.

    Args:
        small: The smaller network's label.
        large: The larger network's label.
        images: The number of images of a class; ``inf`` if it is above ``farthest``, 0 if it is below the smallest
            size.
        low: The lower end of its 95 % interval.
        high: The upper end.
        farthest: The largest size that was considered.
        sentence: The result in words, without a full stop.
    """

    small: str
    large: str
    images: float
    low: float
    high: float
    farthest: float
    sentence: str


def trades_of(curves: Sequence[ArmCurve], measure: Measure) -> tuple[Trade, ...]:
    """Every other curve beside the one of the fewest parameters, or beside the first where these are not known."""
    known = [one for one in curves if one.curve is not None]
    if len(known) < 2:
        return ()
    sizes = [one.parameters for one in known]
    if all(size is not None for size in sizes) and len(set(sizes)) > 1:
        known = sorted(known, key=lambda one: one.parameters or 0)
    small = known[0]
    return tuple(_trade(small, large, measure) for large in known[1:])


def _trade(small: ArmCurve, large: ArmCurve, measure: Measure) -> Trade:
    assert small.curve is not None
    assert large.curve is not None
    low = max(min(size.images for size in one.sizes if not size.is_left_out) for one in (small, large))
    farthest = min(small.largest, large.largest)
    places = np.geomspace(low, farthest, _PLACES)
    sign = 1.0 if measure.higher_is_better else -1.0
    one = small.curve.curves(np.concatenate([places, 2 * places]), is_shifted=False)
    other = large.curve.curves(places, is_shifted=False)
    rng = np.random.default_rng(3)
    count = min(len(one), len(other))
    one, other = rng.permutation(one)[:count], rng.permutation(other)[:count]
    images = sign * (one[:, _PLACES:] - one[:, :_PLACES])
    network = sign * (other - one[:, :_PLACES])
    wins = images > network
    until = np.where(wins.all(1), _PLACES, (~wins).argmax(1))  # how many of the sizes, from the smallest on
    ends = np.array([0.0, *places[:-1], math.inf])[until]
    below, middle, above = (float(np.quantile(ends, q, method="nearest")) for q in (0.025, 0.5, 0.975))
    text = _trade_sentence(small, large, middle, below, above, farthest)
    return Trade(small.label, large.label, middle, below, above, farthest, text)


def _trade_sentence(small: ArmCurve, large: ArmCurve, middle: float, low: float, high: float, farthest: float) -> str:
    step = f"the step from {small.label} to {large.label}"
    if small.parameters is not None and large.parameters is not None and small.parameters != large.parameters:
        step += f" ({small.parameters:,} to {large.parameters:,} parameters)"
    places = (_place(low, farthest), _place(high, farthest))
    ends = f" [{', '.join(places)}]" if places[0] != places[1] else ""
    if middle == math.inf:
        return f"Twice the images are worth more than {step} at every size up to {round(farthest):,} a class{ends}"
    if middle <= 0:
        return f"{capital(step)} is worth more than twice the images at every size{ends}"
    return f"Twice the images are worth more than {step} up to about {round(middle):,} a class{ends}"


def _place(images: float, farthest: float) -> str:
    return f"beyond {round(farthest):,}" if images == math.inf else "no size" if images <= 0 else f"{round(images):,}"
