"""What a planned network consists of: blocks, each a layer with weights and its post-ops. Frozen values, no buffers.

``plan`` makes them from a network's summary; ``program`` binds them to buffers and kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


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
        kernel_name: What the layer calls the kernel.
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

    # The shape [height, width, depth, outputs] holds for all: a dense kernel's height and width are its input's.
    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return 1 if self.is_depthwise else self.inputs[2]

    @property
    def size(self) -> int:
        """Numbers in the kernel: [height, width, depth, outputs]."""
        return math.prod(self.kernel) * self.depth * self.outputs[2]


@dataclass(frozen=True)
class Epilogue:
    """One pass behind a layer with weights: batch normalization, then max pooling, then dropout, each optional.

    Args:
        inputs: Height, width and channels of the input.
        outputs: The same of the output.
        norm: Name of the batch normalization, if there is one.
        window: Side of the pooling window, 1 for no pooling.
        margin: Where the first window starts above and to the left of the input.
        rate: Dropout's rate, 0 for none.
        dropout: Ordinal of the dropout among the network's dropout layers of either kind.
    """

    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    norm: str | None = None
    window: int = 1
    margin: tuple[int, int] = (0, 0)
    rate: float = 0.0
    dropout: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing to compute forward; backward it still takes the gradient through the weighted layer's relu."""
        return self.norm is None and self.window == 1 and self.rate == 0


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
        name: As ``nets`` spells it.
    """

    inputs: tuple[int, int, int]
    name: str

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


@dataclass(frozen=True)
class Sum:
    """The end of a residual block: the block's input is added.

    Args:
        inputs: Height, width and channels.
        start: The block's first weighted layer, counted from 0 over the network: its input is the block's.
    """

    inputs: tuple[int, int, int]
    start: int

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


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


PostOp = Epilogue | Pool | Activation | Sum | ChannelDropout


@dataclass(frozen=True)
class Block:
    """A layer with weights and its post-ops, at least one; only a dense layer that ends a network has none.

    The first post-op is always an ``Epilogue``, if an empty one: backward, it takes the gradient through the layer's
    own relu and sums the bias's gradient.
    """

    weighted: Weighted
    post_ops: tuple[PostOp, ...]
