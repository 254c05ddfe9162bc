"""Layers that give the same values another form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..effects import Effect, Image, Shape
from ..keras import Signature
from ..receptive import ReceptiveField
from .record import Layer


@dataclass(frozen=True)
class Flatten(Layer):
    """Height x width x channels as one vector, channels fastest."""

    word = "flatten"
    role = "form"
    keras = (Signature("Flatten(data_format=None)"),)
    is_view = True

    @property
    def gives_vector(self) -> bool:
        return True

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return Effect((math.prod(shape),))

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        return ReceptiveField(field.rows, field.columns, is_vector=True)


WORDS = (Flatten,)
