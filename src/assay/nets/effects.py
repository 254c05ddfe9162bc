"""Shapes, windows, and what a layer does to a shape."""

from __future__ import annotations

from dataclasses import dataclass

from .kinds import PaddingName

Image = tuple[int, int, int]
Shape = Image | tuple[int]


@dataclass(frozen=True)
class Effect:
    """What a layer does to a shape, what one forward pass costs, and which rule the layer breaks, if any.

    Args:
        shape: Of the output; ``None`` where there is none.
        flops: Of one sample's forward pass, one multiply-add counted as 2.
        broken: The rule that is broken, as the end of a sentence that begins with the layer.
        fix: What to do about it.
    """

    shape: Shape | None
    flops: int = 0
    broken: str = ""
    fix: str = ""


def shape_text(shape: tuple[int, ...]) -> str:
    """``(26, 26, 32)`` as ``26 x 26 x 32``."""
    return " x ".join(map(str, shape))


def needs_image(shape: Shape, fix: str = "move it before flatten") -> Effect:
    """The effect of a layer for images on a vector."""
    return Effect(None, broken=f"gets a vector of {shape[0]}, not an image", fix=fix)


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after one axis so that its output has ceil(size / stride) elements, the odd one after.

    Source: TensorFlow's and Keras's ``padding="same"``.
    """
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


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

    def over(self, shape: Image, what: str, smaller: str) -> tuple[int, int] | Effect:
        """How many positions it has on an image, or the rule that it breaks.

        Args:
            shape: Of the image.
            what: The window, for the sentence: "a 5 x 5 kernel".
            smaller: What to use where it does not fit: "a smaller kernel".
        """
        if self.stride > 1 and self.dilation > 1:
            broken = f"has stride {self.stride} and dilation {self.dilation}"
            return Effect(None, broken=broken, fix="leave one of them at 1")
        rows, columns = self.positions(shape[0], 0), self.positions(shape[1], 1)
        if rows < 1 or columns < 1:
            spread = f", {shape_text(self.extent)} when dilated by {self.dilation}," if self.dilation > 1 else ""
            broken = f"has {what}{spread} for an input of {shape_text(shape)}"
            return Effect(None, broken=broken, fix=f"use {smaller}, padding=same or less pooling before it")
        return rows, columns
