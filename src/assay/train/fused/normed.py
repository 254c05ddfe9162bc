"""Batch normalization, pooling and dropout as calls of kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...nets.masks import halves, threshold
from ...seeds import Streams
from . import edges, tails
from .grid import Floats, Grid, Run, reshaped
from .plan import Tail
from .tails import Mode
from .tape import Tape

EPSILON, MOMENTUM = 1e-3, 0.99


class TailOp:
    """Batch normalization, max pooling and dropout as one pass there and two passes back."""

    def __init__(self, plan: Tail, *, source: Grid, target: Grid, dz: Grid, streams: Streams) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.streams = streams
        self.mode: Mode = source.mode
        height, width, _ = plan.outputs
        self.is_pooled = plan.window > 1
        self.m = Grid(height, width, source.channels, source.mode, source.num_blocks) if self.is_pooled else source
        stored = source.stored
        self.scale, self.shift = np.ones(stored, np.float32), np.zeros(stored, np.float32)
        self.factor = np.ones(stored, np.float32)
        self.key = np.zeros(2, np.int64)  # of dropout, set before each step
        self._dropout = threshold(plan.rate), 1 / (1 - plan.rate)
        self.slope, self.level = np.zeros(stored, np.float32), np.zeros(stored, np.float32)
        if plan.norm is not None:
            self.mean, self.inverse = np.zeros(stored, np.float64), np.zeros(stored, np.float64)
            self.gamma = self.beta = self.gamma_gradient = self.beta_gradient = np.empty(0, np.float32)
            self.moving_mean = np.zeros(plan.inputs[2], np.float32)
            self.moving_variance = np.ones(plan.inputs[2], np.float32)
        self._kernel = tails.tail(self.mode, window=plan.window, has_dropout=False)
        self._dropping = tails.tail(self.mode, window=plan.window, has_dropout=True) if plan.rate else self._kernel
        self._gather = tails.gather(self.mode, has_dropout=plan.rate > 0, has_sums=plan.norm is not None)
        if plan.norm is not None:
            self._moments = tails.moments(self.mode)

    @property
    def passes_through(self) -> bool:
        """Whether y is z: nothing is to be computed."""
        return self.plan.is_empty and self.y is self.z

    def forward(self, tape: Tape, run: Run) -> None:
        plan, y, z = self.plan, self.y, self.z
        if plan.norm is not None:
            self._normalize(tape, run)
        if self.passes_through:
            return
        kernel = self._dropping if run.is_training else self._kernel
        height, width, channels = plan.outputs
        tape(
            run.blocks * y.passing, kernel, y.data, self.m.data, z.data, self.scale, self.shift, self.key, run.blocks,
            y.height, y.width, y.vectors,
            *plan.margin, height, width, z.full_height, z.full_width, z.top, z.left, channels,
            *self._dropout,
        )  # fmt: skip

    def _normalize(self, tape: Tape, run: Run) -> None:
        weights = self.gamma, self.beta, self.moving_mean, self.moving_variance
        if not run.is_training:
            tape(0, edges.norm_from_moving(), *weights, EPSILON, self.scale, self.shift)
            return
        y = self.y
        sums = np.zeros(3 * y.stored)
        pixels = y.height * y.width
        tape(0, edges.clear_sums(), sums)
        tape(run.blocks * y.passing, self._moments, y.data, run.valid, sums, run.blocks, pixels, y.vectors)
        tape(
            0, edges.norm_from_batch(), sums, run.count * pixels, *weights, MOMENTUM, EPSILON, self.mean, self.inverse,
            self.scale, self.shift,
        )  # fmt: skip

    def set_step(self, step: int) -> None:
        """Choose the dropout mask of a step."""
        if self.plan.rate:
            self.key[:] = halves(self.streams.key("dropout", self.plan.dropout, step))

    def backward(
        self,
        tape: Tape,
        run: Run,
        *,
        dy: Grid,
        activation: str,
        bias_gradient: Floats | None,
        paired: NDArray[np.int32] | None = None,
    ) -> None:
        """From ``dz`` to ``dy``, or to ``paired`` instead, through the activation of the layer before."""
        plan, y = self.plan, self.y
        dy = reshaped(dy, (y.height, y.width, y.channels))
        height, width, channels = plan.outputs
        stored = y.stored
        if plan.rate or plan.norm is not None:
            sums = np.empty(run.blocks * 2 * stored)
            tape(
                run.blocks * self.dz.passing, self._gather, self.dz.data, self.m.data, run.valid, sums, self.key,
                run.blocks, height, width, y.vectors, channels, *self._dropout,
            )  # fmt: skip
            if plan.norm is not None:
                tape(
                    0, edges.norm_gradient(), sums, run.blocks, run.count * y.height * y.width, self.gamma, self.mean,
                    self.inverse, self.gamma_gradient, self.beta_gradient, self.factor, self.slope, self.level,
                )  # fmt: skip
        kernel = tails.scatter(
            self.mode, window=plan.window, has_norm=plan.norm is not None, activation=activation,
            is_paired=paired is not None,
        )  # fmt: skip
        shares = run.blocks if paired is None else (run.blocks + 1) // 2
        sums = np.empty(shares * stored)
        target = dy.data
        if paired is not None:
            target, dy = paired, Grid(y.height, y.width, y.channels, self.mode, 0)
        tape(
            2 * run.blocks * y.passing, kernel, y.data, self.m.data, self.dz.data, target, run.valid, self.factor,
            self.slope, self.level, sums,
            run.blocks, y.height, y.width, y.vectors, *plan.margin, height, width, dy.full_height,
            dy.full_width, dy.top, dy.left,
        )  # fmt: skip
        if bias_gradient is not None:
            tape(0, edges.add_blocks(), sums, shares, bias_gradient)
