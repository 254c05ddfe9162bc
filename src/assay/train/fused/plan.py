"""Decides whether kernels can train a network, and groups its layers into blocks, each a few kernel calls.

A block is a layer with weights and its *post-ops*: what happens to its output before the next layer with weights, or
more than one layer, reads it. Where paths part, the value that they share becomes a *tensor*; where they meet, the path
that was computed last goes on and adds the others' tensors, or puts their channels beside its own. A network with
anything that has no kernel trains on torch's layers.

No torch and no LLVM here: ``assay describe`` and searches ask this module too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from ...nets import (
    Conv,
    Dense,
    Depthwise,
    Dropout,
    Flatten,
    LayerSummary,
    Separable,
    SpatialDropout,
    Summary,
)
from ...nets.fixed_point import coding_for, roundings_of
from ...nets.layers import Activate, Add, Reshape
from ...nets.layers.joins import Concatenate as ConcatenateWord
from ...nets.layers.record import Join
from ...spec import Training
from .blocks import Activation, Block, Concatenate, Epilogue, Pool, PostOp, Sum, Weighted
from .fusing import NotFused as NotFused
from .fusing import weighted_of, with_activation, with_layer, with_rounding

_WITH_KERNELS = (Conv, Depthwise, Separable, Dense)
Image = tuple[int, int, int]


def blocks_of(summary: Summary) -> tuple[Block, ...]:
    """The network as blocks, in order.

    Raises:
        NotFused: The plain path has to train it.
    """
    return tuple(_Planner(summary).blocks)


def fused_groups(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Names of the layers that are computed together, in order; a separable layer's two blocks are one group.

    Raises:
        NotFused: None are; the plain path trains the network.
    """
    return tuple(_Planner(summary).groups)


def why_not_bfloat16(summary: Summary) -> str:
    """What keeps a network that trains on the kernels from bfloat16; empty if nothing does.

    In whole numbers values have more bits than it holds until they are rounded, and only some passes take them so.
    """
    if summary.quantization is None:
        return ""
    blocks = blocks_of(summary)
    if any(block.weighted is None or block.terms for block in blocks):
        return "it is trained in whole numbers, and its paths part and meet"
    others = [
        post_op
        for block in blocks
        for post_op in block.post_ops
        if not isinstance(post_op, Epilogue)
        and not (isinstance(post_op, Pool) and post_op.is_mean)
        and not (isinstance(post_op, Activation) and (post_op.before is not None or post_op.after is not None))
    ]
    return "it is trained in whole numbers, and has maxima, slopes or zeros of passes of their own" if others else ""


def why_not_fused(summary: Summary) -> str | None:
    """What keeps a network off the kernels; ``None`` if nothing does."""
    if summary.base is not None:
        return "a base runs in every step"
    try:
        blocks_of(summary)
    except NotFused as error:
        return str(error)
    return None


def why_plain(training: Training) -> str | None:
    """What of a protocol keeps its networks off the kernels; ``None`` if nothing does."""
    if training.loss is not None:
        return "the loss is one's own"
    return "the optimizer is one's own" if training.optimizer.own is not None else None


