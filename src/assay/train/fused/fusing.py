"""How single layers are planned: a layer with weights as products, other layers as post-ops, fused where order allows.

Adjacent batch normalization, max pooling and dropout become one post-op (``Epilogue``), and layers are moved where the
result is the same and less is computed.
"""

from __future__ import annotations

from dataclasses import replace

from ...nets import (
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    LayerSummary,
    MaxPool,
    Separable,
    SpatialDropout,
)
from ...nets.fixed_point import Rounding
from ...nets.layers import (
    Activate,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    PReLU,
    ZeroPad,
)
from ...nets.layers.norms import EPSILON
from ...nets.translation import lacking
from .blocks import Activation, ChannelDropout, Epilogue, ImageNorm, Pool, PostOp, Slopes, Weighted, ZeroPadding

_CODES = 65_536  # places in a pooling window that a code of 16 bits can tell apart
_MONOTONIC = (
    "relu",
    "relu6",
    "leakyrelu",
    "elu",
    "sigmoid",
    "tanh",
    "linear",
)  # never decreasing, so they commute with a maximum


class NotFused(ValueError):
    """The network has a layer that no kernel computes; the message says which and why."""


def weighted_of(row: LayerSummary, shape: tuple[int, int, int], *, num_classes: int) -> tuple[Weighted, ...]:
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
    margin = (*layer.window.padding(shape[0], 0), *layer.window.padding(shape[1], 1))
    height, width, channels = row.output_shape  # type: ignore[misc]
    if isinstance(layer, Separable):
        channels = shape[2] * layer.multiplier
    # With one input channel, a depthwise convolution is an ordinary one.
    is_depthwise = shape[2] > 1 and (not isinstance(layer, Conv) or layer.groups == shape[2])
    first = Weighted(
        row.name, layer.kernel, layer.stride, shape, (height, width, channels), margin,
        _own_activation(layer.activation), layer.l2, is_dense=False, l1=layer.l1, has_bias=layer.bias,
        is_depthwise=is_depthwise, dilation=layer.dilation if max(layer.kernel) > 1 else 1,
        groups=layer.groups if isinstance(layer, Conv) and not is_depthwise else 1,
        is_fixed=isinstance(layer, Conv) and layer.fixed,
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


def with_activation(post_ops: list[PostOp], shape: tuple[int, int, int], activation: str) -> list[PostOp]:
    """The post-ops with an activation: as a part of the pass before it, where that can be, or as a pass of its own."""
    if activation in ("linear", "softmax"):  # softmax comes last and belongs to the loss
        return post_ops
    last = post_ops[-1] if post_ops else None
    is_open = isinstance(last, Epilogue) and not last.is_empty and last.after is None
    if activation == "relu" and isinstance(last, Epilogue) and is_open and last.outputs == shape:
        return [*post_ops[:-1], _changed(last, has_relu=True)]  # it commutes with dropout's positive factor
    return [*(post_ops or [Epilogue(shape, shape)]), Activation(shape, activation)]


def with_layer(
    post_ops: list[PostOp], row: LayerSummary, shape: tuple[int, int, int], num_dropouts: int
) -> list[PostOp]:
    """The post-ops with one more layer: fused into the last one where the order allows, else as a new one."""
    layer = row.layer
    if post_ops and isinstance(activation := post_ops[-1], Activation) and _commutes(layer, *post_ops[-2:]):
        before = post_ops[:-1]
        before = with_layer(before, row, shape, num_dropouts)
        return [*before, replace(activation, inputs=before[-1].outputs)]
    last = post_ops[-1] if post_ops and isinstance(post_ops[-1], Epilogue) else None
    if last is not None and last.outputs != shape:  # flattened in between
        last = None
    if isinstance(layer, BatchNorm):
        normed = Epilogue(shape, shape, norm=row.name, epsilon=layer.epsilon, momentum=layer.momentum)
        return [*post_ops, normed]
    if isinstance(layer, LayerNorm | GroupNorm | InstanceNorm):
        groups = layer.groups if isinstance(layer, GroupNorm) else shape[2] if isinstance(layer, InstanceNorm) else 1
        norm = ImageNorm(shape, row.name, groups, isinstance(layer, LayerNorm), EPSILON)
        return [*(post_ops or [Epilogue(shape, shape)]), norm]
    if isinstance(layer, PReLU):
        is_vector = len(row.input_shape) == 1  # behind flatten, where every element of the image is a channel
        whole = {"value": shape, "channel": shape if is_vector else (1, 1, shape[2]), "layer": (1, 1, 1)}
        return [*(post_ops or [Epilogue(shape, shape)]), Slopes(shape, row.name, whole[layer.per])]
    if isinstance(layer, ZeroPad):
        (top, bottom), (left, right) = layer.padding
        return [*(post_ops or [Epilogue(shape, shape)]), ZeroPadding(shape, (top, bottom, left, right))]
    if isinstance(layer, Activate):
        return with_activation(post_ops, shape, layer.activation)
    if isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        return _with_pool(post_ops, row.name, Pool(
            shape, (1, 1, shape[2]), shape[:2], 1, is_mean=isinstance(layer, GlobalAvgPool)
        ))  # fmt: skip
    if isinstance(layer, MaxPool | AvgPool):
        height, width, channels = row.output_shape  # type: ignore[misc]
        margin = layer.window.padding(shape[0], 0)[0], layer.window.padding(shape[1], 1)[0]
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


def with_rounding(
    post_ops: list[PostOp], shape: tuple[int, int, int], before: Rounding | None, after: Rounding | None
) -> list[PostOp]:
    """The post-ops with rounding around the last activation, in the last pass, or as a pass of its own."""
    last = post_ops[-1] if post_ops else None
    if before is not None:
        if not isinstance(last, Activation) or last.before is not None or last.after is not None:
            raise NotFused("an activation is computed where its input cannot be rounded")
        post_ops = [*post_ops[:-1], last := replace(last, before=before)]
    if after is None:
        return post_ops
    if isinstance(last, Activation) and last.after is None and last.outputs == shape:
        return [*post_ops[:-1], replace(last, after=after)]
    if not post_ops:
        return [Epilogue(shape, shape, after=after)]
    if isinstance(last, Epilogue) and last.after is None and last.rate == 0 and last.outputs == shape:
        return [*post_ops[:-1], replace(last, after=after)]
    return [*post_ops, Activation(shape, "linear", after=after)]


def _commutes(layer: object, *last: PostOp) -> bool:
    """Whether a layer behind an activation can go before it with the same result, which is cheaper.

    The largest value of a window has the largest activation where the activation is monotonic: one is computed instead
    of many. Relu commutes with a positive factor such as dropout's, which then shares the pass before it.
    """
    *others, activation = last
    if not isinstance(activation, Activation):
        return False
    if isinstance(layer, MaxPool | GlobalMaxPool):
        return activation.name in _MONOTONIC
    if activation.before is not None or activation.after is not None:
        return False
    before = others[0] if others else None
    is_alike = isinstance(before, Epilogue) and before.rate == 0 and before.outputs == activation.inputs
    return isinstance(layer, Dropout) and layer.rate > 0 and activation.name == "relu" and is_alike


def _with_pool(post_ops: list[PostOp], name: str, pool: Pool) -> list[PostOp]:
    if not pool.is_mean and pool.window[0] * pool.window[1] > _CODES:
        raise NotFused(f"{name} has windows of more than {_CODES:,} pixels")
    return [*(post_ops or [Epilogue(pool.inputs, pool.inputs)]), pool]


def _changed(post_op: Epilogue, **changes: object) -> Epilogue:
    return replace(post_op, **changes)  # type: ignore[arg-type]
