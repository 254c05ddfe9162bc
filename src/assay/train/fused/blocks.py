"""What a planned network consists of: blocks, and the tensors between them. Frozen values, no buffers.

``plan`` makes them from a network's summary; ``program`` binds them to buffers and kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...nets.fixed_point import Coding, Rounding

LEVELS = 16  # numbers that the rounding of an op reads
SEEN = 4  # vectors that it leaves of each block: the largest and the least value before each of two roundings


@dataclass(frozen=True)
class Weighted:
    """A convolution, or a dense layer as a convolution over everything at once. A separable layer is two of them.

    Args:
        name: The layer's name.
        kernel: Height and width of the kernel, in pixels of the input.
        stride: PostOp between positions.
        inputs: Height, width and channels of the input.
        outputs: Height, width and channels of the output.
        margin: Zeros around the input: top, bottom, left, right.
        activation: "relu" or "linear" (the softmax belongs to the loss).
        l2: Penalty on the squares of the kernel.
        is_dense: Whether the kernel is kept as (units, inputs).
        l1: Penalty on the kernel's absolute values.
        has_bias: Whether there is a bias, or 0 in its place.
        is_depthwise: Whether every output channel reads one input channel: as many outputs side by side read the same
            one as there are times more outputs than inputs.
        groups: Groups of channels that do not meet, where it is not depthwise.
        dilation: Step between the elements of the kernel.
        is_fixed: Whether training leaves the kernel as it is.
        kernel_name: What the layer calls the kernel.
        coding: Which whole numbers its weights are trained as; ``None`` for any.
        powers_of_two: Whether the scales of these are powers of two.
    """

    name: str
    kernel: tuple[int, int]
    stride: int
    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    margin: tuple[int, int, int, int]
    activation: str
    l2: float
    is_dense: bool
    l1: float = 0.0
    has_bias: bool = True
    is_depthwise: bool = False
    kernel_name: str = "kernel"
    groups: int = 1
    dilation: int = 1
    is_fixed: bool = False
    coding: Coding | None = None
    powers_of_two: bool = False

    # The shape [height, width, depth, outputs] holds for all: a dense kernel's height and width are its input's.
    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return 1 if self.is_depthwise else self.inputs[2] // self.groups

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the kernel from the first element to the last."""
        rows, columns = ((side - 1) * self.dilation + 1 for side in self.kernel)
        return rows, columns

    @property
    def is_grouped(self) -> bool:
        """Whether it takes the kernels for groups and dilation."""
        return not self.is_depthwise and (self.groups > 1 or self.dilation > 1)

    @property
    def size(self) -> int:
        """Numbers in the kernel: [height, width, depth, outputs]."""
        return math.prod(self.kernel) * self.depth * self.outputs[2]


@dataclass(frozen=True)
class Epilogue:
    """One pass behind a layer: batch normalization, then max pooling, relu, rounding and dropout, each optional.

    Args:
        inputs: Height, width and channels of the input.
        outputs: The same of the output.
        norm: Name of the batch normalization, if there is one.
        window: Side of the pooling window, 1 for no pooling.
        margin: Where the first window starts above and to the left of the input.
        rate: Dropout's rate, 0 for none.
        dropout: Ordinal of the dropout among the network's dropout layers of either kind.
        epsilon, momentum: Of the batch normalization.
        has_relu: Whether there is one behind the pooling.
        after: How values are rounded then, where they are trained in whole numbers.
    """

    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    norm: str | None = None
    window: int = 1
    margin: tuple[int, int] = (0, 0)
    rate: float = 0.0
    dropout: int = 0
    epsilon: float = 1e-3
    momentum: float = 0.99
    has_relu: bool = False
    after: Rounding | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing to compute forward; backward it still takes the gradient through the weighted layer's relu."""
        is_plain = self.window == 1 and self.rate == 0 and not self.has_relu
        return self.norm is None and self.after is None and is_plain


@dataclass(frozen=True)
class Pool:
    """Pooling in a pass of its own: windows that overlap, leave gaps or cover everything.

    Args:
        inputs: Height, width and channels of the input.
        outputs: The same of the output.
        window: Height and width of a window.
        stride: PostOp between windows.
        margin: Where the first window starts above and to the left of the input.
        is_mean: The mean of the pixels that lie in the input, not the largest.
    """

    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    window: tuple[int, int]
    stride: int
    margin: tuple[int, int] = (0, 0)
    is_mean: bool = False


