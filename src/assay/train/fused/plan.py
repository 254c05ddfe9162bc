"""Which layers our kernels take, and how they group. No torch and no Numba here: ``assay describe`` tells it too."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ...nets import (
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    Flatten,
    LayerSummary,
    MaxPool,
    Separable,
    Summary,
    same_padding,
)
from ...nets.layers import Activate, Add, AvgPool, GlobalAvgPool, GlobalMaxPool
from ...nets.translation import lacking

_CODES = 65_536  # places in a window that two bytes can tell apart
_RISING = ("relu", "relu6", "leakyrelu", "elu", "sigmoid", "tanh")  # a larger value has no smaller activation
_WITH_KERNELS = (Conv, Depthwise, Separable, Dense)


@dataclass(frozen=True)
class Weighted:
    """A convolution, or a dense layer as a convolution over everything at once. A separable layer is two of them.

    Args:
        name: The layer's name.
        kernel: Height and width of the kernel, in pixels of the input.
        stride: Step between positions.
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

    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return 1 if self.is_depthwise else self.inputs[2]

    @property
    def size(self) -> int:
        """Numbers in the kernel: [height, width, depth, outputs]."""
        return math.prod(self.kernel) * self.depth * self.outputs[2]


@dataclass(frozen=True)
class Tail:
    """What stands between two weighted layers, as one pass: batch normalization, then max pooling, then dropout.

    Args:
        inputs: Height, width and channels of the input.
        outputs: The same of the output.
        norm: Name of the batch normalization, if there is one.
        window: Side of the pooling window, 1 for no pooling.
        margin: Where the first window starts above and to the left of the input.
        rate: Dropout's rate, 0 for none.
        dropout: Ordinal of the dropout among the network's.
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
        return self.norm is None and self.window == 1 and self.rate == 0


@dataclass(frozen=True)
class Pool:
    """Pooling in a pass of its own: windows that overlap, leave gaps or cover everything.

    Args:
        inputs: Height, width and channels of the input.
        outputs: The same of the output.
        window: Height and width of a window.
        stride: Step between windows.
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
    """An activation in a pass of its own.

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
    """The end of a residual block: what the weighted layer of that number reads is added.

    Args:
        inputs: Height, width and channels.
        start: Which weighted layer, counted from 0.
    """

    inputs: tuple[int, int, int]
    start: int

    @property
    def outputs(self) -> tuple[int, int, int]:
        return self.inputs


Step = Tail | Pool | Activation | Sum


@dataclass(frozen=True)
class Block:
    """A weighted layer and the steps behind it, at least one; a dense layer that ends a network has none.

    The first of them is always a ``Tail``, which takes gradients through the layer's activation and sums the bias's.
    """

    weighted: Weighted
    tails: tuple[Step, ...]


class NotFused(ValueError):
    """The network has a layer that the kernels do not take; the text says which and why."""


def blocks_of(summary: Summary) -> tuple[Block, ...]:
    """The network as blocks.

    Raises:
        NotFused: The plain path has to train it.
    """
    blocks: list[Block] = []
    weighted: Weighted | None = None
    tails: list[Step] = []
    shape: tuple[int, int, int] = summary.input_shape
    num_dropouts = 0
    readers: dict[str, tuple[int, tuple[int, int, int]]] = {}  # weighted layers by what they read, and its shape
    for index, row in enumerate(summary.layers):
        layer = row.layer
        if any(part == "shortcut" or part.startswith("parallel") for part in row.path):
            raise NotFused(f"{row.name} stands in a {'shortcut' if 'shortcut' in row.path else 'parallel block'}")
        if isinstance(layer, _WITH_KERNELS):
            if weighted is not None:
                blocks.append(Block(weighted, tuple(tails) or (Tail(shape, shape),)))
            elif tails:
                raise NotFused(_too_early(summary))
            readers[row.inputs[0]] = len(blocks), shape
            *before, weighted = _weighted(row, shape, num_classes=summary.num_classes)
            blocks += [Block(part, (Tail(part.outputs, part.outputs),)) for part in before]
            shape = weighted.outputs
            tails = _activated([], shape, "linear" if layer.activation == "relu" else layer.activation)
        elif isinstance(layer, Flatten):
            pass  # the same numbers in the same order
        elif isinstance(layer, Add):
            start, read = readers.get(row.inputs[1], (0, shape))
            if start == 0:
                raise NotFused(f"{row.name} adds what no convolution or dense layer before it reads")
            if read != shape:
                raise NotFused(f"{row.name} adds {read[0]} x {read[1]} pixels that a dense layer reads as a vector")
            tails = _activated([*(tails or [Tail(shape, shape)]), Sum(shape, start)], shape, layer.activation)
        elif isinstance(layer, Activate) and layer.activation == "softmax":
            if weighted is None:
                raise NotFused(_too_early(summary))
            if shape != (1, 1, summary.num_classes):
                raise NotFused(f"{row.name} follows flatten and {shape[0]} x {shape[1]} pixels")
        elif isinstance(layer, Activate) and layer.activation == "relu" and _is_bare(weighted, tails):
            weighted = replace(weighted, activation="relu")  # type: ignore[type-var]
        else:
            is_flat = len(row.input_shape) == 1
            if isinstance(layer, BatchNorm) and is_flat and shape[0] * shape[1] > 1:
                if shape[2] % 2:
                    raise NotFused(f"{row.name} follows flatten and {shape[2]} channels, an odd number")
                tails = tails or [Tail(shape, shape)]
                shape = (1, 1, shape[0] * shape[1] * shape[2])
            tails = _with(tails, row, shape, num_dropouts)
            shape = tails[-1].outputs
            num_dropouts += isinstance(layer, Dropout)
        if index == len(summary.layers) - 1 and weighted is not None:
            if not tails and not (weighted.is_dense and weighted.activation == "linear"):
                tails = [Tail(shape, shape)]
            blocks.append(Block(weighted, tuple(tails)))
    return tuple(blocks)


def why_not_fused(summary: Summary) -> str | None:
    """What keeps a network off the kernels; ``None`` if nothing does."""
    if summary.base is not None:
        return "a base runs in every step"
    try:
        blocks_of(summary)
    except NotFused as error:
        return str(error)
    return None


def fused_groups(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Names of the layers that are computed together, in order: a weighted layer and all up to the next one.

    Raises:
        NotFused: None are; the plain path trains the network.
    """
    blocks_of(summary)
    groups: list[tuple[str, ...]] = []
    has_weights = False
    for row in summary.layers:
        if (isinstance(row.layer, _WITH_KERNELS) and has_weights) or not groups:
            groups.append(())
        has_weights = has_weights or isinstance(row.layer, _WITH_KERNELS)
        groups[-1] = (*groups[-1], row.name)
    return tuple(groups)


