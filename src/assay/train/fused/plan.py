"""Decides whether kernels can train a network, and groups its layers into blocks, each a few kernel calls.

A block is a layer with weights and its *post-ops*: what happens to its output before the next layer with weights reads
it. Adjacent batch normalization, max pooling and dropout are fused into one post-op (``Epilogue``), and layers are
moved where the result is the same and less is computed. A network with anything else trains on torch's layers.

No torch and no Numba here: ``assay describe`` and searches ask this module too.
"""

from __future__ import annotations

from dataclasses import replace

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
    SpatialDropout,
    Summary,
    same_padding,
)
from ...nets.layers import Activate, Add, AvgPool, GlobalAvgPool, GlobalMaxPool
from ...nets.translation import lacking
from ...spec import Training
from .blocks import Activation, Block, ChannelDropout, Epilogue, Pool, PostOp, Sum, Weighted

_CODES = 65_536  # places in a pooling window that a code of 16 bits can tell apart
_MONOTONIC = (
    "relu",
    "relu6",
    "leakyrelu",
    "elu",
    "sigmoid",
    "tanh",
)  # never decreasing, so they commute with a maximum
_WITH_KERNELS = (Conv, Depthwise, Separable, Dense)


class NotFused(ValueError):
    """The network has a layer that no kernel computes; the message says which and why."""


def blocks_of(summary: Summary) -> tuple[Block, ...]:
    """The network as blocks, in order.

    Raises:
        NotFused: The plain path has to train it.
    """
    if summary.own is not None:
        raise NotFused("it is a module of one's own")
    blocks: list[Block] = []
    weighted: Weighted | None = None
    post_ops: list[PostOp] = []
    shape: tuple[int, int, int] = summary.input_shape
    num_dropouts = 0
    readers: dict[
        str, tuple[int, tuple[int, int, int]]
    ] = {}  # weighted layers by the name of their input, and its shape
    for index, row in enumerate(summary.layers):
        layer = row.layer
        if any(part == "shortcut" or part.startswith("parallel") for part in row.path):
            raise NotFused(f"{row.name} is in a {'shortcut' if 'shortcut' in row.path else 'parallel block'}")
        if isinstance(layer, _WITH_KERNELS):
            if weighted is not None:
                blocks.append(Block(weighted, tuple(post_ops) or (Epilogue(shape, shape),)))
            elif post_ops:
                raise NotFused(_too_early(summary))
            readers[row.inputs[0]] = len(blocks), shape
            *before, weighted = _weighted(row, shape, num_classes=summary.num_classes)
            blocks += [Block(part, (Epilogue(part.outputs, part.outputs),)) for part in before]
            shape = weighted.outputs
            post_ops = _with_activation([], shape, "linear" if layer.activation == "relu" else layer.activation)
        elif isinstance(layer, Flatten):
            pass  # the same memory: see ``buffers.reshaped``
        elif isinstance(layer, Add):
            start, read = readers.get(row.inputs[1], (0, shape))
            if start == 0:  # the first layer has no gradient of its input that the sum's could be added to
                raise NotFused(f"{row.name} adds what no convolution or dense layer before it reads")
            if read != shape:  # the same memory, but ``Sum`` adds buffers of one shape
                raise NotFused(f"{row.name} adds {read[0]} x {read[1]} pixels that a dense layer reads as a vector")
            post_ops = _with_activation(
                [*(post_ops or [Epilogue(shape, shape)]), Sum(shape, start)], shape, layer.activation
            )
        elif isinstance(layer, Activate) and layer.activation == "softmax":
            if weighted is None:
                raise NotFused(_too_early(summary))
            if shape != (1, 1, summary.num_classes):
                raise NotFused(f"{row.name} follows flatten and {shape[0]} x {shape[1]} pixels")
        elif isinstance(layer, Activate) and layer.activation == "relu" and _is_bare(weighted, post_ops):
            weighted = replace(weighted, activation="relu")  # type: ignore[type-var]
        else:
            is_flat = len(row.input_shape) == 1
            if isinstance(layer, BatchNorm) and is_flat and shape[0] * shape[1] > 1:
                if (
                    shape[2] % 2
                ):  # in bfloat16 each pixel would end in a padding channel, which is not part of the vector
                    raise NotFused(f"{row.name} follows flatten and {shape[2]} channels, an odd number")
                post_ops = post_ops or [Epilogue(shape, shape)]
                shape = (1, 1, shape[0] * shape[1] * shape[2])
            post_ops = _with_layer(post_ops, row, shape, num_dropouts)
            shape = post_ops[-1].outputs
            num_dropouts += isinstance(layer, Dropout | SpatialDropout)
        if index == len(summary.layers) - 1 and weighted is not None:
            if not post_ops and not (weighted.is_dense and weighted.activation == "linear"):
                post_ops = [Epilogue(shape, shape)]
            blocks.append(Block(weighted, tuple(post_ops)))
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


