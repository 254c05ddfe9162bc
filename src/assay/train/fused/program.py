"""A network as calls of kernels on buffers that are made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...seeds import Streams
from . import edges, layouts
from .grid import Floats, Grid, Run, reshaped
from .normed import TailOp
from .plan import Block, Weighted
from .tails import Mode
from .tape import Tape
from .vectors import LANES
from .weighted import WeightedOp


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
        self.weighted: list[WeightedOp] = []
        self.tails: list[list[TailOp]] = []
        first = blocks[0].weighted
        source = Grid(*first.inputs, "f", num_blocks, *first.margin)
        self.images = source
        pending: list[tuple[Block, WeightedOp]] = []
        for index, block in enumerate(blocks):
            is_last = index == len(blocks) - 1
            op = WeightedOp(
                block.weighted, mode, source=source, is_first=index == 0, is_last=is_last,
                is_normed=bool(block.tails) and block.tails[0].norm is not None,
            )  # fmt: skip
            self.weighted.append(op)
            pending.append((block, op))
            if is_last:
                break
            source = self._outlet(block, op, blocks[index + 1].weighted, mode, num_blocks)
        for index, (block, op) in enumerate(pending[:-1]):
            self.tails.append(self._tail_ops(block, op, self.weighted[index + 1], streams, num_blocks, mode))
        last = self.weighted[-1]
        self.classes = last.plan.outputs[2]
        self.logit_gradient = np.zeros(num_blocks * last.stored_outputs * LANES, np.float32)

    @staticmethod
    def _outlet(block: Block, op: WeightedOp, following: Weighted, mode: Mode, num_blocks: int) -> Grid:
        """The buffer between a block and the next: y itself where nothing happens between."""
        if len(block.tails) == 1 and block.tails[0].is_empty and not any(following.margin):
            return op.y
        height, width, channels = block.tails[-1].outputs
        return Grid(height, width, channels, mode, num_blocks, *following.margin)

    @staticmethod
    def _tail_ops(
        block: Block, op: WeightedOp, following: WeightedOp, streams: Streams, num_blocks: int, mode: Mode
    ) -> list[TailOp]:
        ops = []
        source, tails = op.y, block.tails
        for index, tail in enumerate(tails):
            source = reshaped(source, tail.inputs)
            is_last = index == len(tails) - 1
            target = following.x if is_last else Grid(*tail.outputs, mode, num_blocks)
            dz = following.dx if is_last else Grid(*tail.outputs, mode, num_blocks)
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
        for tails in self.tails:
            for tail in tails:
                tail.set_step(step)

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
                tails[position].backward(
                    tape,
                    run,
                    dy=op.dy if is_first else tails[position - 1].dz,
                    activation=op.plan.activation if is_first else "linear",
                    bias_gradient=op.bias_gradient if is_first else None,
                    paired=op.paired_dy if is_first and op.takes_pairs else None,
                )
            op.backward(tape, run)