def _too_early(summary: Summary) -> str:
    early = next(row for row in summary.layers if not isinstance(row.layer, Flatten))
    return f"{early.name} stands before the first convolution or dense layer"


def _weighted(row: LayerSummary, shape: tuple[int, int, int], *, num_classes: int) -> tuple[Weighted, ...]:
    """The products that a layer is: one, or a separable layer's two."""
    layer = row.layer
    if isinstance(layer, Dense):
        units = num_classes if layer.units == "classes" else int(layer.units)
        return (Weighted(
            row.name, (shape[0], shape[1]), 1, shape, (1, 1, units), (0, 0, 0, 0), _own_activation(layer.activation),
            layer.l2, is_dense=True, l1=layer.l1, has_bias=layer.bias,
        ),)  # fmt: skip
    if not isinstance(layer, Conv | Depthwise | Separable):
        raise TypeError(row.name)
    if layer.dilation != 1:
        raise NotFused(f"{row.name} has dilation {layer.dilation}")
    if isinstance(layer.padding, int):
        raise NotFused(f"{row.name} has padding={layer.padding}")
    if isinstance(layer, Conv) and layer.groups not in (1, shape[2]):
        raise NotFused(f"{row.name} has {layer.groups} groups for {shape[2]} channels")
    margin = (0, 0, 0, 0)
    if layer.padding == "same":
        vertical = same_padding(shape[0], layer.kernel[0], layer.stride)
        horizontal = same_padding(shape[1], layer.kernel[1], layer.stride)
        margin = (*vertical, *horizontal)
    height, width, channels = row.output_shape  # type: ignore[misc]
    if isinstance(layer, Separable):
        channels = shape[2] * layer.multiplier
    first = Weighted(
        row.name, layer.kernel, layer.stride, shape, (height, width, channels), margin,
        _own_activation(layer.activation), layer.l2, is_dense=False, l1=layer.l1, has_bias=layer.bias,
        # Of one channel, each by itself is all together.
        is_depthwise=shape[2] > 1 and (not isinstance(layer, Conv) or layer.groups > 1),
    )  # fmt: skip
    if not isinstance(layer, Separable):
        return (first,)
    return (
        replace(first, activation="linear", has_bias=False, kernel_name="depthwise_kernel"),
        Weighted(
            row.name, (1, 1), 1, first.outputs, (height, width, layer.filters), (0, 0, 0, 0), first.activation,
            layer.l2, is_dense=False, l1=layer.l1, has_bias=layer.bias, kernel_name="pointwise_kernel",
        ),
    )  # fmt: skip


