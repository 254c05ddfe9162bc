"""Where activations lie, and who computes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiler import Kernel
from .tails import Mode
from .vectors import LANES

Floats = NDArray[np.float32]


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
    def stored(self) -> int:
        """Channels with their padding."""
        return self.vectors * (1 if self.mode == "f" else 2)


class Team:
    """Shares every kernel call among threads; results are the same bits for any number of them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        if threads > 1:
            import numba

            numba.set_num_threads(min(threads, numba.get_num_threads()))

    def __call__(self, kernel: Kernel, *arguments: Any) -> None:
        kernel(self.threads, *arguments)


@dataclass
class Run:
    """What one pass over a batch needs to know."""

    count: int  # images
    blocks: int
    valid: Floats  # 1 for an image, 0 for an empty lane
    step: int = 0
    is_training: bool = False


def reshaped(grid: Grid, shape: tuple[int, int, int]) -> Grid:
    """The same numbers as another shape, where flatten stands between."""
    if (grid.height, grid.width) == shape[:2]:
        return grid
    view = Grid(*shape, grid.mode, 0)
    view.num_blocks, view.data = grid.num_blocks, grid.data
    return view
