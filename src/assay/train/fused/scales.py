"""The scales of activations on the kernels: what recorded calls read, and how it follows what they have seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...nets.fixed_point import LayerRoundings, Roundings
from ...nets.quantizer import MOMENTUM, exponents
from .blocks import LEVELS, SEEN
from .buffers import Floats
from .epilogue_op import EpilogueOp
from .rounding import RoundingOp
from .vectors import LANES


class Scales:
    """All scales of a network.

    Args:
        roundings: Where it rounds.
        ops: The passes that do.
        num_blocks: Blocks of the largest batch.

    Attributes:
        ranges: float32 [scales]: how large values are, as ``nets.quantizer.Scales`` has it.
    """

    def __init__(self, roundings: Roundings, ops: Sequence[RoundingOp | EpilogueOp], num_blocks: int) -> None:
        self._roundings = roundings
        self.ranges: Floats = np.zeros(roundings.num_scales, np.float32)
        self._levels: Floats = np.zeros((len(ops), LEVELS), np.float32)
        self._seen: Floats = np.zeros((len(ops), num_blocks, SEEN, LANES), np.float32)
        for op, levels, seen in zip(ops, self._levels, self._seen, strict=True):
            op.levels, op.seen = levels, seen
        around = [LayerRoundings(before=getattr(op.plan, "before", None), after=op.plan.after) for op in ops]
        found = [
            (index, place, part)
            for index, one in enumerate(around)
            for place, part in enumerate((one.before, one.after))
            if part is not None
        ]
        parts = [part for _, _, part in found]
        self._ops = np.array([index for index, _, _ in found], np.int64)
        self._places = np.array([place for _, place, _ in found], np.int64)
        self._sees = np.array([place == 0 or not around[index].is_kept for index, place, _ in found], np.bool_)
        self._scale_of = np.array([part.scale for part in parts], np.int64)
        self._most, self._below, self._high = (
            np.array(values, np.float32)
            for values in (
                [part.most for part in parts], [part.most_below for part in parts], [part.high for part in parts]
            )
        )  # fmt: skip
        self._levels[self._ops, 4 * self._places + 2] = [part.low for part in parts]
        self._levels[self._ops, 4 * self._places + 3] = self._high
        elus = [
            (index, one.before.scale)
            for index, (op, one) in enumerate(zip(ops, around, strict=True))
            if isinstance(op, RoundingOp) and op.plan.name == "elu" and one.before is not None
        ]
        self._elu_ops, self._elu_scales = np.array(elus, np.int64).reshape(-1, 2).T
        self._known: np.ndarray | None = None
        self.show()

    def show(self) -> None:
        """Let recorded calls see the scales that follow from ``ranges``."""
        chosen = exponents(self.ranges, self._roundings)
        if self._known is not None and (chosen == self._known).all():
            return
        self._known = chosen
        powers = chosen[self._scale_of]
        self._levels[self._ops, 4 * self._places] = np.ldexp(np.float32(1), -powers)
        self._levels[self._ops, 4 * self._places + 1] = np.ldexp(np.float32(1), powers)
        if len(self._elu_ops):
            base = min(chosen[scale] for scale in self._roundings.elus)
            steps = np.ldexp(np.float32(1), chosen[self._elu_scales] - base)
            self._levels[self._elu_ops, 8] = -np.ldexp(np.float32(1), -base)
            self._levels[self._elu_ops, 9] = 1 / steps
            self._levels[self._elu_ops, 10] = np.floor(steps / 2)

    def learn(self, count: int) -> None:
        """Move the ranges by what a step of training has seen on so many images."""
        blocks = -(-count // LANES)
        seen = self._seen[:, :blocks]
        if count % LANES:
            seen[:, -1, :, count % LANES :] = 0  # lanes without an image
        above = seen[:, :, 0::2].max((1, 3))[self._ops, self._places]
        below = -seen[:, :, 1::2].min((1, 3))[self._ops, self._places]
        needs = np.maximum(np.minimum(above, self._most), np.minimum(below, self._below)) / self._high
        largest = np.zeros_like(self.ranges)
        np.maximum.at(largest, self._scale_of, needs * self._sees)
        moved = self.ranges + np.float32(1 - MOMENTUM) * (largest - self.ranges)
        self.ranges[:] = np.where(self.ranges > 0, moved, largest)
        self.show()