def _own_activation(name: str) -> str:
    """What a weighted kernel applies itself; the softmax belongs to the loss, others follow in a pass of their own."""
    return "relu" if name == "relu" else "linear"


def _is_bare(weighted: Weighted | None, tails: list[Step]) -> bool:
    return weighted is not None and weighted.activation == "linear" and not tails


def _activated(tails: list[Step], shape: tuple[int, int, int], activation: str) -> list[Step]:
    if activation in ("linear", "softmax"):  # softmax comes last and belongs to the loss
        return tails
    return [*(tails or [Tail(shape, shape)]), Activation(shape, activation)]


def _with(tails: list[Step], row: LayerSummary, shape: tuple[int, int, int], num_dropouts: int) -> list[Step]:
    """The steps with one more layer: in the last one where the order allows, else in a new one."""
    layer = row.layer
    if tails and isinstance(tails[-1], Activation) and _may_stand_before(layer, tails[-1], tails[-2]):
        *before, activation = tails
        before = _with(before, row, shape, num_dropouts)
        return [*before, replace(activation, inputs=before[-1].outputs)]
    last = tails[-1] if tails and isinstance(tails[-1], Tail) else None
    if last is not None and last.outputs != shape:  # flattened in between
        last = None
    if isinstance(layer, BatchNorm):
        if layer != BatchNorm():
            raise NotFused(f"{row.name} has an epsilon or a momentum of its own")
        return [*tails, Tail(shape, shape, norm=row.name)]
    if isinstance(layer, Activate):
        return _activated(tails, shape, layer.activation)
    if isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        return _pooled(tails, row.name, Pool(
            shape, (1, 1, shape[2]), shape[:2], 1, is_mean=isinstance(layer, GlobalAvgPool)
        ))  # fmt: skip
    if isinstance(layer, MaxPool | AvgPool):
        height, width, channels = row.output_shape  # type: ignore[misc]
        margin = (0, 0)
        if isinstance(layer.padding, int):
            raise NotFused(f"{row.name} has padding={layer.padding}")
        if layer.padding == "same":
            margin = (
                same_padding(shape[0], layer.size, layer.stride)[0],
                same_padding(shape[1], layer.size, layer.stride)[0],
            )
        is_mean = isinstance(layer, AvgPool)
        if layer.stride != layer.size or is_mean:
            return _pooled(tails, row.name, Pool(
                shape, (height, width, channels), (layer.size, layer.size), layer.stride, margin, is_mean
            ))  # fmt: skip
        pooled = {"outputs": (height, width, channels), "window": layer.size, "margin": margin}
        if last is not None and last.window == 1 and last.rate == 0:
            return [*tails[:-1], _changed(last, **pooled)]
        return [*tails, _changed(Tail(shape, shape), **pooled)]
    if isinstance(layer, Dropout):
        if layer.rate == 0:
            return tails or [Tail(shape, shape)]
        dropped = {"rate": layer.rate, "dropout": num_dropouts}
        if last is not None and last.rate == 0:
            return [*tails[:-1], _changed(last, **dropped)]
        return [*tails, _changed(Tail(shape, shape), **dropped)]
    raise NotFused(lacking(row, "kernel"))


def _may_stand_before(layer: object, activation: Activation, before: Step) -> bool:
    """Whether a layer behind an activation gives the same before it, where that is cheaper.

    Where larger values have no smaller activations, the largest activation of a window is that of the largest value,
    and one is computed instead of many. ReLU passes a positive factor on, such as dropout's, so both may share a pass.
    """
    if isinstance(layer, MaxPool | GlobalMaxPool):
        return activation.name in _RISING
    is_alike = isinstance(before, Tail) and before.rate == 0 and before.outputs == activation.inputs
    return isinstance(layer, Dropout) and layer.rate > 0 and activation.name == "relu" and is_alike


def _pooled(tails: list[Step], name: str, pool: Pool) -> list[Step]:
    if not pool.is_mean and pool.window[0] * pool.window[1] > _CODES:
        raise NotFused(f"{name} has windows of more than {_CODES:,} pixels")
    return [*(tails or [Tail(pool.inputs, pool.inputs)]), pool]


def _changed(tail: Tail, **changes: object) -> Tail:
    return replace(tail, **changes)  # type: ignore[arg-type]
