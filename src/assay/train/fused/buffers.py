"""Buffers of activations and their memory layout, and the facts about a batch that every kernel call needs.

**Layout.** A *lane* of a vector is an image: a vector is sixteen 32-bit words, word i belongs to image i of a *block*
of sixteen images. Activations lie as [block, height, width, channel] of vectors, channels innermost, in one flat array;
shapes and strides in kernels count vectors, and an address is 16 times that. Why the image: networks of 1, 4 or 10
channels would leave most lanes of a channels-last layout empty, and with an image in each lane no layer but the loss
ever exchanges data between lanes.

**Modes.** In mode ``"f"`` a word is one float32, so a vector holds one channel of a pixel. In mode ``"b"`` it is a pair
of bfloat16: channels 2k (low half) and 2k + 1 (high half) of one pixel. ``vdpbf16ps``, the instruction that multiplies
bfloat16, multiplies such pairs, adds both products, and accumulates in float32; so a sum over channels needs no other
layout. An odd number of channels is padded with a zero channel.

Kernel gradients sum over images instead of channels. Their bfloat16 operands are therefore *block pairs*: the word of
image i holds image i of block 2b (low) and of block 2b + 1 (high), one channel a vector (``reorders``).

**Margin.** A buffer may have a margin of zeros (padding, or halo), which its consumer's kernel reads as pixels. It is
written once, at allocation; producers write the inside only, so no call ever clears it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .vectors import LANES

Floats = NDArray[np.float32]
Mode = Literal["f", "b"]  # float32, or pairs of bfloat16

_LINE_BYTES = 64  # of a cache line, and of a vector
PER_VECTOR = 10  # operations on a vector in passes that only stream (no products), for the decision to share a call


@dataclass(frozen=True)
class Access:
    """Source text that loads and stores one vector of a mode: ``channels`` channels at once.

    Arithmetic between the two is in float32 in both modes, so most kernels are written once for both.

    Args:
        mode: Of the vectors that an index counts.
        is_wide: The channels of a vector of pairs lie in float32, in two vectors.
    """

    mode: Mode
    is_wide: bool = False

    @classmethod
    def of(cls, lies: Mode, counted: Mode) -> Access:
        """Of an array in one mode, by indices that count vectors of another."""
        return cls(counted, is_wide=lies != counted)

    @property
    def channels(self) -> int:
        """Channels in a vector: 1 in float32, 2 in bfloat16."""
        return 2 if self.mode == "b" else 1

    def load(self, array: str, index: str, names: list[str], indent: str) -> str:
        """Source that reads the vector at ``index`` (counted in vectors) into one float32 name a channel."""
        if self.mode == "f":
            return f"{indent}{names[0]} = load_f({array}, ({index}) * 16)\n"
        if self.is_wide:
            return "".join(
                f"{indent}{name} = load_f({array}, (2 * ({index}) + {c}) * 16)\n" for c, name in enumerate(names)
            )
        return (
            f"{indent}words = load_i({array}, ({index}) * 16)\n"
            f"{indent}{names[0]} = low(words)\n{indent}{names[1]} = high(words)\n"
        )

    def store(self, array: str, index: str, names: list[str], indent: str) -> str:
        """Source that writes the float32 names as the vector at ``index``, rounded once if the mode is bfloat16."""
        if self.mode == "f":
            return f"{indent}store_f({array}, ({index}) * 16, {names[0]})\n"
        if self.is_wide:
            return "".join(
                f"{indent}store_f({array}, (2 * ({index}) + {c}) * 16, {name})\n" for c, name in enumerate(names)
            )
        return f"{indent}store_i({array}, ({index}) * 16, pair({names[0]}, {names[1]}))\n"


def aligned_zeros(size: int, dtype: type[np.generic]) -> NDArray[Any]:
    """A flat array of zeros that begins with a cache line: else every vector would lie in two of them.

    NumPy aligns large arrays to 16 bytes. Kernels load and store unaligned, so this changes their speed alone.
    """
    item = np.dtype(dtype).itemsize
    memory = np.zeros(size + _LINE_BYTES // item, dtype)
    start = -memory.ctypes.data % _LINE_BYTES // item
    return memory[start : start + size]


@dataclass
class Buffer:
    """Activations of the largest batch: [block, height, width, vectors of a pixel, lane], with a margin of zeros.

    It is allocated once, for ``num_blocks`` blocks; a shorter batch uses the first ones.

    Args:
        height, width, channels: Without margin and without the padding of an odd number of channels.
        mode: How a vector holds channels.
        num_blocks: Blocks of sixteen images; 0 describes a layout without memory.
        top, bottom, left, right: The margin, in pixels.
    """

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
        self.data = aligned_zeros(size, np.float32 if self.mode == "f" else np.int32)

    @property
    def full_height(self) -> int:
        """Rows with the margin."""
        return self.top + self.height + self.bottom

    @property
    def full_width(self) -> int:
        """Columns with the margin."""
        return self.left + self.width + self.right

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Top, bottom, left, right."""
        return self.top, self.bottom, self.left, self.right

    @property
    def vectors(self) -> int:
        """Vectors of a pixel."""
        return self.channels if self.mode == "f" else (self.channels + 1) // 2

    @property
    def pass_work(self) -> int:
        """About how many vector operations a pass over one block takes."""
        return PER_VECTOR * self.height * self.width * self.vectors

    @property
    def stored_channels(self) -> int:
        """Channels with the padding of an odd number in bfloat16."""
        return self.vectors * (1 if self.mode == "f" else 2)


