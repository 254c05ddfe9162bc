"""Pooling: the maximum or mean of windows, or of whole channels."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Self

from ..effects import Effect, Image, Shape, Window, needs_image
from ..keras import Settings, Signature
from ..kinds import Count, Padding, Size
from ..receptive import ReceptiveField, whole
from .record import Layer


@dataclass(frozen=True)
class _Pool(Layer):
    """Square windows; the stride is the size unless given."""

    role = "pool"

    size: Size
    _: KW_ONLY
    stride: Count = 0
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        if self.stride == 0:
            object.__setattr__(self, "stride", self.size)

    @property
    def window(self) -> Window:
        return Window((self.size, self.size), self.stride, 1, self.padding)

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if len(shape) == 1:
            return needs_image(shape)
        if isinstance(self.padding, int) and self.padding > self.size // 2:
            broken = f"has padding={self.padding} around windows of {self.size}, which could then see nothing else"
            return Effect(None, broken=broken, fix=f"give at most {self.size // 2}, or padding=same")
        positions = self.window.over(shape, f"{self.size} x {self.size} windows", "a smaller size")
        return positions if isinstance(positions, Effect) else Effect((*positions, shape[2]))

    @classmethod
    def from_keras(cls, settings: Settings) -> Self:
        size = settings.one("pool_size")
        return cls(size, stride=settings.one("strides", size), padding=settings.padding())


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Maximum over square windows; the stride is the size unless given."""

    word = "maxpool"
    keras = (
        Signature(
            "MaxPooling2D(pool_size=(2, 2), strides=None, padding='valid', data_format=None, name=None)",
            aliases=("MaxPool2D",),
        ),
    )


@dataclass(frozen=True)
class AvgPool(_Pool):
    """Mean over square windows, padding not counted; the stride is the size unless given."""

    word = "avgpool"
    keras = (
        Signature(
            "AveragePooling2D(pool_size, strides=None, padding='valid', data_format=None, name=None)",
            aliases=("AvgPool2D",),
        ),
    )

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        effect = super().effect(shape, num_classes)
        return effect if effect.shape is None else Effect(effect.shape, self.size**2 * math.prod(effect.shape))


class _GlobalPool(Layer):
    """One value for each channel."""

    role = "pool"

    @property
    def gives_vector(self) -> bool:
        return True

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return needs_image(shape, "put it in place of flatten") if len(shape) == 1 else Effect((shape[2],))

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        return whole(image, is_vector=True)


@dataclass(frozen=True)
class GlobalMaxPool(_GlobalPool):
    """Each channel's maximum over all pixels: an image becomes a vector."""

    word = "globalmaxpool"
    keras = (Signature("GlobalMaxPooling2D(data_format=None, keepdims=False)", aliases=("GlobalMaxPool2D",)),)


@dataclass(frozen=True)
class GlobalAvgPool(_GlobalPool):
    """Each channel's mean over all pixels: an image becomes a vector."""

    word = "globalavgpool"
    keras = (Signature("GlobalAveragePooling2D(data_format=None, keepdims=False)", aliases=("GlobalAvgPool2D",)),)

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        effect = super().effect(shape, num_classes)
        return effect if effect.shape is None else Effect(effect.shape, math.prod(shape))


WORDS = (MaxPool, AvgPool, GlobalMaxPool, GlobalAvgPool)