@dataclass(frozen=True)
class Activation:
    """An activation in a pass of its own, where the weighted layer's kernel does not apply it.

    Args:
        inputs: Height, width and channels.
        name: As ``nets`` spells it; ``linear`` where values are rounded alone.
        before, after: How its input and its output are rounded.
    """

    inputs: tuple[int, int, int]
    name: str
    before: Rounding | None = None
    after: Rounding | None = None

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


@dataclass(frozen=True)
class Sum:
    """Where paths are added: the block's own value and other tensors.

    Args:
        inputs: Height, width and channels of the block's own value.
        terms: The tensors that are added to it, in order.
    """

    inputs: tuple[int, int, int]
    terms: tuple[int, ...]

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


@dataclass(frozen=True)
class Concatenate:
    """Where paths' channels are put side by side: those of the block's own value and of other tensors.

    Args:
        inputs: Height, width and channels of the block's own value.
        terms: The other tensors, in order.
        place: How many of them come before the block's own value.
        channels: Channels of every path, the block's own included, in order.
    """

    inputs: tuple[int, int, int]
    terms: tuple[int, ...]
    place: int
    channels: tuple[int, ...]

    @property
    def outputs(self) -> tuple[int, int, int]:
        return (*self.inputs[:2], sum(self.channels))

    @property
    def other_channels(self) -> tuple[int, ...]:
        """Channels of the other tensors, in order."""
        return self.channels[: self.place] + self.channels[self.place + 1 :]

    @property
    def starts(self) -> tuple[int, ...]:
        """First channel of every path in the output."""
        return tuple(sum(self.channels[:place]) for place in range(len(self.channels)))


@dataclass(frozen=True)
class ChannelDropout:
    """Dropout of whole channels.

    Args:
        inputs: Height, width and channels.
        rate: The share to drop, above 0.
        dropout: Ordinal among the network's dropout layers of either kind.
    """

    inputs: tuple[int, int, int]
    rate: float
    dropout: int

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


@dataclass(frozen=True)
class ImageNorm:
    """Normalization of each image by itself.

    Args:
        inputs: Height, width and channels.
        norm: The layer's name.
        groups: Groups of channels that are normalized apart.
        is_by_position: Whether every position is normalized by itself, not all together.
        epsilon: Added to the variance.
    """

    inputs: tuple[int, int, int]
    norm: str
    groups: int
    is_by_position: bool
    epsilon: float

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


@dataclass(frozen=True)
class ZeroPadding:
    """Zeros around the image, as a layer of their own.

    Args:
        inputs: Height, width and channels of the input.
        margins: Pixels above, below, on the left and on the right.
    """

    inputs: tuple[int, int, int]
    margins: tuple[int, int, int, int]

    @property
    def outputs(self) -> tuple[int, int, int]:
        (height, width, channels), (top, bottom, left, right) = self.inputs, self.margins
        return top + height + bottom, left + width + right, channels


@dataclass(frozen=True)
class Slopes:
    """Relu with learned slopes below zero.

    Args:
        inputs: Height, width and channels.
        name: The layer's name.
        slopes: Height, width and channels of the slopes: the input's, or 1 where they are shared.
    """

    inputs: tuple[int, int, int]
    name: str
    slopes: tuple[int, int, int]

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs

    @property
    def size(self) -> int:
        """How many slopes there are."""
        return math.prod(self.slopes)


PostOp = Epilogue | Pool | Activation | Slopes | Sum | Concatenate | ChannelDropout | ImageNorm | ZeroPadding


@dataclass(frozen=True)
class Block:
    """A layer with weights and its post-ops, or post-ops alone, from one tensor to another.

    Tensor 0 is the batch's images, and the block at index i of a network writes tensor i + 1: the logits, if it is the
    last one. A tensor is read by any number of later blocks, as their ``source`` or as a term of their sums and
    concatenations.

    Behind a layer with weights the first post-op is always an ``Epilogue``, if an empty one: backward, it takes the
    gradient through the layer's own activation and sums the bias's gradient. Only a dense layer that ends a network has
    no post-op.

    Args:
        weighted: The layer with weights, or ``None`` where a path begins with something else.
        post_ops: What follows it.
        source: The tensor that the block reads.
    """

    weighted: Weighted | None
    post_ops: tuple[PostOp, ...]
    source: int

    @property
    def terms(self) -> tuple[int, ...]:
        """The tensors that its sums and concatenations read, in order."""
        return tuple(
            term for post_op in self.post_ops if isinstance(post_op, Sum | Concatenate) for term in post_op.terms
        )

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to learn in it."""
        return self.weighted is not None or any(
            isinstance(post_op, Slopes | ImageNorm) or (isinstance(post_op, Epilogue) and post_op.norm is not None)
            for post_op in self.post_ops
        )
