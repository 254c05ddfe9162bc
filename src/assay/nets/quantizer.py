"""Kernels and activations in whole numbers while a network is trained: values, scales and straight-through gradients.

A kernel's weights are whole numbers times a scale for each output channel. The scale follows from the weights of this
step: the largest for 8 bits, else the one with the least squared error that alternating between scale and codes finds
(Lloyd 1982). It keeps so few bits that a code times the scale is exact in bfloat16. Gradients pass through rounding
unchanged (Bengio, Leonard and Courville 2013), to weights always, to activations where nothing is cut (as in PACT, Choi
et al. 2018). Scales of activations are powers of two, as in TQT (Jain et al. 2020), and follow a moving average of how
large values become (Jacob et al. 2018).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .activations import activated
from .fixed_point import LEAST_ELU, Coding, LayerRoundings, Rounding, Roundings

ROUNDS = 3  # of choosing codes and scale in turn
# By base: the first scale over the mean of the weights' absolute values, the best of a normal distribution (where that
# cuts nothing, as of few weights, the largest of them gives it), and bits that a scale keeps, of the eight of bfloat16
# that codes leave.
STARTS = {16: 0.42, 4: 0.624, 3: 1.53}
SCALE_BITS = {256: 1, 16: 5, 4: 6, 3: 8}
LEAST = 2.0**-40  # of a scale
MOMENTUM = 0.95  # of the average of how large values are
CUT = {8: 0, 4: 1}  # by bits of activations: how often the scale is halved, so that the largest values are cut
FIRST = 8.0  # how large values are taken to be before any was seen


def kernel_codes(kernel: Tensor, coding: Coding, *, powers_of_two: bool = False) -> tuple[Tensor, Tensor]:
    """A kernel in whole numbers.

    Args:
        kernel: float32 [outputs, ...].
        coding: Which numbers there are.
        powers_of_two: Whether scales are powers of two.

    Returns:
        Whole numbers in the kernel's shape and scales [outputs], both float64.
    """
    flat = kernel.detach().reshape(len(kernel), -1).double()
    sizes = flat.abs()
    split = splitter(coding, powers_of_two=powers_of_two)
    if coding.base == 256:
        wanted = sizes.amax(1) / coding.largest
        scales = _short(wanted, split)
        scales = torch.where(scales < wanted, scales * 2, scales)  # nothing is cut
    else:
        scales = torch.minimum(sizes.amax(1) / coding.largest, STARTS[coding.base] * sizes.mean(1)).clamp(min=LEAST)
        for _ in range(ROUNDS):
            codes = _codes(flat, scales, coding)
            squares = (codes * codes).sum(1)
            better = (codes * flat).sum(1) / squares.clamp(min=1)
            scales = torch.where((squares > 0) & (better > LEAST), better, scales)
        scales = _short(scales, split)
    scales = scales.clamp(min=LEAST)
    return _codes(flat, scales, coding).reshape(kernel.shape), scales


def splitter(coding: Coding, *, powers_of_two: bool) -> float:
    """The factor that leaves a scale its first bits (Dekker 1971): see ``_short``."""
    return math.ldexp(1, 53 - (1 if powers_of_two else SCALE_BITS[coding.base])) + 1


def _short(values: Tensor, split: float) -> Tensor:
    large = values * split
    return large - (large - values)


def _codes(flat: Tensor, scales: Tensor, coding: Coding) -> Tensor:
    low = 1 if coding.largest < -coding.first else 0  # as many below zero as above
    places = torch.floor((flat / scales[:, None] - coding.first) / coding.step + 0.5)
    return places.clamp(low, coding.base - 1) * coding.step + coding.first


class _Straight(torch.autograd.Function):
    """One value forward, and the gradient of another backward."""

    @staticmethod
    def forward(context: Any, given: Tensor, used: Tensor, passes: Tensor | None) -> Tensor:
        context.save_for_backward(*(() if passes is None else (passes,)))
        return used.to(given.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        return (gradient * context.saved_tensors[0] if context.saved_tensors else gradient), None, None


def quantized(kernel: Tensor, coding: Coding, *, powers_of_two: bool = False) -> Tensor:
    """A kernel [outputs, ...] rounded to what its codes stand for; the gradient passes unchanged."""
    codes, scales = kernel_codes(kernel, coding, powers_of_two=powers_of_two)
    used = codes * scales.reshape(-1, *[1] * (kernel.dim() - 1))
    straight: Tensor = _Straight.apply(kernel, used, None)  # type: ignore[no-untyped-call]
    return straight


def exponents(ranges: NDArray[np.floating], roundings: Roundings) -> NDArray[np.int64]:
    """Scales of activations as powers of two: the exponents [scales] for how large values are, in units of the largest
    whole number [scales]."""
    fractions, powers = np.frexp(np.where(ranges > 0, ranges, first_range(roundings)).astype(np.float64))
    chosen = np.asarray(powers - (fractions == 0.5) - CUT[roundings.bits], np.int64)
    for scale in roundings.elus:
        chosen[scale] = max(chosen[scale], LEAST_ELU)
    return chosen


def first_range(roundings: Roundings) -> float:
    """What ranges are before any value was seen."""
    return FIRST / ((1 << (roundings.bits - 1)) - 1)


class Scales(nn.Module):
    """The scales of a network's activations, and how large these have been.

    Attributes:
        ranges: float32 [scales], a buffer: the moving average, in units of the largest whole number; 0 before any value
            was seen.
    """

    ranges: Tensor

    def __init__(self, roundings: Roundings) -> None:
        super().__init__()
        self.roundings = roundings
        self.register_buffer("ranges", torch.zeros(roundings.num_scales))
        is_elu = torch.zeros(roundings.num_scales, dtype=torch.bool)
        is_elu[list(roundings.elus)] = True
        self.register_buffer("is_elu", is_elu, persistent=False)
        self._seen: dict[int, Tensor] = {}

    def powers(self) -> Tensor:
        """float32 [scales]: the scales of this step."""
        ranges = torch.where(self.ranges > 0, self.ranges, first_range(self.roundings))
        fractions, exponent = torch.frexp(ranges.double())
        exponent = exponent - (fractions == 0.5).int() - CUT[self.roundings.bits]
        exponent = torch.where(self.get_buffer("is_elu"), exponent.clamp(min=LEAST_ELU), exponent)
        return torch.ldexp(torch.ones_like(self.ranges), exponent)

    def see(self, rounding: Rounding, values: Tensor) -> None:
        """Take note of values that are about to be rounded in a step of training."""
        with torch.no_grad():
            above = values.max().clamp(max=rounding.most)
            below = (-values.min()).clamp(max=rounding.most_below)
            need = torch.maximum(above, below).clamp(min=0) / rounding.high
            known = self._seen.get(rounding.scale)
            self._seen[rounding.scale] = need if known is None else torch.maximum(known, need)

    def learn(self) -> None:
        """Move the averages by what the step has seen."""
        for scale, need in self._seen.items():
            now = self.ranges[scale]
            self.ranges[scale] = torch.where(now > 0, now + (1 - MOMENTUM) * (need - now), need)
        self._seen = {}


def rounded(values: Tensor, scale: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
    """Values as whole numbers times a scale, halves up, cut at limits; and where nothing is cut."""
    whole = torch.floor(values / scale + 0.5)
    cut = whole.clamp(low, high)
    return cut * scale, whole == cut


def rounded_elu(values: Tensor, scale: Tensor, base: Tensor) -> Tensor:
    """Elu of rounded values, as a program looks it up in a table of steps ``base``, from which ``scale`` is a power of
    two away."""
    steps = scale / base
    entries = torch.floor(-torch.expm1(values.clamp(max=0)) / base + 0.5)
    below = torch.floor((entries + torch.floor(steps / 2)) / steps)
    return torch.where(values > 0, values, -below * scale)


class Round:
    """Rounds values, and passes gradients where nothing is cut.

    Args:
        rounding: How.
        scales: Of the network.
        sees: Whether the scale follows these values; those that have been rounded to it say nothing.
    """

    def __init__(self, rounding: Rounding, scales: Scales, *, sees: bool = True) -> None:
        self.rounding, self.scales, self.sees = rounding, scales, sees

    @property
    def scale(self) -> Tensor:
        """What 1 stands for, in this step."""
        return self.scales.powers()[self.rounding.scale]

    def __call__(self, values: Tensor) -> Tensor:
        """Values in any shape."""
        rounding = self.rounding
        if self.sees and self.scales.training:
            self.scales.see(rounding, values)
        used, passes = rounded(values.detach(), self.scale, rounding.low, rounding.high)
        straight: Tensor = _Straight.apply(values, used, passes)  # type: ignore[no-untyped-call]
        return straight


class LayerRounds:
    """What is rounded of one layer.

    Args:
        roundings: Where.
        scales: Of the network.
    """

    def __init__(self, roundings: LayerRoundings, scales: Scales) -> None:
        parts = (roundings.middle, roundings.before, roundings.after)
        self.middle, self.before, self.after = (
            None if one is None else Round(one, scales, sees=one is not roundings.after or not roundings.is_kept)
            for one in parts
        )

    def activated(self, values: Tensor, name: str) -> Tensor:
        """The activation of values; elu as a program's table has it."""
        if self.before is None:
            return activated(values, name)
        values = self.before(values)
        if name != "elu":
            return activated(values, name)
        scales = self.before.scales
        base = scales.powers()[scales.get_buffer("is_elu")].min()
        used = rounded_elu(values.detach(), self.before.scale, base)
        straight: Tensor = _Straight.apply(torch.nn.functional.elu(values), used, None)  # type: ignore[no-untyped-call]
        return straight
