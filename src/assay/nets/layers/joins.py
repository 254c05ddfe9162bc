"""Where the paths of a block meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..effects import Effect, Shape, shape_text
from ..kinds import ActivationName
from .record import Join


@dataclass(frozen=True)
class Add(Join):
    """The end of a residual or adding parallel block: the sum of its branches, then the activation."""

    word = "add"

    activation: ActivationName = "linear"

    def joined(self, shapes: tuple[Shape, ...]) -> Effect:
        if len(set(shapes)) > 1:
            broken = f"adds {_listed(shapes)}, which must be equal"
            return Effect(None, broken=broken, fix="match rows, columns and channels")
        return Effect(shapes[0], flops=(len(shapes) - 1) * math.prod(shapes[0]))


@dataclass(frozen=True)
class Concatenate(Join):
    """The end of a concatenating parallel block: its branches' channels, one after another."""

    word = "concatenate"

    def joined(self, shapes: tuple[Shape, ...]) -> Effect:
        if len({shape[:-1] for shape in shapes}) > 1:
            broken = f"concatenates {_listed(shapes)}, whose heights and widths must be equal"
            return Effect(None, broken=broken, fix="use padding=same and equal strides, and flatten all or none")
        return Effect((*shapes[0][:-1], sum(shape[-1] for shape in shapes)))


def _listed(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(shape_text, shapes))
