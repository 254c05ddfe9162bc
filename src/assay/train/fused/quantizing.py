"""Kernels in whole numbers, once a step: the numbers that ``nets.quantizer.kernel_codes`` gives, in the same order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...nets.fixed_point import Coding
from ...nets.quantizer import LEAST, ROUNDS, STARTS, splitter
from .buffers import Floats
from .commands import CommandList
from .compiler import kernel

_TOP = 0.75  # above the last place: what is less than a whole number is cut off


def _code(value: Any, scale: Any, first: Any, step: Any, low: Any, last: Any) -> Any:
    """The whole number nearest to value / scale that there is."""
    place = (value / scale - first) / step + 0.5
    return float(int(min(max(place, low), last + _TOP))) * step + first


def _short(value: Any, split: Any) -> Any:
    large = value * split
    return large - (large - value)


@kernel(
    "w[float 1] used[float 1] outputs is_whole first:real step:real low:real last:real largest:real start:real "
    "split:real"
)
def quantize(
    part: int, parts: int, w: Any, used: Any, outputs: int, is_whole: int, first: float, step: float, low: float,
    last: float, largest: float, start: float, split: float,
) -> None:  # fmt: skip
    """A kernel [rows, outputs] rounded to whole numbers times a scale for each output.

    Args:
        part, parts: Which share of the outputs.
        w: As it is trained, flat.
        used: What it is rounded to.
        outputs: Its outputs.
        is_whole: Whether these are whole bytes, of which the largest weight takes the largest.
        first, step: The whole numbers are ``first + step * place``.
        low, last: The first place and the last.
        largest: The largest whole number.
        start: The first scale over the mean of absolute values.
        split: Leaves a scale its first bits.
    """
    begin, end = outputs * part // parts, outputs * (part + 1) // parts
    count, rows = end - begin, len(w) // outputs
    scales, products, squares = np.zeros(count, np.float64), np.zeros(count, np.float64), np.zeros(count, np.float64)
    for i in range(rows):
        row = w[i * outputs + begin : i * outputs + end]
        for o in range(count):
            size = abs(float(row[o]))
            scales[o] = max(scales[o], size)
            products[o] += size
    if is_whole:
        for o in range(count):
            wanted = scales[o] / largest
            short = _short(wanted, split)
            scales[o] = max(short * 2.0 if short < wanted else short, LEAST)
    else:
        for o in range(count):
            scales[o] = max(min(scales[o] / largest, start * (products[o] / rows)), LEAST)
        for _ in range(ROUNDS):
            for o in range(count):
                products[o], squares[o] = 0.0, 0.0
            for i in range(rows):
                row = w[i * outputs + begin : i * outputs + end]
                for o in range(count):
                    value = float(row[o])
                    code = _code(value, scales[o], first, step, low, last)
                    products[o] += code * value
                    squares[o] += code * code
            for o in range(count):
                better = products[o] / max(squares[o], 1.0)
                scales[o] = better if better > LEAST else scales[o]
        for o in range(count):
            scales[o] = max(_short(scales[o], split), LEAST)
    for i in range(rows):
        row, target = w[i * outputs + begin : i * outputs + end], used[i * outputs + begin : i * outputs + end]
        for o in range(count):
            value = float(row[o])
            # What is no number stays none, so that a diverged network shows in its loss.
            target[o] = np.float32(_code(value, scales[o], first, step, low, last) * scales[o] + (value - value))


def record(
    commands: CommandList, weights: Floats, used: Floats, outputs: int, coding: Coding, *, powers_of_two: bool
) -> None:
    """Record the rounding of a kernel's weights, which lie with outputs fastest."""
    is_whole = coding.base == 256
    low = 1 if coding.largest < -coding.first else 0  # as many below zero as above
    start = STARTS.get(coding.base, 0.0)
    commands.add(
        len(weights) * (1 if is_whole else ROUNDS), quantize(), weights, used, outputs, is_whole, coding.first,
        coding.step, low, coding.base - 1, coding.largest, start, splitter(coding, powers_of_two=powers_of_two),
    )  # fmt: skip
