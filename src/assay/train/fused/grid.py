"""Where activations lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tails import Mode
from .vectors import LANES

Floats = NDArray[np.float32]

PER_VECTOR = 10  # operations on a vector in the passes that are not products


@dataclass
class Grid:
    """A buffer of activations: [block, height, width, vectors of a pixel, lane], with a margin of zeros."""

    height: int
    width: int
    channels: int
    mode: Mode
    num_blocks: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    data: NDArray[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = self.num_blocks * self.full_height * self.full_width * self.vectors * LANES
        self.data = np.zeros(size, np.float32 if self.mode == "f" else np.int32)

    @property
    def full_height(self) -> int:
        return self.top + self.height + self.bottom

    @property
    def full_width(self) -> int:
        return self.left + self.width + self.right

    @property
    def margins(self) -> tuple[int, int, int, int]:
        return self.top, self.bottom, self.left, self.right

    @property
    def vectors(self) -> int:
        return self.channels if self.mode == "f" else (self.channels + 1) // 2

    @property
    def passing(self) -> int:
        """About how many operations a pass over one block takes."""
        return PER_VECTOR * self.height * self.width * self.vectors

    @property
    def stored(self) -> int:
        """Channels with their padding."""
        return self.vectors * (1 if self.mode == "f" else 2)


@dataclass(frozen=True)
class Run:
    """What one pass over a batch of so many images needs to know."""

    count: int  # images
    blocks: int
    valid: Floats  # 1 for an image, 0 for an empty lane
    is_training: bool = False


def reshaped(grid: Grid, shape: tuple[int, int, int]) -> Grid:
    """The same numbers as another shape, where flatten stands between."""
    if (grid.height, grid.width) == shape[:2]:
        return grid
    view = Grid(*shape, grid.mode, 0)
    view.num_blocks, view.data = grid.num_blocks, grid.data
    return view
