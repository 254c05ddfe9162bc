"""What a layer learns or keeps: names, shapes, and the order of the axes here and in Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Parameter:
    """One array of a layer.

    Args:
        name: What it is called, here and in Keras: ``"kernel"``.
        keras_shape: Its shape in Keras.
        axes: Keras's axes in the order in which they stand here; empty for the same order.
        merged: Its shape here, where axes of Keras's are one here; empty for none.
        is_trained: Whether training changes it; moving statistics are not trained.
    """

    name: str
    keras_shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()
    is_trained: bool = True

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.keras_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape here, as ``nets.build.Network`` has it."""
        return self.merged or tuple(self.keras_shape[axis] for axis in self._order)

    @property
    def _order(self) -> tuple[int, ...]:
        return self.axes or tuple(range(len(self.keras_shape)))

    def from_keras(self, value: NDArray[Any]) -> NDArray[Any]:
        """Keras's array in our order. ``value`` has ``keras_shape``."""
        return value.transpose(self._order).reshape(self.shape)

    def to_keras(self, value: NDArray[Any]) -> NDArray[Any]:
        """Our array in Keras's order. ``value`` has ``shape``."""
        order = self._order
        apart = value.reshape([self.keras_shape[axis] for axis in order])
        return apart.transpose([order.index(axis) for axis in range(len(order))])


def conv_kernel(name: str, window: tuple[int, int], inputs: int, outputs: int) -> Parameter:
    """A convolution's kernel: (height, width, inputs, outputs) in Keras, (outputs, inputs, height, width) here."""
    return Parameter(name, (*window, inputs, outputs), axes=(3, 2, 0, 1))


def depthwise_kernel(name: str, window: tuple[int, int], channels: int, multiplier: int) -> Parameter:
    """A depthwise kernel: (height, width, channels, multiplier) in Keras, (channels * multiplier, 1, height, width)
    here, a channel's kernels side by side."""
    merged = (channels * multiplier, 1, *window)
    return Parameter(name, (*window, channels, multiplier), axes=(2, 3, 0, 1), merged=merged)
