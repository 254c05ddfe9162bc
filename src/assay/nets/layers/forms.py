"""Layers that only rearrange or pad their values: flatten, reshape, zeropad."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

from ..effects import Effect, Image, Shape, needs_image, shape_text
from ..keras import Settings, Signature, Unfit, short
from ..kinds import Kind
from ..receptive import Axis, ReceptiveField, whole
from .record import Layer

Sides = tuple[tuple[int, int], tuple[int, int]]  # above and below, left and right


def _read_margins(text: str) -> Sides:
    """``1``, ``1x2`` and ``0+1x0+1`` as pixels above and below, left and right."""
    axes = [[int(number) if number.isdecimal() else -1 for number in part.split("+")] for part in text.split("x")]
    rows, columns = axes if len(axes) == 2 else axes * 2
    (top, bottom), (left, right) = (axis if len(axis) == 2 else axis * 2 for axis in (rows, columns))
    if min(top, bottom, left, right) < 0:
        raise ValueError(text)
    return (top, bottom), (left, right)


def _write_margins(margins: Sides) -> str:
    rows, columns = (str(first) if first == last else f"{first}+{last}" for first, last in margins)
    return rows if rows == columns else f"{rows}x{columns}"


Margins = Annotated[
    Sides,
    Kind(
        "pixels on every side such as 1, ROWSxCOLUMNS such as 1x2, or TOP+BOTTOMxLEFT+RIGHT such as 0+1x0+1",
        _read_margins, _write_margins,
    ),
]  # fmt: skip


def _read_target(text: str) -> tuple[int, ...]:
    """``7x7x64`` or ``128`` as numbers, of which one may be -1."""
    target = tuple(-1 if part == "-1" else int(part) if part.isdecimal() else 0 for part in text.split("x"))
    if not _is_target(target):
        raise ValueError(text)
    return target


def _is_target(target: tuple[int, ...]) -> bool:
    sizes = [size for size in target if size != -1]
    return len(target) in (1, 3) and len(sizes) >= len(target) - 1 and all(0 < size < 10**9 for size in sizes)


Target = Annotated[
    tuple[int, ...],
    Kind(
        "UNITS, or HEIGHTxWIDTHxCHANNELS such as 7x7x64; one may be -1, for what is left", _read_target,
        lambda target: "x".join(map(str, target)),
    ),
]  # fmt: skip


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


@dataclass(frozen=True)
class ZeroPad(Layer):
    """Zeros around an image: 1 pixel on every side unless given."""

    word = "zeropad"
    role = "form"
    keras = (Signature("ZeroPadding2D(padding=(1, 1), data_format=None)"),)

    padding: Margins = ((1, 1), (1, 1))

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        if len(shape) == 1:
            return needs_image(shape)
        height, width = (side + sum(margins) for side, margins in zip(shape[:2], self.padding, strict=True))
        return Effect((height, width, shape[2]))

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        (top, _), (left, _) = self.padding
        return ReceptiveField(_shifted(field.rows, top), _shifted(field.columns, left))

    @classmethod
    def from_keras(cls, settings: Settings) -> ZeroPad:
        value = settings.get("padding")
        axes = [_both(axis) for axis in _both(value)]
        sides = [side for axis in axes for side in axis]
        if any(not isinstance(side, int) or isinstance(side, bool) or not 0 <= side < 10**9 for side in sides):
            raise Unfit(f"padding is {short(value)}", "give whole numbers: 1, (1, 2) or ((0, 1), (0, 1))")
        rows, columns = axes
        return cls((rows, columns))


def _both(value: Any) -> tuple[Any, Any]:
    """A pair as it is, and anything else twice."""
    return (value[0], value[1]) if isinstance(value, list | tuple) and len(value) == 2 else (value, value)


def _shifted(axis: Axis, before: int) -> Axis:
    """The field of positions that begin as many earlier."""
    return replace(axis, start=axis.start - before * axis.stride)


@dataclass(frozen=True)
class Reshape(Layer):
    """The same values as an image or vector of another shape, rows first, channels fastest; one size may be -1."""

    word = "reshape"
    role = "form"
    keras = (Signature("Reshape(target_shape)"),)
    is_view = True

    target: Target

    @property
    def gives_vector(self) -> bool:
        return len(self.target) == 1

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        total, known = math.prod(shape), math.prod(size for size in self.target if size != -1)
        output = tuple(total // known if size == -1 else size for size in self.target)
        if math.prod(output) != total:
            broken = f"has {shape_text(self.target)} for an input of {shape_text(shape)}, which holds {total:,} values"
            return Effect(None, broken=broken, fix="give sizes that hold as many, one of them -1 if you like")
        return Effect(output)  # type: ignore[arg-type]

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        if self.gives_vector or self.effect(shape, 0).shape == shape:
            return replace(field, is_vector=self.gives_vector)
        return whole(image, is_vector=False)  # neighbours are no longer side by side

    @classmethod
    def from_keras(cls, settings: Settings) -> Reshape:
        value = settings.get("target_shape")
        is_whole = isinstance(value, list | tuple) and all(type(size) is int for size in value)
        if not is_whole or not _is_target(tuple(value)):
            fix = "give (units,) or (height, width, channels), of which one may be -1"
            raise Unfit(f"target_shape is {short(value)}", fix)
        return cls(tuple(value))


WORDS = (Flatten, ZeroPad, Reshape)
