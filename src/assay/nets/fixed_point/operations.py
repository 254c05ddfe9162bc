"""What a fixed-point program consists of: values and operations on them, without weights.

Every value is a run of bytes in the arena: height x width x channels, channels fastest. A byte is a whole number, with
a sign or without; zero stands for zero. Value 0 is the image, as stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..effects import Image, Window
from .codings import CODINGS, Coding

IMAGE = 0


@dataclass(frozen=True)
class Value:
    """What an operation puts out.

    Args:
        size: Its bytes.
        is_signed: Whether these have a sign.
        bits: How many of each byte are used.
    """

    size: int
    is_signed: bool
    bits: int = 8

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest number."""
        return (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) if self.is_signed else (0, (1 << self.bits) - 1)


@dataclass(frozen=True)
class _Operation:
    """One step of a program.

    Args:
        name: Of the layer that it belongs to, with a suffix where a layer is several operations.
        sources: The values that it reads.
        target: The value that it writes.
        inputs, outputs: Height, width and channels, as it sees the first source and its target.
    """

    name: str
    sources: tuple[int, ...]
    target: int
    inputs: Image
    outputs: Image


Form = Literal["dense", "conv", "depthwise", "grouped"]


@dataclass(frozen=True)
class Convolve(_Operation):
    """A convolution, dense layer or factor for each channel, with a bias and batch normalization in it.

    Args:
        window: Its window.
        groups: Groups of channels.
        layer: The layer whose weights it has; empty for the scaling of images.
        weights: What these are called there; empty for a batch normalization alone.
        norms: Batch normalizations whose factors and shifts it has, in their order.
        has_bias: Whether anything is added.
        coding: How its kernel is stored.
        is_last: Whether its outputs are the logits, in 16 bits.
    """

    window: Window
    groups: int
    layer: str
    weights: str
    norms: tuple[str, ...]
    has_bias: bool
    coding: Coding = CODINGS["int8"]
    is_last: bool = False

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Outputs, height, width, inputs of one output."""
        return (self.outputs[2], *self.window.size, self.inputs[2] // self.groups)

    @property
    def multiply_adds(self) -> int:
        """One for each tap of each output, those on padding included."""
        return math.prod(self.kernel_shape[1:]) * math.prod(self.outputs)

    @property
    def form(self) -> Form:
        """Which C function computes it."""
        window = self.window
        if self.groups == 1 and window.size == (1, 1) and window.stride == 1 and self.outputs[:2] == self.inputs[:2]:
            return "dense"
        if self.groups == 1 and window.dilation == 1:
            return "conv"
        return "depthwise" if self.kernel_shape[3] == 1 and window.dilation == 1 else "grouped"

    @property
    def scratch(self) -> int:
        """Bytes in which packed weights are unpacked: those of one output, or a part of them."""
        if not self.coding.is_packed:
            return 0
        row = math.prod(self.kernel_shape[1:])
        return min(row, 64) if self.form == "dense" and math.prod(self.outputs[:2]) == 1 else row


@dataclass(frozen=True)
class Pool(_Operation):
    """The maximum or mean of windows."""

    window: Window
    is_mean: bool


Activation = Literal["relu", "relu6", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh", "prelu"]


@dataclass(frozen=True)
class Map(_Operation):
    """An activation, value by value.

    Args:
        activation: Its name.
        slopes: How many slopes below zero it has learned.
    """

    activation: Activation
    slopes: int = 0


@dataclass(frozen=True)
class Add(_Operation):
    """The sum of several values of one shape."""


@dataclass(frozen=True)
class Concatenate(_Operation):
    """Channels, or units, of several values one after another.

    Args:
        channels: Of each source.
    """

    channels: tuple[int, ...]


@dataclass(frozen=True)
class Pad(_Operation):
    """Zeros around an image: ``top`` rows above it and ``left`` columns before it."""

    top: int
    left: int


@dataclass(frozen=True)
class Normalize(_Operation):
    """Values of one image with mean 0 and variance 1, set by set, then a factor and a shift for each channel.

    Args:
        groups: Sets of channels that lie side by side.
        is_by_position: Whether each position is normalized by itself; otherwise all positions together.
        epsilon: What is added to a variance.
    """

    groups: int
    is_by_position: bool
    epsilon: float

    @property
    def together(self) -> int:
        """Values of one set."""
        channels = self.outputs[2] // self.groups
        return channels if self.is_by_position else channels * math.prod(self.outputs[:2])

    @property
    def sets(self) -> int:
        """Sets of one image."""
        return math.prod(self.outputs) // self.together


Operation = Convolve | Pool | Map | Add | Concatenate | Pad | Normalize


@dataclass(frozen=True)
class Graph:
    """A network as operations in the order in which they are computed.

    Args:
        values: All values; the first is the image.
        operations: All operations.
        last: The value that holds the logits, where the last operation does not write them in 16 bits.
        num_classes: Classes.
        sixes: Values that are cut at 6.
        places: The value that holds each layer's output, by the layer's name.
    """

    values: tuple[Value, ...]
    operations: tuple[Operation, ...]
    last: int | None
    num_classes: int
    sixes: frozenset[int] = frozenset()
    places: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    in_place: ClassVar[tuple[type, ...]] = (Map, Add, Normalize)
    readers: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        last = [-1] * len(self.values)
        for index, operation in enumerate(self.operations):
            for source in operation.sources:
                last[source] = index
        if self.last is not None:
            last[self.last] = len(self.operations)
        object.__setattr__(self, "readers", tuple(last))

    @property
    def multiply_adds(self) -> int:
        """Of one image."""
        return sum(one.multiply_adds for one in self.operations if isinstance(one, Convolve))
