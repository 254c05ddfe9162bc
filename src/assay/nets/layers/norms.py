"""Normalization: over the batch, or of each image by itself."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from ..effects import Effect, Image, Shape, needs_image, shape_text
from ..keras import Settings, Signature
from ..kinds import Count, Rate, Weight
from ..parameters import Parameter
from ..receptive import ReceptiveField, whole
from .record import Citation, Layer

EPSILON = 0.001  # Keras's, of all norms but batchnorm, whose study says it


class _Norm(Layer):
    """A scale and a shift for each channel or unit, after its values are normalized."""

    role = "norm"

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        return Parameter("gamma", (shape[-1],)), Parameter("beta", (shape[-1],))


@dataclass(frozen=True)
class BatchNorm(_Norm):
    """Batch normalization per channel (Keras's: momentum 0.99, epsilon 0.001)."""

    word = "batchnorm"
    cites = Citation("ioffe2015batch", "batch normalization")
    keras = (
        Signature(
            "BatchNormalization(axis=-1, momentum=0.99, epsilon=0.001, center=True, scale=True, "
            "beta_initializer='zeros', gamma_initializer='ones', moving_mean_initializer='zeros', "
            "moving_variance_initializer='ones', beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, "
            "gamma_constraint=None, renorm=False, renorm_clipping=None, renorm_momentum=0.99, synchronized=False)"
        ),
    )

    _: KW_ONLY
    epsilon: Weight = 0.001
    momentum: Rate = 0.99

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return Effect(shape, flops=2 * math.prod(shape))  # the scale and shift that it is once its statistics are known

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        moving = (Parameter(name, (shape[-1],), is_trained=False) for name in ("moving_mean", "moving_variance"))
        return (*super().parameters(shape, num_classes), *moving)

    @classmethod
    def from_keras(cls, settings: Settings) -> BatchNorm:
        settings.must_be("axis", -1, [-1], 3, [3])
        return cls(epsilon=settings.number("epsilon"), momentum=settings.number("momentum", below=1))


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """Normalization over the channels of each position, or over all units of a vector (Keras's: epsilon 0.001)."""

    word = "layernorm"
    cites = Citation("ba2016layer", "layer normalization")
    keras = (
        Signature(
            "LayerNormalization(axis=-1, epsilon=0.001, center=True, scale=True, beta_initializer='zeros', "
            "gamma_initializer='ones', beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, "
            "gamma_constraint=None)"
        ),
    )

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return _normalized(shape, shape[-1])

    @classmethod
    def from_keras(cls, settings: Settings) -> LayerNorm:
        settings.must_be("axis", -1, [-1])
        return cls()


@dataclass(frozen=True)
class GroupNorm(_Norm):
    """Normalization of each image over its pixels and one group of channels at a time (Keras's: epsilon 0.001)."""

    word = "groupnorm"
    cites = Citation("wu2018group", "group normalization")
    keras = (
        Signature(
            "GroupNormalization(groups=32, axis=-1, epsilon=0.001, center=True, scale=True, beta_initializer='zeros', "
            "gamma_initializer='ones', beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, "
            "gamma_constraint=None)"
        ),
    )

    groups: Count

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if shape[-1] % self.groups:
            broken = f"has {self.groups} groups for {shape[-1]} channels"
            return Effect(None, broken=broken, fix="give a number that divides them")
        return _normalized(shape, math.prod(shape) // self.groups)

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        return whole(image, is_vector=len(shape) == 1)

    @classmethod
    def from_keras(cls, settings: Settings) -> GroupNorm | InstanceNorm:
        settings.must_be("axis", -1, [-1])
        return InstanceNorm() if settings.get("groups") == -1 else cls(settings.count("groups"))


@dataclass(frozen=True)
class InstanceNorm(_Norm):
    """Normalization of each image over its pixels, channel by channel (Keras's: groupnorm, one group a channel)."""

    word = "instancenorm"
    cites = Citation("ulyanov2016instance", "instance normalization")

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return needs_image(shape) if len(shape) == 1 else _normalized(shape, shape[0] * shape[1])

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        return whole(image, is_vector=False)


def _normalized(shape: Shape, together: int) -> Effect:
    """The effect of normalizing as many values at once: 6 FLOPs each, 1 for the mean, 3 for the variance, 2 for scale
    and shift."""
    if together == 1:
        broken = f"would make every value of {shape_text(shape)} 0, as it normalizes each by itself"
        return Effect(None, broken=broken, fix="leave it out or use batchnorm")
    return Effect(shape, flops=6 * math.prod(shape))


WORDS = (BatchNorm, LayerNorm, GroupNorm, InstanceNorm)
