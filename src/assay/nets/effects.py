"""What one layer does to a shape, and what it costs: one function for each kind of layer.

FLOPs are those of one sample's forward pass outside training, one multiply-add counted as 2:

- conv, depthwise, separable: 2 x kernel height x kernel width x channels that one output reads, for each output element
  (a bias starts the sum)
- dense: 2 x inputs, for each unit
- batchnorm: 2 for each element, the scale and shift that it comes to once its statistics are known
- layernorm, groupnorm, instancenorm: 6 for each element, 1 for the mean, 3 for the variance, 2 for scale and shift
- avgpool, globalavgpool: 1 for each element of a window; add: 1 for each element of each further path
- maxpool, globalmaxpool, flatten, concatenate: 0, as they compare or move values but neither multiply nor add
- activations: 0, by custom; dropout and the last softmax: 0, as a forward pass outside training has none of the one and
  leaves the other to the loss
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

from . import layers as words
from .layers import Dense, Layer, PaddingName

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


def shape_text(shape: tuple[int, ...]) -> str:
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


@dataclass(frozen=True)
class Window:
    """A window that moves over an image.

    Args:
        size: Height and width.
        stride: Step between positions.
        dilation: Step between the elements of the window.
        mode: ``valid``, ``same``, or as many pixels on every side.
    """

    size: tuple[int, int]
    stride: int
    dilation: int
    mode: PaddingName | int

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width from the first element to the last."""
        rows, columns = ((side - 1) * self.dilation + 1 for side in self.size)
        return rows, columns

    def padding(self, side: int, axis: int) -> tuple[int, int]:
        """Padding before and after an axis (0 for rows) of this length."""
        if isinstance(self.mode, int):
            return self.mode, self.mode
        return (0, 0) if self.mode == "valid" else same_padding(side, self.extent[axis], self.stride)

    def positions(self, side: int, axis: int) -> int:
        """How many positions the window has on an axis of this length; 0 or less if it does not fit."""
        if self.mode == "same":
            return -(-side // self.stride)
        return (side + sum(self.padding(side, axis)) - self.extent[axis]) // self.stride + 1


def window_of(layer: Layer) -> Window | None:
    """The window that the layer moves over an image, if it does."""
    match layer:
        case words.Conv() | words.Depthwise() | words.Separable():
            return Window(layer.kernel, layer.stride, layer.dilation, layer.padding)
        case words.MaxPool() | words.AvgPool():
            return Window((layer.size, layer.size), layer.stride, 1, layer.padding)
    return None


@singledispatch
def effect_of(layer: Layer, shape: Shape, num_classes: int) -> Effect:
    """What the layer makes of an input of this shape."""
    raise NotImplementedError(type(layer).__name__)


def _vector(shape: Shape) -> Effect:
    return Effect(None, broken=f"gets a vector of {shape[0]}, not an image", fix="move it before flatten")


def _moved(layer: Layer, shape: Image, what: str, smaller: str) -> tuple[int, int] | Effect:
    """How many positions the layer's window has, or the rule that it breaks."""
    window = window_of(layer)
    if window is None:
        raise TypeError(type(layer).__name__)
    if window.stride > 1 and window.dilation > 1:
        broken = f"has stride {window.stride} and dilation {window.dilation}"
        return Effect(None, broken=broken, fix="leave one of them at 1")
    rows, columns = window.positions(shape[0], 0), window.positions(shape[1], 1)
    if rows < 1 or columns < 1:
        spread = f", {shape_text(window.extent)} when dilated by {window.dilation}," if window.dilation > 1 else ""
        broken = f"has {what}{spread} for an input of {shape_text(shape)}"
        return Effect(None, broken=broken, fix=f"use {smaller}, padding=same or less pooling before it")
    return rows, columns


def _kernel(layer: words.Conv | words.Depthwise | words.Separable, shape: Image) -> tuple[int, int] | Effect:
    return _moved(layer, shape, f"a {shape_text(layer.kernel)} kernel", "a smaller kernel")


@effect_of.register
def _conv(layer: words.Conv, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return _vector(shape)
    if shape[2] % layer.groups or layer.filters % layer.groups:
        numbers = f"{shape[2]} input channels and {layer.filters} filters"
        fix = "give a number that divides both"
        return Effect(None, broken=f"has {layer.groups} groups for {numbers}", fix=fix)
    found = _kernel(layer, shape)
    if isinstance(found, Effect):
        return found
    fan_in = math.prod(layer.kernel) * shape[2] // layer.groups
    out = (*found, layer.filters)
    return Effect(out, trainable=(fan_in + layer.bias) * layer.filters, flops=2 * fan_in * math.prod(out))


@effect_of.register
def _depthwise(layer: words.Depthwise, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return _vector(shape)
    found = _kernel(layer, shape)
    if isinstance(found, Effect):
        return found
    out = (*found, shape[2] * layer.multiplier)
    window = math.prod(layer.kernel)
    return Effect(out, trainable=(window + layer.bias) * out[2], flops=2 * window * math.prod(out))


@effect_of.register
def _separable(layer: words.Separable, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return _vector(shape)
    found = _kernel(layer, shape)
    if isinstance(found, Effect):
        return found
    out = (*found, layer.filters)
    window, middle = math.prod(layer.kernel), shape[2] * layer.multiplier
    trainable = window * middle + (middle + layer.bias) * layer.filters
    return Effect(out, trainable=trainable, flops=2 * math.prod(found) * middle * (window + layer.filters))


@effect_of.register(words.MaxPool)
@effect_of.register(words.AvgPool)
def _pool(layer: words.MaxPool | words.AvgPool, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return _vector(shape)
    if isinstance(layer.padding, int) and layer.padding > layer.size // 2:
        broken = f"has padding={layer.padding} around windows of {layer.size}, which could then see nothing else"
        return Effect(None, broken=broken, fix=f"give at most {layer.size // 2}, or padding=same")
    found = _moved(layer, shape, f"{layer.size} x {layer.size} windows", "a smaller size")
    if isinstance(found, Effect):
        return found
    out = (*found, shape[2])
    return Effect(out, flops=layer.size**2 * math.prod(out) if isinstance(layer, words.AvgPool) else 0)


@effect_of.register(words.GlobalMaxPool)
@effect_of.register(words.GlobalAvgPool)
def _global_pool(layer: words.GlobalMaxPool | words.GlobalAvgPool, shape: Shape, num_classes: int) -> Effect:
    if len(shape) == 1:
        return Effect(None, broken=f"gets a vector of {shape[0]}, not an image", fix="put it in place of flatten")
    return Effect((shape[2],), flops=math.prod(shape) if isinstance(layer, words.GlobalAvgPool) else 0)


@effect_of.register
def _batchnorm(layer: words.BatchNorm, shape: Shape, num_classes: int) -> Effect:
    return Effect(shape, trainable=2 * shape[-1], non_trainable=2 * shape[-1], flops=2 * math.prod(shape))


@effect_of.register
def _layernorm(layer: words.LayerNorm, shape: Shape, num_classes: int) -> Effect:
    return _normalized(shape, shape[-1])


@effect_of.register
def _groupnorm(layer: words.GroupNorm, shape: Shape, num_classes: int) -> Effect:
    if shape[-1] % layer.groups:
        broken = f"has {layer.groups} groups for {shape[-1]} channels"
        return Effect(None, broken=broken, fix="give a number that divides them")
    return _normalized(shape, math.prod(shape) // layer.groups)


@effect_of.register
def _instancenorm(layer: words.InstanceNorm, shape: Shape, num_classes: int) -> Effect:
    return _vector(shape) if len(shape) == 1 else _normalized(shape, shape[0] * shape[1])


def _normalized(shape: Shape, together: int) -> Effect:
    if together == 1:
        broken = f"would make every value of {shape_text(shape)} 0, as it normalizes each by itself"
        return Effect(None, broken=broken, fix="leave it out or use batchnorm")
    return Effect(shape, trainable=2 * shape[-1], flops=6 * math.prod(shape))


@effect_of.register(words.Dropout)
@effect_of.register(words.Activate)
def _elementwise(layer: words.Dropout | words.Activate, shape: Shape, num_classes: int) -> Effect:
    return Effect(shape)


@effect_of.register
def _spatialdropout(layer: words.SpatialDropout, shape: Shape, num_classes: int) -> Effect:
    return Effect(shape) if len(shape) == 3 else _vector(shape)


@effect_of.register
def _flatten(layer: words.Flatten, shape: Shape, num_classes: int) -> Effect:
    return Effect((math.prod(shape),))


@effect_of.register
def _dense(layer: Dense, shape: Shape, num_classes: int) -> Effect:
    inputs, units = math.prod(shape), units_of(layer, num_classes)
    broken = "" if len(shape) == 1 else f"gets an image of {shape_text(shape)}, not a vector"
    fix = 'add "flatten" before it (Keras would apply it at each position; here that is not meant)'
    return Effect((units,), (inputs + layer.bias) * units, 0, 2 * inputs * units, broken, fix)


def join_effect(layer: words.Add | words.Concatenate, shapes: tuple[Shape, ...]) -> Effect:
    """What joining paths of these shapes comes to; what a broken rule says begins with "adds" or "concatenates"."""
    told = " and ".join(map(shape_text, shapes))
    if isinstance(layer, words.Add):
        if len(set(shapes)) > 1:
            return Effect(None, broken=f"adds {told}, which must be equal", fix="match rows, columns and channels")
        return Effect(shapes[0], flops=(len(shapes) - 1) * math.prod(shapes[0]))
    if len({shape[:-1] for shape in shapes}) > 1:
        broken = f"concatenates {told}, whose heights and widths must be equal"
        return Effect(None, broken=broken, fix="use padding=same and equal strides, and flatten all or none")
    return Effect((*shapes[0][:-1], sum(shape[-1] for shape in shapes)))
