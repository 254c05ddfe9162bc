"""Dropout: of single values, or of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..effects import Effect, Shape, needs_image
from ..keras import Settings, Signature
from ..kinds import Rate
from .record import Citation, Layer


@dataclass(frozen=True)
class _Dropout(Layer):
    """Values become 0 in training; FLOPs are of a forward pass outside training, which has none of this."""

    role = "dropout"

    rate: Rate

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return Effect(shape)

    @classmethod
    def from_keras(cls, settings: Settings) -> Self:
        return cls(settings.number("rate", below=1))


@dataclass(frozen=True)
class Dropout(_Dropout):
    """In training, each element becomes 0 with this probability and the others grow to keep the mean."""

    word = "dropout"
    cites = Citation("srivastava2014dropout", "dropout")
    keras = (Signature("Dropout(rate, noise_shape=None, seed=None)"),)


@dataclass(frozen=True)
class SpatialDropout(_Dropout):
    """Dropout of whole channels of an image."""

    word = "spatialdropout"
    cites = Citation("tompson2015efficient", "spatial dropout")
    keras = (Signature("SpatialDropout2D(rate, data_format=None, seed=None, name=None, dtype=None)"),)

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return super().effect(shape, num_classes) if len(shape) == 3 else needs_image(shape)


WORDS = (Dropout, SpatialDropout)
