"""Binds a planned network to buffers and records its passes as kernel calls.

Memory is planned once, at construction: every activation and gradient has a buffer for the largest batch, and each op
is given the buffers that it reads and writes. A block's output is written straight into the next layer's input buffer,
inside that layer's margin, so nothing is ever padded or copied. Backward reads the activations of forward in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...seeds import Streams
from . import elementwise, loss, reorders
from .activations import ActivationOp
from .blocks import Activation, Block, ChannelDropout, Epilogue, Pool, PostOp, Sum, Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode, reshaped
from .channel_dropout import ChannelDropoutOp
from .commands import CommandList
from .conv_pool import ConvPoolOp, can_fuse
from .depthwise import DepthwiseOp
from .epilogue_op import EpilogueOp
from .pooling import PoolOp
from .residual import SumOp
from .vectors import LANES
from .weighted import WeightedOp

WeightsOp = WeightedOp | DepthwiseOp | ConvPoolOp
AnyPostOp = EpilogueOp | PoolOp | ActivationOp | SumOp | ChannelDropoutOp


class Program:
    """A network's forward and backward passes.

    Args:
        blocks: As ``plan.blocks_of`` returns them.
        precision: "bfloat16" (activations and products; sums, statistics and weights stay float32) or "float32".
        max_batch: The largest batch.
        streams: Of the run; ``dropout`` draws the masks.

    Attributes:
        images: Where the batch's images are put, with the first layer's margin.
        weighted: The op of each block's weighted layer.
        post_ops: The ops behind each of them.
        logits: float32 [blocks, stored classes, 16], flat; written by ``forward``.
        logit_gradient: The same layout; read by ``backward``.
        classes, stored_classes: Classes, and rows of the logits (in bfloat16 an even number).
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
        self.post_ops: list[list[AnyPostOp]] = []
        first = blocks[0].weighted
        # Images stay float32 in either mode: bytes scaled to bfloat16 would lose bits that cost nothing to keep.
        source = Buffer(*first.inputs, "f", num_blocks, *first.margin)
        self.images = source
        remaining: list[tuple[PostOp, ...]] = []  # post-ops that are not part of their weighted layer's kernel
        for index, block in enumerate(blocks):
            is_last = index == len(blocks) - 1
            following = None if is_last else blocks[index + 1].weighted
            op, post_ops = self._weighted_op(block, mode, source, streams, is_first=index == 0, following=following)
            self.weighted.append(op)
            remaining.append(post_ops)
            source = op.y if following is None else self._outlet(op, post_ops, following, mode, num_blocks)
        for op, after, post_ops in zip(self.weighted, self.weighted[1:], remaining, strict=False):
            if isinstance(after, ConvPoolOp):
                raise TypeError("only a first layer is pooled in its own kernel")
            self.post_ops.append(self._bound(op, post_ops, after.x, after.dx, streams))
            if not post_ops:
                op.dy = after.dx
        last, post_ops = self.weighted[-1], remaining[-1]
        self.classes = (post_ops[-1] if post_ops else last.plan).outputs[2]
        self.stored_classes = self.classes + self.classes % 2 if mode == "b" else self.classes
        outlet, gradient = (Buffer(1, 1, self.stored_classes, "f", num_blocks) for _ in range(2))
        self.post_ops.append(self._bound(last, post_ops, outlet, gradient, streams))
        self.logits: Floats = outlet.data if post_ops else last.y.data
        self.logit_gradient: Floats = gradient.data
        self._logit_gradient_buffer = gradient
        height, width, _ = last.plan.outputs
        # The last layer writes float32 logits, so post-ops behind it work in float32 too, and so do their gradients.
        self._last_dy = Buffer(height, width, last.stored_outputs, "f", num_blocks) if mode == "b" else last.dy

    @staticmethod
    def _weighted_op(
        block: Block, mode: Mode, source: Buffer, streams: Streams, *, is_first: bool, following: Weighted | None
    ) -> tuple[WeightsOp, tuple[PostOp, ...]]:
        """The op of a block's weighted layer, and the post-ops that it leaves to passes of their own."""
        plan, post_ops = block.weighted, block.post_ops
        stored = plan.outputs[2] + (plan.outputs[2] % 2 if mode == "b" else 0)
        head = post_ops[0] if post_ops else None
        if is_first and following is not None and isinstance(head, Epilogue) and can_fuse(plan, head, stored):
            margin = following.margin if len(post_ops) == 1 else (0, 0, 0, 0)
            return ConvPoolOp(plan, head, mode, source=source, margin=margin, streams=streams), post_ops[1:]
        is_last = following is None
        if plan.is_depthwise:
            return DepthwiseOp(plan, mode, source=source, is_first=is_first, is_last=is_last), post_ops
        is_normed = isinstance(head, Epilogue) and head.norm is not None
        op = WeightedOp(plan, mode, source=source, is_first=is_first, is_last=is_last, is_normed=is_normed)
        return op, post_ops

    @staticmethod
    def _outlet(
        op: WeightsOp, post_ops: tuple[PostOp, ...], following: Weighted, mode: Mode, num_blocks: int
    ) -> Buffer:
        """The buffer between a block and the next: y itself where no pass stands between and no margin is needed."""
        if not post_ops or (len(post_ops) == 1 and _is_empty(post_ops[0]) and not any(following.margin)):
            return op.y
        height, width, channels = post_ops[-1].outputs
        return Buffer(height, width, channels, mode, num_blocks, *following.margin)

    def _bound(
        self, op: WeightsOp, post_ops: tuple[PostOp, ...], outlet: Buffer, gradient: Buffer, streams: Streams
    ) -> list[AnyPostOp]:
        """Post-ops with their buffers, from a weighted layer's output to ``outlet``, whose gradient is ``gradient``."""
        ops: list[AnyPostOp] = []
        source = op.y
        for index, post_op in enumerate(post_ops):
            source = reshaped(source, post_op.inputs)
            target, dz = outlet, gradient
            if index < len(post_ops) - 1:
                # Behind the last layer (float32) the padding of an odd number of channels is kept, as further channels.
                shape = (*post_op.outputs[:2], source.channels)
                dz = Buffer(*shape, source.mode, source.num_blocks)
                target = source if _is_empty(post_op) else Buffer(*shape, source.mode, source.num_blocks)
            if isinstance(post_op, Pool):
                ops.append(PoolOp(post_op, source=source, target=target, dz=dz))
            elif isinstance(post_op, Activation):
                ops.append(ActivationOp(post_op, source=source, target=target, dz=dz))
            elif isinstance(post_op, Sum):
                start = self.weighted[post_op.start].x
                ops.append(SumOp(post_op, source=source, target=target, dz=dz, start=start))
            elif isinstance(post_op, ChannelDropout):
                ops.append(ChannelDropoutOp(post_op, source=source, target=target, dz=dz, streams=streams))
            else:
                ops.append(EpilogueOp(post_op, source=source, target=target, dz=dz, streams=streams))
            source = target
        return ops

    def batch(self, count: int, *, is_training: bool) -> BatchInfo:
        """What kernel calls need to know of a batch of ``count`` images."""
        blocks = math.ceil(count / LANES)
        valid = np.zeros(blocks * LANES, np.float32)
        valid[:count] = 1
        return BatchInfo(count, blocks, valid, is_training)

    def set_step(self, step: int) -> None:
        """Choose the dropout masks of a step: the keys that recorded calls read."""
        for op in (*self.weighted, *(post_op for post_ops in self.post_ops for post_op in post_ops)):
            op.set_step(step)

    def pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of the weights: needed after every change of them."""
        for op in self.weighted:
            op.pack(commands, for_training=for_training)

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``self.images`` to ``self.logits``."""
        for op, post_ops in zip(self.weighted, self.post_ops, strict=True):
            op.forward(commands, batch)
            for post_op in post_ops:
                post_op.forward(commands, batch)

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``self.logit_gradient`` to every parameter's gradient.

        A block's post-ops go first, last to first; the first of them writes the gradient of the weighted layer's
        output, ``dy``, through that layer's own activation, and sums the bias's gradient on the way. Then the layer.
        """
        last = self.weighted[-1]
        for op, post_ops in zip(reversed(self.weighted), reversed(self.post_ops), strict=True):
            for position in range(len(post_ops) - 1, -1, -1):
                is_first = position == 0
                writes_dy = is_first and not isinstance(op, ConvPoolOp)  # which handles activation and bias itself
                post_op, dy = post_ops[position], post_ops[position - 1].dz
                if is_first:
                    dy = self._last_dy if op is last else op.dy
                if not isinstance(post_op, EpilogueOp):
                    post_op.backward(commands, batch, dy=dy)
                    continue
                post_op.backward(
                    commands,
                    batch,
                    dy=dy,
                    activation=op.plan.activation if writes_dy else "linear",
                    bias_gradient=op.bias_gradient if writes_dy else None,
                    paired=op.paired_dy if isinstance(op, WeightedOp) and is_first and op.takes_pairs else None,
                )
            if op is last:
                self._last_gradient(commands, batch)
            op.backward(commands, batch)
            # A residual block's sum also sends its gradient to what the block's first layer read, which ``op.backward``
            # has just written the other part of.
            for sum_op in (post_op for post_ops in self.post_ops for post_op in post_ops if isinstance(post_op, SumOp)):
                if self.weighted[sum_op.plan.start] is op and not isinstance(op, ConvPoolOp):
                    sum_op.add_gradient(commands, batch, op.dx)

    def _last_gradient(self, commands: CommandList, batch: BatchInfo) -> None:
        """Bring the gradient of the last weighted layer's output, in float32, to the form that this layer reads."""
        last, dy, blocks = self.weighted[-1], self.weighted[-1].dy, batch.blocks
        source = self._last_dy if self.post_ops[-1] else self._logit_gradient_buffer
        if not self.post_ops[-1]:  # else an epilogue has summed it
            commands.add(0, loss.bias_gradient(), source.data, blocks, self.stored_classes, last.bias_gradient)
        if last.precision == "b":
            commands.add(
                blocks * dy.pass_work, reorders.floats_to_channel_pairs(), source.data, dy.data, blocks, dy.height,
                dy.width, dy.vectors, dy.full_height, dy.full_width, dy.top, dy.left,
            )  # fmt: skip
        elif source is not dy:
            size = blocks * self.stored_classes * LANES
            commands.add(0, elementwise.copy(), source.data[:size], dy.data)


def _is_empty(post_op: PostOp) -> bool:
    return isinstance(post_op, Epilogue) and post_op.is_empty
