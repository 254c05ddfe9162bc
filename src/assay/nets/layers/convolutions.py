"""Convolutions: all channels at once, each by itself, or one after the other."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace

from ..effects import Effect, Image, Shape, Window, needs_image, shape_text
from ..keras import Settings, Signature
from ..kinds import Activation, Count, Flag, Init, Kernel, Padding, Weight
from ..parameters import Parameter, conv_kernel, depthwise_kernel
from .record import Citation, Layer


class _Convolution(Layer):
    """What moves a kernel over an image."""

    role = "convolution"
    kernel: Kernel
    padding: Padding
    stride: Count
    dilation: Count

    @property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.dilation, self.padding)

    def _positions(self, shape: Image) -> tuple[int, int] | Effect:
        return self.window.over(shape, f"a {shape_text(self.kernel)} kernel", "a smaller kernel")


@dataclass(frozen=True)
class Conv(_Convolution):
    """Convolution with a bias, then the activation."""

    word = "conv"
    keras = (
        Signature(
            "Conv2D(filters, kernel_size, strides=(1, 1), padding='valid', data_format=None, dilation_rate=(1, 1), "
            "groups=1, activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros', "
            "kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, "
            "bias_constraint=None)",
            aliases=("Convolution2D",),
        ),
    )

    filters: Count
    kernel: Kernel
    activation: Activation = "linear"
    _: KW_ONLY
    padding: Padding = "valid"
    stride: Count = 1
    dilation: Count = 1
    groups: Count = 1
    bias: Flag = True
    l1: Weight = 0.0
    l2: Weight = 0.0
    init: Init = "glorot"
    fixed: Flag = False

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if len(shape) == 1:
            return needs_image(shape)
        if self.fixed and (self.l1 or self.l2):
            broken = f"has a penalty ({'l1' if self.l1 else 'l2'}) on a kernel that is fixed"
            return Effect(None, broken=broken, fix="leave one of them out")
        if self.init == "whitening" and (most := self._most_components(shape)) < self.filters:
            what = "works on all channels at once" if self.groups > 1 else f"gives at most {most} filters here"
            fix = (
                "leave groups out" if self.groups > 1 else f"give {most} filters: each of {most // 2} components twice"
            )
            return Effect(None, broken=f"has init=whitening, which {what}", fix=fix)
        rows, columns = self.window.extent
        if self.init == "whitening" and (rows > shape[0] or columns > shape[1]):
            broken = f"has init=whitening, whose patches of {rows} x {columns} do not fit into {shape_text(shape)}"
            return Effect(None, broken=broken, fix="use a smaller kernel")
        if shape[2] % self.groups or self.filters % self.groups:
            numbers = f"{shape[2]} input channels and {self.filters} filters"
            fix = "give a number that divides both"
            return Effect(None, broken=f"has {self.groups} groups for {numbers}", fix=fix)
        positions = self._positions(shape)
        if isinstance(positions, Effect):
            return positions
        output = (*positions, self.filters)
        reads = math.prod(self.kernel) * shape[2] // self.groups  # inputs of one output
        return Effect(output, flops=2 * reads * math.prod(output))

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        kernel = conv_kernel("kernel", self.kernel, shape[-1] // self.groups, self.filters)
        kernel = replace(kernel, is_trained=not self.fixed)
        return (kernel, Parameter("bias", (self.filters,))) if self.bias else (kernel,)

    def _most_components(self, shape: Image) -> int:
        """Filters that whitening can give: every component of a patch, and its negative."""
        return 2 * math.prod(self.kernel) * shape[2] if self.groups == 1 else 0

    @classmethod
    def from_keras(cls, settings: Settings) -> Conv:
        l1, l2 = settings.penalties("kernel_regularizer")
        return cls(
            settings.count("filters"), settings.pair("kernel_size"), settings.activation(), padding=settings.padding(),
            stride=settings.one("strides"), dilation=settings.one("dilation_rate"), groups=settings.count("groups"),
            bias=settings.flag("use_bias"), l1=l1, l2=l2,
        )  # fmt: skip


@dataclass(frozen=True)
class Depthwise(_Convolution):
    """Convolution of each channel by itself, with ``multiplier`` kernels each, then the activation."""

    word = "depthwise"
    keras = (
        Signature(
            "DepthwiseConv2D(kernel_size, strides=(1, 1), padding='valid', depth_multiplier=1, data_format=None, "
            "dilation_rate=(1, 1), activation=None, use_bias=True, depthwise_initializer='glorot_uniform', "
            "bias_initializer='zeros', depthwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, "
            "depthwise_constraint=None, bias_constraint=None)"
        ),
    )

    kernel: Kernel
    activation: Activation = "linear"
    _: KW_ONLY
    multiplier: Count = 1
    padding: Padding = "valid"
    stride: Count = 1
    dilation: Count = 1
    bias: Flag = True
    l1: Weight = 0.0
    l2: Weight = 0.0

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if len(shape) == 1:
            return needs_image(shape)
        positions = self._positions(shape)
        if isinstance(positions, Effect):
            return positions
        output = (*positions, shape[2] * self.multiplier)
        return Effect(output, flops=2 * math.prod(self.kernel) * math.prod(output))

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        kernel = depthwise_kernel("kernel", self.kernel, shape[-1], self.multiplier)
        return (kernel, Parameter("bias", (shape[-1] * self.multiplier,))) if self.bias else (kernel,)

    @classmethod
    def from_keras(cls, settings: Settings) -> Depthwise:
        l1, l2 = settings.penalties("depthwise_regularizer")
        return cls(
            settings.pair("kernel_size"), settings.activation(), multiplier=settings.count("depth_multiplier"),
            padding=settings.padding(), stride=settings.one("strides"), dilation=settings.one("dilation_rate"),
            bias=settings.flag("use_bias"), l1=l1, l2=l2,
        )  # fmt: skip


@dataclass(frozen=True)
class Separable(_Convolution):
    """Depthwise convolution without a bias, then a 1x1 convolution with one, then the activation."""

    word = "separable"
    cites = Citation("chollet2017xception", "separable convolutions")
    keras = (
        Signature(
            "SeparableConv2D(filters, kernel_size, strides=(1, 1), padding='valid', data_format=None, "
            "dilation_rate=(1, 1), depth_multiplier=1, activation=None, use_bias=True, "
            "depthwise_initializer='glorot_uniform', pointwise_initializer='glorot_uniform', bias_initializer='zeros', "
            "depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, "
            "depthwise_constraint=None, pointwise_constraint=None, bias_constraint=None)"
        ),
    )

    filters: Count
    kernel: Kernel
    activation: Activation = "linear"
    _: KW_ONLY
    multiplier: Count = 1
    padding: Padding = "valid"
    stride: Count = 1
    dilation: Count = 1
    bias: Flag = True
    l1: Weight = 0.0
    l2: Weight = 0.0

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if len(shape) == 1:
            return needs_image(shape)
        positions = self._positions(shape)
        if isinstance(positions, Effect):
            return positions
        flops = 2 * math.prod(positions) * shape[2] * self.multiplier * (math.prod(self.kernel) + self.filters)
        return Effect((*positions, self.filters), flops=flops)

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        kernels = (
            depthwise_kernel("depthwise_kernel", self.kernel, shape[-1], self.multiplier),
            conv_kernel("pointwise_kernel", (1, 1), shape[-1] * self.multiplier, self.filters),
        )
        return (*kernels, Parameter("bias", (self.filters,))) if self.bias else kernels

    @classmethod
    def from_keras(cls, settings: Settings) -> Separable:
        l1, l2 = settings.penalties("depthwise_regularizer", "pointwise_regularizer")
        return cls(
            settings.count("filters"), settings.pair("kernel_size"), settings.activation(),
            multiplier=settings.count("depth_multiplier"), padding=settings.padding(), stride=settings.one("strides"),
            dilation=settings.one("dilation_rate"), bias=settings.flag("use_bias"), l1=l1, l2=l2,
        )  # fmt: skip


WORDS = (Conv, Depthwise, Separable)
