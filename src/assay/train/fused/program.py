"""A network as calls of kernels on buffers that are made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...seeds import Streams
from . import edges, layouts
from .activated import ActivationOp
from .added import SumOp
from .depthwise import DepthwiseOp
from .grid import Floats, Grid, Run, reshaped
from .normed import TailOp
from .plan import Activation, Block, Pool, Step, Sum, Tail, Weighted
from .pooled import PooledOp, takes
from .pools import PoolOp
from .tails import Mode
from .tape import Tape
from .vectors import LANES
from .weighted import WeightedOp

WeightsOp = WeightedOp | DepthwiseOp | PooledOp
StepOp = TailOp | PoolOp | ActivationOp | SumOp


class Program:
    """A network's forward and backward passes.

    Args:
        blocks: As ``plan.blocks_of`` returns them.
        precision: "bfloat16" (activations and products; sums, statistics and weights stay float32) or "float32".
        max_batch: The largest batch.
        streams: Of the run; ``dropout`` draws the masks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        precision: Literal["float32", "bfloat16"],
        max_batch: int,
        streams: Streams,
    ) -> None:
        mode: Mode = "b" if precision == "bfloat16" else "f"
        num_blocks = math.ceil(max_batch / LANES)
        self.weighted: list[WeightsOp] = []
        self.tails: list[list[StepOp]] = []
        first = blocks[0].weighted
        source = Grid(*first.inputs, "f", num_blocks, *first.margin)
        self.images = source
        remaining: list[tuple[Step, ...]] = []  # steps that are no part of their weighted layer's kernel
        for index, block in enumerate(blocks):
            is_last = index == len(blocks) - 1
            following = None if is_last else blocks[index + 1].weighted
            op, tails = self._weighted_op(block, mode, source, streams, is_first=index == 0, following=following)
            self.weighted.append(op)
            remaining.append(tails)
            source = op.y if following is None else self._outlet(op, tails, following, mode, num_blocks)
        for op, after, tails in zip(self.weighted, self.weighted[1:], remaining, strict=False):
            if isinstance(after, PooledOp):
                raise TypeError("only a first layer is pooled in its own kernel")
            self.tails.append(self._tail_ops(op, tails, after.x, after.dx, streams))
            if not tails:
                op.dy = after.dx
        last, tails = self.weighted[-1], remaining[-1]
        self.classes = (tails[-1] if tails else last.plan).outputs[2]
        self.stored_classes = self.classes + self.classes % 2 if mode == "b" else self.classes
        outlet, gradient = (Grid(1, 1, self.stored_classes, "f", num_blocks) for _ in range(2))
        self.tails.append(self._tail_ops(last, tails, outlet, gradient, streams))
        self.logits: Floats = outlet.data if tails else last.y.data  # [blocks, stored classes, 16], flat
        self.logit_gradient: Floats = gradient.data
        height, width, _ = last.plan.outputs
        self._last_dy = Grid(height, width, last.stored_outputs, "f", num_blocks) if mode == "b" else last.dy

    @staticmethod
    def _weighted_op(
        block: Block, mode: Mode, source: Grid, streams: Streams, *, is_first: bool, following: Weighted | None
    ) -> tuple[WeightsOp, tuple[Step, ...]]:
        plan, tails = block.weighted, block.tails
        stored = plan.outputs[2] + (plan.outputs[2] % 2 if mode == "b" else 0)
        head = tails[0] if tails else None
        if is_first and following is not None and isinstance(head, Tail) and takes(plan, head, stored):
            margin = following.margin if len(tails) == 1 else (0, 0, 0, 0)
            return PooledOp(plan, head, mode, source=source, margin=margin, streams=streams), tails[1:]
        is_last = following is None
        if plan.is_depthwise:
            return DepthwiseOp(plan, mode, source=source, is_first=is_first, is_last=is_last), tails
        is_normed = isinstance(head, Tail) and head.norm is not None
        op = WeightedOp(plan, mode, source=source, is_first=is_first, is_last=is_last, is_normed=is_normed)
        return op, tails

    @staticmethod
    def _outlet(op: WeightsOp, tails: tuple[Step, ...], following: Weighted, mode: Mode, num_blocks: int) -> Grid:
        """The buffer between a block and the next: y itself where nothing happens between."""
        if not tails or (len(tails) == 1 and _is_empty(tails[0]) and not any(following.margin)):
            return op.y
        height, width, channels = tails[-1].outputs
        return Grid(height, width, channels, mode, num_blocks, *following.margin)

    def _tail_ops(
        self, op: WeightsOp, tails: tuple[Step, ...], outlet: Grid, gradient: Grid, streams: Streams
    ) -> list[StepOp]:
        """The steps from a weighted layer's output to ``outlet``, whose gradient is given."""
        ops: list[StepOp] = []
        source = op.y
        for index, tail in enumerate(tails):
            source = reshaped(source, tail.inputs)
            target, dz = outlet, gradient
            if index < len(tails) - 1:
                shape = (*tail.outputs[:2], source.channels)  # of the last layer with padding, as float32 has none
                dz = Grid(*shape, source.mode, source.num_blocks)
                target = source if _is_empty(tail) else Grid(*shape, source.mode, source.num_blocks)
            if isinstance(tail, Pool):
                ops.append(PoolOp(tail, source=source, target=target, dz=dz))
            elif isinstance(tail, Activation):
                ops.append(ActivationOp(tail, source=source, target=target, dz=dz))
            elif isinstance(tail, Sum):
                start = self.weighted[tail.start].x
                ops.append(SumOp(tail, source=source, target=target, dz=dz, start=start))
            else:
                ops.append(TailOp(tail, source=source, target=target, dz=dz, streams=streams))
            source = target
        return ops

    def run(self, count: int, *, is_training: bool) -> Run:
        """The description of a batch of ``count`` images."""
        blocks = math.ceil(count / LANES)
        valid = np.zeros(blocks * LANES, np.float32)
        valid[:count] = 1
        return Run(count, blocks, valid, is_training)

    def set_step(self, step: int) -> None:
        """Choose the dropout masks of a step."""
        for op in (*self.weighted, *(tail for tails in self.tails for tail in tails)):
            op.set_step(step)

    def pack(self, tape: Tape, *, for_training: bool) -> None:
        """Prepare the weights for the kernels: after every change of them."""
        for op in self.weighted:
            op.pack(tape, for_training=for_training)

    def forward(self, tape: Tape, run: Run) -> None:
        """From ``self.images`` to ``self.logits``."""
        for op, tails in zip(self.weighted, self.tails, strict=True):
            op.forward(tape, run)
            for tail in tails:
                tail.forward(tape, run)

    def backward(self, tape: Tape, run: Run) -> None:
        """Every gradient, from ``self.logit_gradient``."""
        last = self.weighted[-1]
        for op, tails in zip(reversed(self.weighted), reversed(self.tails), strict=True):
            for position in range(len(tails) - 1, -1, -1):
                is_first = position == 0
                makes_dy = is_first and not isinstance(op, PooledOp)  # a pooled layer does the rest itself
                tail, dy = tails[position], tails[position - 1].dz
                if is_first:
                    dy = self._last_dy if op is last else op.dy
                if not isinstance(tail, TailOp):
                    tail.backward(tape, run, dy=dy)
                    continue
                tail.backward(
                    tape,
                    run,
                    dy=dy,
                    activation=op.plan.activation if makes_dy else "linear",
                    bias_gradient=op.bias_gradient if makes_dy else None,
                    paired=op.paired_dy if isinstance(op, WeightedOp) and is_first and op.takes_pairs else None,
                )
            if op is last:
                self._end_gradient(tape, run)
            op.backward(tape, run)
            for sum_op in (tail for tails in self.tails for tail in tails if isinstance(tail, SumOp)):
                if self.weighted[sum_op.plan.start] is op and not isinstance(op, PooledOp):
                    sum_op.add_gradient(tape, run, op.dx)

    def _end_gradient(self, tape: Tape, run: Run) -> None:
        """The gradient of the last weighted layer's output, as that layer reads it."""
        last, stored = self.weighted[-1], self.stored_classes
        if self.tails[-1]:
            if last.precision == "b":
                dy, source = last.dy, self._last_dy
                tape(
                    run.blocks * dy.passing, layouts.narrow(), source.data, dy.data, run.blocks, dy.height, dy.width,
                    dy.vectors, dy.full_height, dy.full_width, dy.top, dy.left,
                )  # fmt: skip
            return
        tape(0, edges.sum_lanes(), self.logit_gradient, run.blocks, stored, last.bias_gradient)
        if last.precision == "b":
            tape(0, layouts.pair_channels(), self.logit_gradient, last.dy.data, run.blocks, stored)
        else:
            tape(0, edges.copy(), self.logit_gradient[: run.blocks * stored * LANES], last.dy.data)


def _is_empty(step: Step) -> bool:
    return isinstance(step, Tail) and step.is_empty
