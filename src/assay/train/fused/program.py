"""Binds a planned network to buffers and records its passes as kernel calls.

Memory is planned once, at construction: every tensor and gradient has a buffer for the largest batch, and each op is
given the buffers that it reads and writes. A block's output is written straight into the buffer that the next layers
read, inside the largest margin that one of them wants, so nothing is padded, and only few readers need a copy. Backward
reads the activations of forward in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...seeds import Streams
from . import elementwise, loss, reorders
from .activations import ActivationOp
from .blocks import (
    Activation,
    Block,
    ChannelDropout,
    Concatenate,
    Epilogue,
    ImageNorm,
    Pool,
    PostOp,
    Slopes,
    Sum,
    ZeroPadding,
)
from .buffers import BatchInfo, Buffer, Floats, Mode, reshaped, shifted
from .channel_dropout import ChannelDropoutOp
from .commands import CommandList
from .conv_pool import ConvPoolOp, can_fuse
from .copies import CopyOp, ZeroPaddingOp
from .depthwise import DepthwiseOp
from .epilogue_op import EpilogueOp
from .grouped import GroupedOp
from .image_norms import ImageNormOp
from .joins import ConcatenateOp, SumOp
from .pooling import PoolOp
from .rounding import RoundingOp
from .slopes import SlopesOp
from .tensors import tensors_of
from .vectors import LANES
from .weighted import WeightedOp

WeightsOp = WeightedOp | DepthwiseOp | GroupedOp | ConvPoolOp
_Joins = SumOp | ConcatenateOp | CopyOp | ZeroPaddingOp
AnyPostOp = EpilogueOp | PoolOp | ActivationOp | RoundingOp | SlopesOp | ChannelDropoutOp | ImageNormOp | _Joins


class Program:
    """A network's forward and backward passes.

    Args:
        blocks: As ``plan.blocks_of`` returns them.
        input_shape: Height, width and channels of the images.
        precision: "bfloat16" (activations and products; sums, statistics and weights stay float32) or "float32".
        max_batch: The largest batch.
        streams: Of the run; ``dropout`` draws the masks.

    Attributes:
        images: Where the batch's images are put, with the largest margin of the layers that read them.
        layers: The op of each block's layer with weights, or ``None``.
        post_ops: The ops behind each of them.
        logits: float32 [blocks, stored classes, 16], flat; written by ``forward``.
        logit_gradient: The same layout; read by ``backward``.
        classes, stored_classes: Classes, and rows of the logits (in bfloat16 an even number).
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        input_shape: tuple[int, int, int],
        *,
        precision: Literal["float32", "bfloat16"],
        max_batch: int,
        streams: Streams,
    ) -> None:
        mode: Mode = "b" if precision == "bfloat16" else "f"
        num_blocks = math.ceil(max_batch / LANES)
        self._mode, self._num_blocks, self._streams, self._blocks = mode, num_blocks, streams, blocks
        self._tensors = tensors_of(blocks, input_shape)
        images, end, last = self._tensors[0], self._tensors[-1], blocks[-1]
        # Images stay float32 in either mode: bytes scaled to bfloat16 would lose bits that cost nothing to keep.
        self.images = images.value = Buffer(*images.shape, "f", num_blocks, *images.margins)
        self.classes = end.shape[2]
        self.stored_classes = self.classes + self.classes % 2 if mode == "b" else self.classes
        self._outlet, self._logit_gradient = (Buffer(1, 1, self.stored_classes, "f", num_blocks) for _ in range(2))
        self.logit_gradient: Floats = self._logit_gradient.data
        # A last layer with weights writes float32 logits, so post-ops behind it work in float32 too, and so do their
        # gradients. Where it concatenates, or there is no such layer, logits are converted at the end.
        joins = any(isinstance(post_op, Concatenate) for post_op in last.post_ops)
        self._is_converted = mode == "b" and (last.weighted is None or joins)
        # Layers that are trained in whole numbers have sums of more than eight bits: what they put out is float32,
        # until the last rounding behind them makes it bfloat16, which holds what is rounded. Gradients are bfloat16.
        self._is_wide = mode == "b" and any(block.weighted and block.weighted.coding for block in blocks)
        self.layers: list[WeightsOp | None] = []
        left: list[tuple[PostOp, ...]] = []  # post-ops that are not part of their weighted layer's kernel
        targets: list[list[Buffer]] = []
        for index, block in enumerate(blocks):
            op, post_ops = self._layer_op(index, block)
            self.layers.append(op)
            left.append(post_ops)
            targets.append(self._targets(index, post_ops))
        self.logits: Floats = self._outlet.data if self._is_converted else end.value.data
        self.post_ops: list[list[AnyPostOp]] = [[] for _ in blocks]
        self._first_dys: list[Buffer | None] = [None for _ in blocks]  # the gradient of what the first post-op reads
        for index in range(len(blocks) - 1, -1, -1):
            self._bind(index, left[index], targets[index])

    @property
    def weighted(self) -> list[WeightsOp]:
        """The ops of layers with weights, in order."""
        return [op for op in self.layers if op is not None]

    def _layer_op(self, index: int, block: Block) -> tuple[WeightsOp | None, tuple[PostOp, ...]]:
        """The op of a block's layer with weights, if it has one, and the post-ops that have passes of their own."""
        plan, post_ops, mode = block.weighted, block.post_ops, self._mode
        if plan is None:
            return None, post_ops
        tensor, end = self._tensors[block.source], self._tensors[index + 1]
        is_last = index == len(self._blocks) - 1
        is_contiguous = plan.is_dense and any(tensor.margins)  # a dense layer's gradient takes pixels as a vector
        source = tensor.plain(mode) if is_contiguous else shifted(tensor.value, plan.margin)
        stored = plan.outputs[2] + (plan.outputs[2] % 2 if mode == "b" else 0)
        head = post_ops[0] if post_ops else None
        reads_images = block.source == 0 and tensor.num_readers == 1
        is_apart = (
            isinstance(head, Epilogue) and head.after is not None and head.rate > 0
        )  # rounded before it is dropped
        if (
            reads_images
            and not is_last
            and isinstance(head, Epilogue)
            and not is_apart
            and can_fuse(plan, head, stored)
        ):
            left = post_ops[1:]
            if head.after is not None:
                left = (Activation(head.outputs, "linear", after=head.after), *left)
            if not self._is_wide or (left and isinstance(left[0], Activation) and _is_rounding(left[0])):
                margin = (0, 0, 0, 0) if left else end.margins
                pooled: Mode = "f" if self._is_wide else mode
                head = replace(head, after=None)
                return ConvPoolOp(
                    plan, head, pooled, source=source, margin=margin, streams=self._streams, is_padded=self._is_wide
                ), left
        is_first, is_last = not tensor.needs_gradient, (is_last and not self._is_converted) or self._is_wide
        if plan.is_grouped:
            return GroupedOp(plan, mode, source=source, is_first=is_first, is_last=is_last), post_ops
        if plan.is_depthwise:
            return DepthwiseOp(plan, mode, source=source, is_first=is_first, is_last=is_last), post_ops
        op = WeightedOp(plan, mode, source=source, is_first=is_first, is_last=is_last)
        return op, post_ops

    def _source(self, index: int) -> Buffer:
        """What a block's first post-op reads."""
        op = self.layers[index]
        return self._tensors[self._blocks[index].source].plain(self._mode) if op is None else op.y

    def _targets(self, index: int, post_ops: tuple[PostOp, ...]) -> list[Buffer]:
        """What a block's post-ops write, each its own; the last one the block's tensor."""
        source, end = self._source(index), self._tensors[index + 1]
        targets = []
        last = max((place for place, post_op in enumerate(post_ops) if _is_rounding(post_op)), default=-1)
        for place, post_op in enumerate(post_ops[:-1]):
            if not _is_empty(post_op):
                source = reshaped(source, post_op.inputs)
                # Behind the last layer (float32) the padding of an odd number of channels is kept, as further channels.
                channels = source.channels if post_op.inputs[2] == post_op.outputs[2] else post_op.outputs[2]
                mode = source.mode
                if place == last and self._is_wide and index < len(self._blocks) - 1:
                    mode, channels = self._mode, post_op.outputs[2]
                source = Buffer(*post_op.outputs[:2], channels, mode, source.num_blocks)
            targets.append(source)
        if index == len(self._blocks) - 1 and not self._is_converted:
            end.value = self._outlet if post_ops else source
        elif not post_ops or (len(post_ops) == 1 and _is_empty(post_ops[0]) and not any(end.margins)):
            end.value = reshaped(source, end.shape)  # no pass stands between and no margin is needed
        else:
            end.value = Buffer(*end.shape, self._mode, self._num_blocks, *end.margins)
        return [*targets, end.value] if post_ops else []

    def _bind(self, index: int, post_ops: tuple[PostOp, ...], targets: list[Buffer]) -> None:
        """Make a block's post-ops, those of later blocks being there, and enter its parts of gradients."""
        op, end = self.layers[index], self._tensors[index + 1]
        is_last = index == len(self._blocks) - 1
        if not is_last:
            gradient = end.bind_gradient(self._mode, may_share=not post_ops or not _changes_dz(post_ops[-1]))
        else:
            gradient = Buffer(*end.shape, "b", self._num_blocks) if self._is_converted else self._logit_gradient
        dzs = [gradient]
        for place in range(len(post_ops) - 2, -1, -1):
            target = targets[place]
            dz = Buffer(target.height, target.width, target.channels, target.mode, target.num_blocks)
            if self._is_wide and not is_last:
                dz = Buffer(*post_ops[place].outputs, self._mode, target.num_blocks)
            is_shared = isinstance(post_ops[place + 1], Sum) and not _changes_dz(post_ops[place])
            dzs.insert(0, dzs[0] if is_shared else dz)  # a sum's gradient is that of its terms
        source, ops = self._source(index), self.post_ops[index]
        for post_op, target, dz in zip(post_ops, targets, dzs, strict=False):
            source = reshaped(source, post_op.inputs)
            ops.append(self._bound(post_op, source, target, reshaped(dz, post_op.outputs)))
            source = target
        if is_last and self._is_converted:
            ops.append(CopyOp(source=end.value, target=self._outlet, dz=self._logit_gradient))
        self._first_dys[index] = self._first_dy(index, post_ops, ops)
        if isinstance(op, ConvPoolOp) and not post_ops:
            op.dy = gradient

    def _first_dy(self, index: int, post_ops: tuple[PostOp, ...], ops: list[AnyPostOp]) -> Buffer | None:
        """Where a block's first post-op leaves its gradient; ``None`` where nobody reads it."""
        block, op = self._blocks[index], self.layers[index]
        tensor = self._tensors[block.source]
        if op is not None:
            if not isinstance(op, ConvPoolOp) and op.needs_dx:
                tensor.add_part(op.dx)
            if op.y.mode == self._mode or index < len(self._blocks) - 1:
                return op.dy
            height, width, _ = op.plan.outputs
            return Buffer(height, width, op.stored_outputs, "f", self._num_blocks)  # of logits
        is_shared = isinstance(post_ops[0], Sum)
        source = self._source(index)
        dy = ops[0].dz if is_shared else None
        dy = dy or Buffer(*post_ops[0].inputs, source.mode, source.num_blocks)
        tensor.add_part(dy, is_shared=is_shared)
        return dy

    def _term(self, index: int, shape: tuple[int, int, int]) -> Buffer:
        """A tensor as a join reads it."""
        tensor = self._tensors[index]
        if tensor.value.mode == self._mode and tensor.shape == shape:
            return tensor.value
        return reshaped(tensor.plain(self._mode), shape)

    def _bound(self, post_op: PostOp, source: Buffer, target: Buffer, dz: Buffer) -> AnyPostOp:
        """A post-op with its buffers: from ``source`` to ``target``, whose gradient is ``dz``."""
        if isinstance(post_op, Sum):
            for term in post_op.terms:
                self._tensors[term].add_part(dz, is_shared=True)
            terms = [self._term(term, post_op.inputs) for term in post_op.terms]
            return SumOp(post_op, source=source, target=target, dz=dz, terms=terms)
        if isinstance(post_op, Concatenate):
            shapes = [(*post_op.inputs[:2], channels) for channels in post_op.other_channels]
            terms = [self._term(term, shape) for term, shape in zip(post_op.terms, shapes, strict=True)]
            gradients = [
                Buffer(*shape, dz.mode, dz.num_blocks) if self._tensors[term].needs_gradient else None
                for term, shape in zip(post_op.terms, shapes, strict=True)
            ]
            for term, gradient in zip(post_op.terms, gradients, strict=True):
                if gradient is not None:
                    self._tensors[term].add_part(gradient)
            return ConcatenateOp(post_op, source=source, target=target, dz=dz, terms=terms, gradients=gradients)
        if isinstance(post_op, Pool):
            return PoolOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, Activation) and _is_rounding(post_op):
            return RoundingOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, Activation):
            return ActivationOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, ImageNorm):
            return ImageNormOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, Slopes):
            return SlopesOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, ZeroPadding):
            return ZeroPaddingOp(post_op, source=source, target=target, dz=dz)
        if isinstance(post_op, ChannelDropout):
            return ChannelDropoutOp(post_op, source=source, target=target, dz=dz, streams=self._streams)
        return EpilogueOp(post_op, source=source, target=target, dz=dz, streams=self._streams)

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
        self._record_copies(0, commands, batch)
        for index, (op, post_ops) in enumerate(zip(self.layers, self.post_ops, strict=True)):
            if op is not None:
                op.forward(commands, batch)
            for post_op in post_ops:
                post_op.forward(commands, batch)
            self._record_copies(index + 1, commands, batch)

    def _record_copies(self, tensor: int, commands: CommandList, batch: BatchInfo) -> None:
        for copy in self._tensors[tensor].copies:
            copy.forward(commands, batch)

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``self.logit_gradient`` to every parameter's gradient.

        When a block's turn comes, the parts of its tensor's gradient are all there, and are added. Its post-ops go
        first, last to first; the first of them writes the gradient of the weighted layer's output, ``dy``, through that
        layer's own activation, and sums the bias's gradient on the way. Then the layer.
        """
        for index in range(len(self._blocks) - 1, -1, -1):
            end, op, post_ops = self._tensors[index + 1], self.layers[index], self.post_ops[index]
            if not end.needs_gradient:
                continue
            end.complete_gradient(commands, batch)
            is_last = index == len(self._blocks) - 1 and not self._is_converted
            for place in range(len(post_ops) - 1, -1, -1):
                y, dy = post_ops[place].y, self._first_dys[index] if place == 0 else post_ops[place - 1].dz
                if dy is not None:
                    dy = reshaped(dy, (y.height, y.width, y.channels))
                    self._post_op_backward(commands, batch, op if place == 0 else None, post_ops[place], dy)
            if op is not None:
                if is_last:
                    self._last_gradient(commands, batch, op)
                op.backward(commands, batch)

    @staticmethod
    def _post_op_backward(
        commands: CommandList, batch: BatchInfo, before: WeightsOp | None, post_op: AnyPostOp, dy: Buffer
    ) -> None:
        """Record one post-op's way back to ``dy``. ``before`` is the layer with weights directly before it, if any."""
        if not isinstance(post_op, EpilogueOp):
            post_op.backward(commands, batch, dy=dy)
            return
        writes_dy = before is not None and not isinstance(
            before, ConvPoolOp
        )  # which handles activation and bias itself
        post_op.backward(
            commands,
            batch,
            dy=dy,
            activation=before.plan.activation if before is not None and writes_dy else "linear",
            bias_gradient=before.bias_gradient if before is not None and writes_dy else None,
        )

    def _last_gradient(self, commands: CommandList, batch: BatchInfo, last: WeightsOp) -> None:
        """Bring the gradient of the last weighted layer's output, in float32, to the form that this layer reads."""
        dy, blocks = last.dy, batch.blocks
        source = self._first_dys[-1] if self.post_ops[-1] else self._logit_gradient
        if source is None:
            raise TypeError(last.plan.name)
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


def _is_rounding(post_op: PostOp) -> bool:
    if isinstance(post_op, Epilogue):
        return post_op.after is not None
    return isinstance(post_op, Activation) and (post_op.before is not None or post_op.after is not None)


def _is_empty(post_op: PostOp) -> bool:
    return isinstance(post_op, Epilogue) and post_op.is_empty


def _changes_dz(post_op: PostOp) -> bool:
    """Whether its backward pass overwrites the gradient that it reads: dropout is undone in place."""
    return isinstance(post_op, Epilogue) and post_op.rate > 0
