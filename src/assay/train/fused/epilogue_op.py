"""The op of an epilogue: batch normalization, max pooling and dropout, on buffers and as calls of kernels."""

from __future__ import annotations

import numpy as np

from ...nets.masks import halves, threshold
from ...seeds import Streams
from . import elementwise, epilogues, normalization
from .blocks import LEVELS, SEEN, Epilogue
from .buffers import BatchInfo, Buffer, Floats, Mode, counted
from .commands import CommandList
from .vectors import LANES


class EpilogueOp:
    """Batch normalization, max pooling and dropout: one pass forward (two with statistics), one or two backward.

    Args:
        plan: What it consists of.
        source: Its input y.
        target: Its output z, which may have the next layer's margin.
        dz: The gradient of z, without a margin; backward takes it through dropout in place.
        streams: Of the run; ``dropout`` draws the masks.

    Attributes:
        m: What pooling chose, before normalization, for backward; y itself without pooling.
        scale, shift: float32 [channels]: z = scale * m + shift.
        factor, slope, level: float32 [channels]: dy = factor * dz at the chosen positions + slope * y + level.
        gamma, beta, gamma_gradient, beta_gradient: Views of the network's flat vectors.
        moving_mean, moving_variance: float32 [channels], updated by every training step.
    """

    def __init__(self, plan: Epilogue, *, source: Buffer, target: Buffer, dz: Buffer, streams: Streams) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.streams = streams
        self.mode: Mode = dz.mode  # of gradients; y may be float32 beside them, and z
        height, width, _ = plan.outputs
        self.levels: Floats = np.zeros(LEVELS, np.float32)  # replaced by views of the network's: see ``scales``
        self.seen: Floats = np.zeros((source.num_blocks, SEEN, LANES), np.float32)
        self.is_pooled = plan.window > 1
        self.m = Buffer(height, width, source.channels, source.mode, source.num_blocks) if self.is_pooled else source
        stored = source.stored_channels
        self.scale, self.shift = np.ones(stored, np.float32), np.zeros(stored, np.float32)
        self.factor = np.ones(stored, np.float32)
        self.key = np.zeros(2, np.int64)  # of dropout: low and high half, read by recorded calls, set before each step
        self._dropout = threshold(plan.rate), 1 / (1 - plan.rate)
        self.slope, self.level = np.zeros(stored, np.float32), np.zeros(stored, np.float32)
        if plan.norm is not None:
            self.mean, self.inverse = np.zeros(stored, np.float64), np.zeros(stored, np.float64)
            self.gamma = self.beta = self.gamma_gradient = self.beta_gradient = np.empty(0, np.float32)
            self.moving_mean = np.zeros(plan.inputs[2], np.float32)
            self.moving_variance = np.ones(plan.inputs[2], np.float32)
        # Two kernels where there is dropout, or values are rounded: evaluation must not pay for hashes and extremes.
        self._kernel, self._dropping = (
            epilogues.forward(
                source.mode, target.mode, window=plan.window, has_relu=plan.has_relu, has_dropout=has_dropout,
                rounds=plan.after is not None, sees=sees and plan.after is not None,
            )
            for has_dropout, sees in ((False, False), (plan.rate > 0, True))
        )  # fmt: skip
        self._gather = epilogues.backward_reduce(
            source.mode, self.mode, has_relu=plan.has_relu, has_dropout=plan.rate > 0, has_sums=plan.norm is not None,
            rounds=plan.after is not None,
        )  # fmt: skip
        if plan.norm is not None:
            self._moments = epilogues.moments(source.mode)

    @property
    def passes_through(self) -> bool:
        """Whether y is z: nothing is to be computed."""
        return self.plan.is_empty and self.y.data is self.z.data

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        plan, y, z = self.plan, self.y, self.z
        if plan.norm is not None:
            self._normalize(commands, batch)
        if self.passes_through:
            return
        kernel = self._dropping if batch.is_training else self._kernel
        height, width, channels = plan.outputs
        commands.add(
            batch.blocks * y.pass_work, kernel, y.data, self.m.data, z.data, self.scale, self.shift, self.key,
            batch.blocks, y.height, y.width, counted(y, z), *plan.margin, height, width, z.full_height, z.full_width,
            z.top, z.left, channels, *self._dropout, self.levels, self.seen,
        )  # fmt: skip

    def _normalize(self, commands: CommandList, batch: BatchInfo) -> None:
        weights = self.gamma, self.beta, self.moving_mean, self.moving_variance
        if not batch.is_training:
            commands.add(0, normalization.from_moving(), *weights, self.plan.epsilon, self.scale, self.shift)
            return
        y = self.y
        # float64: thousands of partial sums a channel are added.
        sums = np.zeros(3 * y.stored_channels)
        pixels = y.height * y.width
        commands.add(0, elementwise.clear_sums(), sums)
        commands.add(
            batch.blocks * y.pass_work, self._moments, y.data, batch.valid, sums, batch.blocks, pixels, y.vectors
        )
        commands.add(
            0, normalization.from_batch(), sums, batch.count * pixels, *weights, self.plan.momentum,
            self.plan.epsilon, self.mean, self.inverse, self.scale, self.shift,
        )  # fmt: skip

    def set_step(self, step: int) -> None:
        """Choose the dropout mask of a step."""
        if self.plan.rate:
            self.key[:] = halves(self.streams.key("dropout", self.plan.dropout, step))

    def backward(
        self,
        commands: CommandList,
        batch: BatchInfo,
        *,
        dy: Buffer,
        activation: str,
        bias_gradient: Floats | None,
    ) -> None:
        """Record the way from ``dz`` to ``dy``, through the weighted layer's own activation.

        Args:
            dy: Where the gradient of y goes.
            activation: "relu" or "linear": of the weighted layer before, whose output y is.
            bias_gradient: Where that layer's goes, if this is the op behind it: the sum of dy.
        """
        plan, y = self.plan, self.y
        height, width, channels = plan.outputs
        stored = y.stored_channels
        if plan.rate or plan.norm is not None:  # else scale is 1 for every pixel, and one pass does all
            sums = np.empty(batch.blocks * 2 * stored)
            commands.add(
                batch.blocks * self.dz.pass_work, self._gather, self.dz.data, self.m.data, batch.valid, self.scale,
                self.shift, sums, self.key, batch.blocks, height, width, counted(y, self.dz), channels, *self._dropout,
                self.levels,
            )  # fmt: skip
            if plan.norm is not None:
                commands.add(
                    0, normalization.gradient(), sums, batch.blocks, batch.count * y.height * y.width, self.gamma,
                    self.mean, self.inverse, self.gamma_gradient, self.beta_gradient, self.factor, self.slope,
                    self.level,
                )  # fmt: skip
        kernel = epilogues.backward_elementwise(
            y.mode, self.mode, window=plan.window, has_norm=plan.norm is not None, has_relu=plan.has_relu,
            activation=activation, rounds=plan.after is not None,
        )  # fmt: skip
        # Bias gradients are partial sums by block, so that threads never add to the same number.
        sums = np.empty(batch.blocks * stored)
        commands.add(
            2 * batch.blocks * y.pass_work, kernel, y.data, self.m.data, self.dz.data, dy.data, batch.valid,
            self.scale, self.shift, self.factor, self.slope, self.level, sums,
            batch.blocks, y.height, y.width, counted(y, self.dz), *plan.margin, height, width, dy.full_height,
            dy.full_width, dy.top, dy.left, self.levels,
        )  # fmt: skip
        if bias_gradient is not None:
            commands.add(0, elementwise.add_blocks(), sums, batch.blocks, bias_gradient)