class _Planner:
    """Goes through a network's layers in order and gathers them into blocks.

    At any time one block is open: it reads the tensor ``_source`` and computes the value called ``_name``, of the shape
    ``_shape``. While it has no layers, that value is the tensor itself. A value behind flatten keeps the image's shape,
    since flatten moves nothing in memory.

    Attributes:
        blocks: Those that are closed.
        groups: The layers' names, by block.
    """

    def __init__(self, summary: Summary) -> None:
        if summary.own is not None:
            raise NotFused("it is a module of one's own")
        self.blocks: list[Block] = []
        self.groups: list[tuple[str, ...]] = []
        self._summary = summary
        self._shapes: list[Image] = [summary.input_shape]  # of every tensor
        self._tensors = {"": 0}  # by the name of the layer whose output they are
        self._name, self._shape, self._source = "", self._shapes[0], 0
        self._weighted: Weighted | None = None
        self._post_ops: list[PostOp] = []
        self._group: list[str] = []
        self._num_dropouts = 0
        self._roundings = roundings_of(summary)
        num_readers = Counter(name for row in summary.layers for name in row.inputs)
        for row in summary.layers:
            if isinstance(row.layer, Join):
                self._join(row)
            else:
                self._continue_from(row.inputs[0])
                self._layer(row)
            roundings = self._roundings.of(row.name)
            if roundings.before is not None or roundings.after is not None:
                self._post_ops = with_rounding(self._post_ops, self._shape, roundings.before, roundings.after)
            self._name = row.name
            self._group.append(row.name)
            if num_readers[row.name] > 1:
                self._close()
        self._close(is_last=True)
        if all(block.weighted is None for block in self.blocks):
            raise NotFused("it has no convolution or dense layer")

    def _continue_from(self, name: str) -> None:
        """Let what follows read this value."""
        if name != self._name:
            self._close()
            self._name, self._source = name, self._tensors[name]
            self._shape = self._shapes[self._source]

    def _close(self, *, is_last: bool = False) -> None:
        """End the open block, if it has layers, so that its value is a tensor; and open one that reads it."""
        weighted, post_ops = self._weighted, self._post_ops
        if weighted is None:
            # Only a weighted layer needs an epilogue in front of other post-ops.
            first = post_ops[0] if post_ops else None
            if isinstance(first, Epilogue) and first.is_empty:
                post_ops = post_ops[1:]
            if not post_ops:
                self._post_ops = []
                self._tensors[self._name] = self._source
                return
        elif not post_ops and not (is_last and weighted.is_dense and weighted.activation == "linear"):
            post_ops = [Epilogue(self._shape, self._shape)]
        self.blocks.append(Block(weighted, tuple(post_ops), self._source))
        self._shapes.append(self._shape)
        self._source = self._tensors[self._name] = len(self.blocks)
        self._weighted, self._post_ops = None, []
        if self._group:  # else the first half of a separable layer
            self.groups.append(tuple(self._group))
        self._group = []

    def _layer(self, row: LayerSummary) -> None:
        layer = row.layer
        if isinstance(layer, _WITH_KERNELS):
            parts = weighted_of(row, self._shape, num_classes=self._summary.num_classes)
            quantization, middle = self._summary.quantization, self._roundings.of(row.name).middle
            if quantization is not None:
                coding, is_short = coding_for(quantization.bits_of(row.name)), quantization.powers_of_two
                parts = tuple(replace(part, coding=coding, powers_of_two=is_short) for part in parts)
            for part in parts:
                if self._weighted is not None and part is not parts[0] and middle is not None:
                    self._post_ops = with_rounding(self._post_ops, self._shape, None, middle)
                if self._weighted is not None or self._post_ops:
                    self._close()
                self._name, self._weighted, self._shape = row.name, part, part.outputs
            self._activate("linear" if layer.activation == "relu" else layer.activation)
        elif isinstance(layer, Flatten):
            pass  # the same memory: see ``buffers.reshaped``
        elif isinstance(layer, Reshape):
            self._reshape(row)
        elif isinstance(layer, Activate) and layer.activation == "softmax":
            if self._shape != (1, 1, self._summary.num_classes):
                raise NotFused(f"{row.name} follows flatten and {self._shape[0]} x {self._shape[1]} pixels")
        elif isinstance(layer, Activate) and layer.activation == "relu" and self._is_bare:
            self._weighted = replace(self._weighted, activation="relu")  # type: ignore[type-var]
        else:
            if layer.role == "norm" and len(row.input_shape) == 1:
                self._become_vector(row.name, "follows flatten and")
            self._post_ops = with_layer(self._post_ops, row, self._shape, self._num_dropouts)
            if self._post_ops:
                self._shape = self._post_ops[-1].outputs
            self._num_dropouts += isinstance(layer, Dropout | SpatialDropout)

    @property
    def _is_bare(self) -> bool:
        """Whether the open block is a layer with weights and nothing else."""
        return self._weighted is not None and self._weighted.activation == "linear" and not self._post_ops

    def _activate(self, activation: str) -> None:
        self._post_ops = with_activation(self._post_ops, self._shape, activation)

    def _become_vector(self, name: str, verb: str) -> None:
        """Count every element behind flatten as a channel of its own.

        Raises:
            NotFused: In bfloat16 each pixel would end in a padding channel, which is no part of the vector.
        """
        if self._shape[:2] != (1, 1):
            self._post_ops = self._post_ops or [Epilogue(self._shape, self._shape)]
            self._shape = _as_vector(name, verb, self._shape)

    def _reshape(self, row: LayerSummary) -> None:
        """Let an image lie in another shape. A vector lies as it is: see ``Flatten``."""
        if len(row.output_shape) == 3 and row.output_shape != self._shape:
            for shape in (self._shape, row.output_shape):
                _as_vector(row.name, "reshapes", shape)
            self._post_ops = [*(self._post_ops or [Epilogue(self._shape, self._shape)])]
            self._shape = row.output_shape
            self._post_ops.append(Epilogue(self._shape, self._shape))

    def _join(self, row: LayerSummary) -> None:
        """Go on from the path that is open, or else from the first one, with the others' tensors."""
        is_open = self._weighted is not None or self._post_ops
        place = row.inputs.index(self._name) if is_open and self._name in row.inputs else 0
        self._continue_from(row.inputs[place])
        others = [name for index, name in enumerate(row.inputs) if index != place]
        terms = tuple(self._tensors[name] for name in others)
        self._post_ops = self._post_ops or [Epilogue(self._shape, self._shape)]
        if isinstance(row.layer, Add):
            for term in terms:
                if self._shapes[term] != self._shape:  # one of them lies as an image behind flatten
                    for shape in (self._shapes[term], self._shape):
                        _as_vector(row.name, "adds", shape)
            self._post_ops = [*self._post_ops, Sum(self._shape, terms)]
            self._activate(row.layer.activation)
        elif isinstance(row.layer, ConcatenateWord):
            shapes = [self._shapes[term] for term in terms]
            if len(row.output_shape) == 1:
                self._become_vector(row.name, "concatenates")
                shapes = [_as_vector(row.name, "concatenates", shape) for shape in shapes]
            channels = [shape[2] for shape in shapes]
            channels.insert(place, self._shape[2])
            post_op = Concatenate(self._shape, terms, place, tuple(channels))
            self._post_ops = [*self._post_ops, post_op]
            self._shape = post_op.outputs
        else:
            raise TypeError(row.name)


def _as_vector(name: str, verb: str, shape: Image) -> Image:
    """An image's shape with every element a channel: the same memory, if each pixel's channels fill whole words.

    Raises:
        NotFused: They do not in bfloat16, where a word holds two.
    """
    height, width, channels = shape
    if height * width > 1 and channels % 2:
        raise NotFused(f"{name} {verb} {channels} channel{'s' if channels > 1 else ''}, an odd number")
    return 1, 1, math.prod(shape)