def why_plain(training: Training) -> str | None:
    """What of a protocol keeps its networks off the kernels; ``None`` if nothing does."""
    if training.loss is not None:
        return "the loss is one's own"
    return "the optimizer is one's own" if training.optimizer.own is not None else None


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
    return f"{early.name} comes before the first convolution or dense layer"


def _weighted(row: LayerSummary, shape: tuple[int, int, int], *, num_classes: int) -> tuple[Weighted, ...]:
    """A layer as products: one, or a separable layer's two."""
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
        # With one input channel, a depthwise convolution is an ordinary one.
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
    """The activation that a weighted layer's kernel applies: relu, one instruction; others are passes of their own."""
    return "relu" if name == "relu" else "linear"


def _is_bare(weighted: Weighted | None, post_ops: list[PostOp]) -> bool:
    return weighted is not None and weighted.activation == "linear" and not post_ops


def _with_activation(post_ops: list[PostOp], shape: tuple[int, int, int], activation: str) -> list[PostOp]:
    if activation in ("linear", "softmax"):  # softmax comes last and belongs to the loss
        return post_ops
    return [*(post_ops or [Epilogue(shape, shape)]), Activation(shape, activation)]


def _with_layer(
    post_ops: list[PostOp], row: LayerSummary, shape: tuple[int, int, int], num_dropouts: int
) -> list[PostOp]:
    """The post-ops with one more layer: fused into the last one where the order allows, else as a new one."""
    layer = row.layer
    if post_ops and isinstance(post_ops[-1], Activation) and _commutes(layer, post_ops[-1], post_ops[-2]):
        *before, activation = post_ops
        before = _with_layer(before, row, shape, num_dropouts)
        return [*before, replace(activation, inputs=before[-1].outputs)]
    last = post_ops[-1] if post_ops and isinstance(post_ops[-1], Epilogue) else None
    if last is not None and last.outputs != shape:  # flattened in between
        last = None
    if isinstance(layer, BatchNorm):
        if layer != BatchNorm():
            raise NotFused(f"{row.name} has an epsilon or a momentum of its own")
        return [*post_ops, Epilogue(shape, shape, norm=row.name)]
    if isinstance(layer, Activate):
        return _with_activation(post_ops, shape, layer.activation)
    if isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        return _with_pool(post_ops, row.name, Pool(
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
            return _with_pool(post_ops, row.name, Pool(
                shape, (height, width, channels), (layer.size, layer.size), layer.stride, margin, is_mean
            ))  # fmt: skip
        pooled = {"outputs": (height, width, channels), "window": layer.size, "margin": margin}
        if last is not None and last.window == 1 and last.rate == 0:
            return [*post_ops[:-1], _changed(last, **pooled)]
        return [*post_ops, _changed(Epilogue(shape, shape), **pooled)]
    if isinstance(layer, Dropout):
        if layer.rate == 0:
            return post_ops or [Epilogue(shape, shape)]
        dropped = {"rate": layer.rate, "dropout": num_dropouts}
        if last is not None and last.rate == 0:
            return [*post_ops[:-1], _changed(last, **dropped)]
        return [*post_ops, _changed(Epilogue(shape, shape), **dropped)]
    if isinstance(layer, SpatialDropout):
        post_ops = post_ops or [Epilogue(shape, shape)]
        return [*post_ops, ChannelDropout(shape, layer.rate, num_dropouts)] if layer.rate else post_ops
    raise NotFused(lacking(row, "kernel"))


def _commutes(layer: object, activation: Activation, before: PostOp) -> bool:
    """Whether a layer behind an activation can go before it with the same result, which is cheaper.

    The largest value of a window has the largest activation where the activation is monotonic: one is computed instead
    of many. Relu commutes with a positive factor such as dropout's, which then shares the pass before it.
    """
    if isinstance(layer, MaxPool | GlobalMaxPool):
        return activation.name in _MONOTONIC
    is_alike = isinstance(before, Epilogue) and before.rate == 0 and before.outputs == activation.inputs
    return isinstance(layer, Dropout) and layer.rate > 0 and activation.name == "relu" and is_alike


def _with_pool(post_ops: list[PostOp], name: str, pool: Pool) -> list[PostOp]:
    if not pool.is_mean and pool.window[0] * pool.window[1] > _CODES:
        raise NotFused(f"{name} has windows of more than {_CODES:,} pixels")
    return [*(post_ops or [Epilogue(pool.inputs, pool.inputs)]), pool]


def _changed(post_op: Epilogue, **changes: object) -> Epilogue:
    return replace(post_op, **changes)  # type: ignore[arg-type]