def counted(lies: Buffer, by: Buffer) -> int:
    """Vectors of a pixel where indices count those of another buffer, in which two channels of it may be a pair. What
    lies in float32 beside pairs has a padding channel where its number is odd."""
    return lies.vectors if lies.mode == by.mode else lies.vectors // 2


@dataclass(frozen=True)
class BatchInfo:
    """The batch size that a command list is recorded for.

    Args:
        count: Images.
        blocks: Blocks that hold them; lanes left over in the last one are computed like the others.
        valid: float32 [blocks * 16]: 1 for an image, 0 for a lane without one. Sums over images multiply by it, since
            lanes without an image hold what a black image becomes, not zeros.
        is_training: Dropout drops, and batch normalization uses the batch's own statistics.
    """

    count: int
    blocks: int
    valid: Floats
    is_training: bool = False


def reshaped(buffer: Buffer, shape: tuple[int, int, int]) -> Buffer:
    """The same memory as another shape, where flatten stands between: in this layout flatten moves nothing."""
    if (buffer.height, buffer.width) == shape[:2]:
        return buffer
    view = Buffer(*shape, buffer.mode, 0)
    view.num_blocks, view.data = buffer.num_blocks, buffer.data
    return view


def shifted(buffer: Buffer, margins: tuple[int, int, int, int]) -> Buffer:
    """The same memory for a reader that wants other margins: it begins where that reader's margin begins.

    Rows and blocks are as far apart as before, so at the bottom and right more may lie than the reader wants. Where a
    margin is below 0, pixels are skipped instead.

    Args:
        buffer: With a margin at least as large on every side.
        margins: Top, bottom, left and right.
    """
    if buffer.margins == margins:
        return buffer
    top, _, left, _ = margins
    offset = (buffer.top - top) * buffer.full_width + buffer.left - left
    height, width = buffer.height + min(top, 0), buffer.width + min(left, 0)
    top, left = max(top, 0), max(left, 0)
    below, behind = buffer.full_height - top - height, buffer.full_width - left - width
    view = Buffer(height, width, buffer.channels, buffer.mode, 0, top, below, left, behind)
    view.num_blocks, view.data = buffer.num_blocks, buffer.data[offset * buffer.vectors * LANES :]
    return view
