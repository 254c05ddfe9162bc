"""A network as calls of kernels on buffers that are made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...seeds import Streams
from . import edges, layouts
from .activated import ActivationOp
from .grid import Floats, Grid, Run, reshaped
from .normed import TailOp
from .plan import Activation, Block, Pool, Step, Tail, Weighted
from .pooled import PooledOp, takes
from .pools import PoolOp
from .tails import Mode
from .tape import Tape
from .vectors import LANES
from .weighted import WeightedOp

StepOp = TailOp | PoolOp | ActivationOp


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
        self.weighted: list[WeightedOp | PooledOp] = []
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
            if following is not None:
                source = self._outlet(op, tails, following, mode, num_blocks)
        for index, tails in enumerate(remaining[:-1]):
            op, after = self.weighted[index], self.weighted[index + 1]
            self.tails.append(self._tail_ops(op, tails, after, streams, num_blocks, mode))
            if not tails:
                op.dy = after.dx  # type: ignore[union-attr]
        last = self.weighted[-1]
        self.classes = last.plan.outputs[2]
        self.logit_gradient = np.zeros(num_blocks * last.stored_outputs * LANES, np.float32)

    @staticmethod
    def _weighted_op(
        block: Block, mode: Mode, source: Grid, streams: Streams, *, is_first: bool, following: Weighted | None
    ) -> tuple[WeightedOp | PooledOp, tuple[Step, ...]]:
        plan, tails = block.weighted, block.tails
        stored = plan.outputs[2] + (plan.outputs[2] % 2 if mode == "b" else 0)
        head = tails[0] if tails else None
        if is_first and following is not None and isinstance(head, Tail) and takes(plan, head, stored):
            margin = following.margin if len(tails) == 1 else (0, 0, 0, 0)
            return PooledOp(plan, head, mode, source=source, margin=margin, streams=streams), tails[1:]
        is_normed = isinstance(head, Tail) and head.norm is not None
        op = WeightedOp(
            plan, mode, source=source, is_first=is_first, is_last=following is None, is_normed=is_normed
        )  # fmt: skip
        return op, tails

    @staticmethod
    def _outlet(
        op: WeightedOp | PooledOp, tails: tuple[Step, ...], following: Weighted, mode: Mode, num_blocks: int
    ) -> Grid:
        """The buffer between a block and the next: y itself where nothing happens between."""
        if not tails or (len(tails) == 1 and _is_empty(tails[0]) and not any(following.margin)):
            return op.y
        height, width, channels = tails[-1].outputs
        return Grid(height, width, channels, mode, num_blocks, *following.margin)

    @staticmethod
    def _tail_ops(
        op: WeightedOp | PooledOp,
        tails: tuple[Step, ...],
        following: WeightedOp | PooledOp,
        streams: Streams,
        num_blocks: int,
        mode: Mode,
    ) -> list[StepOp]:
        if not isinstance(following, WeightedOp):
            raise TypeError("only a first layer is pooled in its own kernel")
        ops: list[StepOp] = []
        source = op.y
        for index, tail in enumerate(tails):
            source = reshaped(source, tail.inputs)
            is_last = index == len(tails) - 1
            if is_last:
                target, dz = following.x, following.dx
            else:
                target = source if _is_empty(tail) else Grid(*tail.outputs, mode, num_blocks)
                dz = Grid(*tail.outputs, mode, num_blocks)
            if isinstance(tail, Pool):
                ops.append(PoolOp(tail, source=source, target=target, dz=dz))
            elif isinstance(tail, Activation):
                ops.append(ActivationOp(tail, source=source, target=target, dz=dz))
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

    @property
    def logits(self) -> Floats:
        """Float32 [blocks, stored classes, 16], flat: what ``forward`` leaves."""
        logits: Floats = self.weighted[-1].y.data
        return logits

    def forward(self, tape: Tape, run: Run) -> None:
        """From ``self.images`` to ``self.logits``."""
        for index, op in enumerate(self.weighted):
            op.forward(tape, run)
            if index < len(self.tails):
                for tail in self.tails[index]:
                    tail.forward(tape, run)

    def backward(self, tape: Tape, run: Run) -> None:
        """Every gradient, from ``self.logit_gradient``."""
        last = self.weighted[-1]
        stored = last.stored_outputs
        tape(0, edges.sum_lanes(), self.logit_gradient, run.blocks, stored, last.bias_gradient)
        if last.precision == "b":
            tape(0, layouts.pair_channels(), self.logit_gradient, last.dy.data, run.blocks, stored)
        else:
            tape(0, edges.copy(), self.logit_gradient[: run.blocks * stored * LANES], last.dy.data)
        last.backward(tape, run)
        for index in range(len(self.tails) - 1, -1, -1):
            op, tails = self.weighted[index], self.tails[index]
            for position in range(len(tails) - 1, -1, -1):
                is_first = position == 0
                makes_dy = is_first and isinstance(op, WeightedOp)  # a pooled layer does the rest itself
                tail, dy = tails[position], op.dy if is_first else tails[position - 1].dz
                if not isinstance(tail, TailOp):
                    tail.backward(tape, run, dy=dy)
                    continue
                tail.backward(
                    tape,
                    run,
                    dy=dy,
                    activation=op.plan.activation if makes_dy else "linear",
                    bias_gradient=op.bias_gradient if makes_dy else None,
                    paired=op.paired_dy if makes_dy and op.takes_pairs else None,
                )
            op.backward(tape, run)


def _is_empty(step: Step) -> bool:
    return isinstance(step, Tail) and step.is_empty
