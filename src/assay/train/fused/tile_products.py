"""Convolutions and dense layers in tiles (``tiles``): forward, and the gradient of the input. Layouts: see ``buffers``.

All taps of a kernel row lie side by side in an image, so a row of a kernel is one long sum over ``kernel width *
vectors`` vectors. It is cut into parts of *depth* vectors. Where the last part would reach beyond the row, it begins
earlier, and its weights are zero where it meets the part before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import tiles
from .buffers import Floats, Mode, aligned_zeros
from .commands import CommandList
from .compiler import Kernel, compiled, kernel
from .tiles import ROWS, SCRATCH, TILE, How

_WORTH_TILES = 64  # products of a position: with fewer, filling and emptying tiles takes longer than they do


@dataclass(frozen=True)
class Tiling:
    """How a convolution's weights lie in tiles: [blocks of outputs, kernel height, parts, tile].

    Args:
        how: What multiplies tiles.
        kernel_height: Of the kernel.
        row: Vectors that a kernel row sums over.
        outputs: Channels, an even number in bfloat16.
        width: Positions of an output row.
    """

    how: How
    kernel_height: int
    row: int
    outputs: int
    width: int
    data: NDArray[np.int32] = field(init=False, repr=False)
    config: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = math.ceil(self.outputs / self.rows) * self.kernel_height * self.parts * TILE
        object.__setattr__(self, "data", aligned_zeros(size, np.int32))
        object.__setattr__(self, "config", tiles.configuration(self.rows, self.depth))

    @property
    def parts(self) -> int:
        """Of a kernel row."""
        return math.ceil(self.row / ROWS)

    @property
    def depth(self) -> int:
        """Vectors of a part."""
        return math.ceil(self.row / self.parts)

    @property
    def rows(self) -> int:
        """Outputs of a tile."""
        return min(ROWS, self.outputs)

    @property
    def blocking(self) -> tuple[int, int]:
        """Positions and tiles of outputs that are summed at once."""
        return tiles.blocking(self.width, math.ceil(self.outputs / self.rows))

    @property
    def arguments(self) -> tuple[NDArray[np.int64], int, int]:
        """The last ones of the kernel."""
        return self.config, self.parts, self.depth

    def record_packing(self, commands: CommandList, packed: NDArray[Any], *, is_output_major: bool = False) -> None:
        """Record the call that fills the tiles.

        Args:
            commands: The list.
            packed: [kernel height, row, outputs] as the direct kernels read it, or [outputs, row] of a dense layer.
            is_output_major: It is the latter.
        """
        arguments = self.kernel_height, self.row, self.outputs, self.parts, self.depth, self.rows, int(is_output_major)
        commands.add(packed.size // 4, fill_tiles(), packed.view(np.uint32), self.data.view(np.uint32), *arguments)

    def kernel(self, target: Mode, activation: str) -> Kernel:
        """The kernel that reads them."""
        return convolution(self.how, target, activation, *self.blocking)


def record_dense(
    commands: CommandList, kernel: Kernel, tiling: Tiling, x: NDArray[Any], bias: Floats, y: NDArray[Any], blocks: int,
    y_vectors: int,
) -> None:  # fmt: skip
    """Record a dense layer's product: a convolution of one row, in which each block of images is a pixel."""
    commands.add(
        blocks * tiling.row * tiling.outputs, kernel, x, tiling.data, bias, y, 1, 1, blocks, 0, 0, 0, 0, tiling.row, 1,
        1, 1, tiling.outputs, 1, blocks, 1, blocks, 0, 0, y_vectors, *tiling.arguments,
    )  # fmt: skip


def tiling(kernel: tuple[int, int], vectors: int, outputs: int, width: int, *modes: Mode) -> Tiling | None:
    """The tiles of a convolution, or ``None`` where they are not worth it or cannot be multiplied.

    Args:
        kernel: Its height and width.
        vectors: Of an input pixel.
        outputs: Channels, with padding.
        width: Positions of an output row.
        modes: Of everything that must be bfloat16.
    """
    how = tiles.how()
    if how is None or any(mode != "b" for mode in modes) or math.prod(kernel) * vectors * outputs < _WORTH_TILES:
        return None
    return Tiling(how, kernel[0], kernel[1] * vectors, outputs, width)


