"""Receptive fields: which pixels of the network's input an output value can depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .effects import Image, Shape, Window


@dataclass(frozen=True)
class Axis:
    """One axis of a receptive field: position i sees pixels ``start + i * stride`` and on, ``size`` of them.

    Pixels outside the image, where padding stands, are counted too. Where every position sees the whole image, as
    behind a normalization over it, the stride is 0.
    """

    start: int = 0
    size: int = 1
    stride: int = 1


@dataclass(frozen=True)
class ReceptiveField:
    """The part of the input that one value of a layer can depend on.

    Args:
        rows: Its extent along rows: start, size and stride.
        columns: Its extent along columns.
        is_vector: Whether the layer's output is a vector, whose values have no position.

    Source: Araujo, Norris and Sim (2019), "Computing receptive fields of convolutional neural networks", Distill.
    """

    rows: Axis = Axis()
    columns: Axis = Axis()
    is_vector: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, zeros around the image included."""
        return self.rows.size, self.columns.size

    @property
    def stride(self) -> tuple[int, int] | None:
        """Pixels between the fields of neighbouring positions; ``None`` if there are no positions."""
        return None if self.is_vector else (self.rows.stride, self.columns.stride)


def whole(image: Image, *, is_vector: bool) -> ReceptiveField:
    """The field of values that depend on every pixel of the network's input."""
    return ReceptiveField(Axis(0, image[0], stride=0), Axis(0, image[1], stride=0), is_vector)


def windowed(field: ReceptiveField, shape: Image, window: Window) -> ReceptiveField:
    """The field behind a window that moves over an image of this shape, whose values have this field."""
    return ReceptiveField(_windowed(field.rows, shape[0], window, 0), _windowed(field.columns, shape[1], window, 1))


def joined(fields: Sequence[ReceptiveField], shape: Shape) -> ReceptiveField:
    """The field of values that several paths feed, the largest over all positions."""
    if len(shape) == 1:
        rows, columns = (_union([getattr(field, name) for field in fields], 1) for name in ("rows", "columns"))
        return ReceptiveField(rows, columns, is_vector=True)
    rows = _union([field.rows for field in fields], shape[0])
    return ReceptiveField(rows, _union([field.columns for field in fields], shape[1]))


def _windowed(axis: Axis, side: int, window: Window, place: int) -> Axis:
    before, _ = window.padding(side, place)
    extent = window.extent[place]
    return Axis(axis.start - before * axis.stride, axis.size + (extent - 1) * axis.stride, axis.stride * window.stride)


def _union(axes: Sequence[Axis], positions: int) -> Axis:
    def size(position: int) -> int:
        starts = [axis.start + position * axis.stride for axis in axes]
        return max(start + axis.size for start, axis in zip(starts, axes, strict=True)) - min(starts)

    largest = max(size(0), size(positions - 1))  # convex in the position
    return Axis(min(axis.start for axis in axes), largest, max(axis.stride for axis in axes))
