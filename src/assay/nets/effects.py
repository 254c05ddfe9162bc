"""What one layer does to a shape, and what it costs: one function for each kind of layer.

FLOPs are those of one sample's forward pass, one multiply-add counted as 2:

- conv: 2 x kernel height x kernel width x input channels, for each output element (its bias starts the sum)
- dense: 2 x inputs, for each unit
- batchnorm: 2 for each element, the scale and shift that it comes to once its statistics are known
- maxpool, flatten, relu, linear: 0, as they compare or move values but neither multiply nor add
- dropout and softmax: 0, as a forward pass outside training has none of the one and leaves the other to the loss
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

from .layers import BatchNorm, Conv, Dense, Dropout, Flatten, Layer, MaxPool, PaddingName

Image = tuple[int, int, int]
Shape = Image | tuple[int]


@dataclass(frozen=True)
class Effect:
    """What a layer does to a shape (None: its output has none), and which rule it breaks, if any."""

    shape: Shape | None
    trainable: int = 0
    non_trainable: int = 0
    flops: int = 0
    broken: str = ""
    fix: str = ""


def shape_text(shape: Shape) -> str:
    """``(26, 26, 32)`` as ``26 x 26 x 32``."""
    return " x ".join(map(str, shape))


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after one axis so that its output has ceil(size / stride) elements, the odd one after.

    Source: TensorFlow's and Keras's ``padding="same"``.
    """
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def units_of(layer: Dense, num_classes: int) -> int:
    """The layer's number of units, with "classes" resolved."""
    return num_classes if layer.units == "classes" else layer.units


def _window_length(size: int, window: int, stride: int, padding: PaddingName) -> int:
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


@singledispatch
def effect_of(layer: Layer, shape: Shape, num_classes: int) -> Effect:
    """What the layer makes of an input of this shape."""
    raise NotImplementedError(type(layer).__name__)


@effect_of.register
def _conv(layer: Conv, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return Effect(None, broken=f"gets a vector of {shape[0]}, not an image", fix="move it before flatten")
    height, width, channels = shape
    rows, columns = layer.kernel
    if layer.padding == "valid" and (rows > height or columns > width):
        broken = f"has a {rows} x {columns} kernel for an input of {shape_text(shape)}"
        return Effect(None, broken=broken, fix="use a smaller kernel, padding=same or less pooling before it")
    out = (
        _window_length(height, rows, layer.stride, layer.padding),
        _window_length(width, columns, layer.stride, layer.padding),
        layer.filters,
    )
    fan_in = rows * columns * channels
    return Effect(out, trainable=(fan_in + 1) * layer.filters, flops=2 * fan_in * math.prod(out))


@effect_of.register
def _maxpool(layer: MaxPool, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return Effect(None, broken=f"gets a vector of {shape[0]}, not an image", fix="move it before flatten")
    height, width, channels = shape
    if layer.padding == "valid" and layer.size > min(height, width):
        broken = f"has {layer.size} x {layer.size} windows for an input of {shape_text(shape)}"
        return Effect(None, broken=broken, fix="use a smaller size, padding=same or less pooling before it")
    rows, columns = (_window_length(side, layer.size, layer.stride, layer.padding) for side in (height, width))
    return Effect((rows, columns, channels))


@effect_of.register
def _batchnorm(layer: BatchNorm, shape: Shape, num_classes: int) -> Effect:
    return Effect(shape, trainable=2 * shape[-1], non_trainable=2 * shape[-1], flops=2 * math.prod(shape))


@effect_of.register
def _dropout(layer: Dropout, shape: Shape, num_classes: int) -> Effect:
    return Effect(shape)


@effect_of.register
def _flatten(layer: Flatten, shape: Shape, num_classes: int) -> Effect:
    return Effect((math.prod(shape),))


@effect_of.register
def _dense(layer: Dense, shape: Shape, num_classes: int) -> Effect:
    inputs, units = math.prod(shape), units_of(layer, num_classes)
    broken = "" if len(shape) == 1 else f"gets an image of {shape_text(shape)}, not a vector"
    fix = 'add "flatten" before it (Keras would apply it at each position; here that is not meant)'
    return Effect((units,), (inputs + 1) * units, 0, 2 * inputs * units, broken, fix)