@kernel("packed[word 1] tiles[word 1] height row outputs row_parts depth rows is_output_major")
def fill_tiles(
    part: int, parts: int, packed: Any, tiles: Any, height: int, row: int, outputs: int, row_parts: int, depth: int,
    rows: int, is_output_major: int,
) -> None:  # fmt: skip
    """Packed weights to tiles of ``rows`` outputs and ``depth`` vectors; what two parts share is zero in the second."""
    blocks = (outputs + rows - 1) // rows
    for n in range(blocks * height * part // parts, blocks * height * (part + 1) // parts):
        block, u = n // height, n % height
        first_output = min(block * rows, outputs - rows)
        for p in range(row_parts):
            first = min(p * depth, row - depth)
            shared = p * depth - first
            tile = tiles[(n * row_parts + p) * 256 :]
            for k in range(shared, depth):
                if is_output_major:
                    source = packed[first_output * row + first + k :]
                    for o in range(rows):
                        tile[o * 16 + k] = source[o * row]
                else:
                    line = packed[(u * row + first + k) * outputs + first_output :]
                    for o in range(rows):
                        tile[o * 16 + k] = line[o]


@cache
def convolution(how: How, target: Mode, activation: str, positions: int, outputs: int) -> Kernel:
    """``products.convolution`` of bfloat16 in tiles.

    Sums of taps that read the margin alone are skipped by rows. Threads share rows of outputs. The last positions and
    outputs are computed again where they do not fill a block.

    Arguments: as there, but for the weights, which lie as ``Tiling`` says; then its configuration, parts and depth.
    """
    indent = " " * 20
    numbers = [(p, q) for p in range(positions) for q in range(outputs)]
    step = tiles.products(
        positions, outputs, pixels=[f"x, (here{p} + t) * 16, 16" for p in range(positions)],
        factors=[f"w, (weights{q} + c) * 256, 16" for q in range(outputs)], indent=indent,
    )  # fmt: skip
    stored = "".join(
        f"            tile_store(tiles, {p * outputs + q}, sums, {(p * outputs + q) * TILE}, 16)\n" for p, q in numbers
    )
    finish = ""
    for p, q in numbers:
        start = (p * outputs + q) * TILE
        finish += (
            f"            at = ((b * y_height + i + margin_top) * y_width + j{p} + margin_left) * y_channels\n"
            f"            for k in range(0, rows, 2):\n"
        )
        for half in range(2):
            value = f"add(load_f(sums, {start} + (k + {half}) * 16), broadcast_f(bias, first{q} + k + {half}))"
            finish += f"                a{half} = {f'maximum(nothing, {value})' if activation == 'relu' else value}\n"
        if target == "b":
            finish += f"                store_i(y, (at + (first{q} + k) // 2) * 16, pair(a0, a1))\n"
        else:
            finish += "".join(
                f"                store_f(y, (at + first{q} + k + {half}) * 16, a{half})\n" for half in range(2)
            )
    outputs_of = "".join(
        f"        o{q} = min(group * {outputs} + {q}, output_tiles - 1)\n"
        f"        first{q} = min(o{q} * rows, num_outputs - rows)\n"
        for q in range(outputs)
    )
    columns = "".join(f"            j{p} = min(column + {p}, width - 1)\n" for p in range(positions))
    places = "".join(f"                here{p} = (line + j{p} * stride) * channels\n" for p in range(positions))
    places += "".join(f"                weights{q} = (o{q} * kernel_height + u) * row_parts\n" for q in range(outputs))
    return compiled(
        "tile_convolution",
        "x[] w[] bias[] y[] blocks x_height x_width top bottom left right channels kernel_height kernel_width stride "
        "num_outputs height width y_height y_width margin_top margin_left y_channels config[long] row_parts depth",
        f"""    nothing = splat(ZERO)
    tiles = np.empty({SCRATCH}, np.uint32)
    sums = np.empty({len(numbers) * TILE}, np.float32)
    row_taps = kernel_width * channels
    rows = min(16, num_outputs)
    output_tiles = (num_outputs + rows - 1) // rows
    groups = (output_tiles + {outputs - 1}) // {outputs}
    tile_configure(tiles, config)
    for n in range(blocks * height * groups * part // parts, blocks * height * groups * (part + 1) // parts):
        group, i, b = n % groups, n // groups % height, n // groups // height
{outputs_of}        for column in range(0, width, {positions}):
{columns}{tiles.zeros(len(numbers), " " * 12)}\
            for u in range(max(0, top - i * stride), min(kernel_height, x_height - bottom - i * stride)):
                line = (b * x_height + i * stride + u) * x_width
{places}                for c in range(row_parts):
                    t = min(c * depth, row_taps - depth)
{step}{stored}{finish}    tile_release(tiles)
""",
        **tiles.operations(how),
    )
