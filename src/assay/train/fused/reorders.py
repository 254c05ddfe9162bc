"""Reorders: kernels that bring an array from one layout to another. Layouts: see ``buffers``.

Only bfloat16 needs them, where a word is a pair: a product over channels wants pairs of channels, a kernel gradient
(a sum over images) pairs of blocks. ``dilate`` serves both modes: it puts zeros between pixels for the gradient of a
convolution with a stride.
"""

from __future__ import annotations

from functools import cache

from .buffers import BatchInfo, Buffer
from .commands import CommandList
from .compiler import Kernel, compiled


@cache
def to_block_pairs() -> Kernel:
    """Pairs of channels (bfloat16) to pairs of blocks; the last of an odd number of blocks is paired with zeros.

    Target channels are grouped, and a group's pixels are contiguous: kernel gradients read a few channels of an image
    again and again, and strides by whole pixels (often a power of two) would put them all into the same cache sets.

    Arguments: part, parts, source [blocks, pixels, channels / 2], target [blocks / 2, groups, pixels, channels of a
    group], number of blocks, source height and width (with margin), source margins at top and left, height, width,
    vectors a pixel of the source, channels in a group of the target.
    """
    return compiled(
        "to_block_pairs",
        # Both halves of a word go to different vectors (channels), so two source vectors make two target vectors.
        "source[] target[] blocks source_height source_width top left height width channels group",
        """    pairs = (blocks + 1) // 2
    groups = (2 * channels + group - 1) // group
    for b in range(pairs * part // parts, pairs * (part + 1) // parts):
        for i in range(height):
            one = ((2 * b * source_height + i + top) * source_width + left) * channels
            other = one + source_height * source_width * channels
            for k in range(channels):
                c = 2 * k
                low_at = ((b * groups + c // group) * height + i) * width * group + c % group
                high_at = ((b * groups + (c + 1) // group) * height + i) * width * group + (c + 1) % group
                for j in range(width):
                    first = load_i(source, (one + j * channels + k) * 16)
                    second = splat_i(np.uint32(0))
                    if 2 * b + 1 < blocks:
                        second = load_i(source, (other + j * channels + k) * 16)
                    store_i(target, (low_at + j * group) * 16, interleave_low(first, second))
                    store_i(target, (high_at + j * group) * 16, interleave_high(first, second))
""",
    )


@cache
def floats_to_block_pairs() -> Kernel:
    """float32 [blocks, vectors] to pairs of blocks in bfloat16 [blocks / 2, vectors]: for images, which stay float32.

    Margins are moved with the rest; other readers of the images may have wider ones.

    Arguments: part, parts, source, target, number of blocks, source height and width, height and width, vectors a pixel.
    """
    return compiled(
        "floats_to_block_pairs",
        "source[] target[] blocks source_height source_width height width channels",
        """    pairs = (blocks + 1) // 2
    for b in range(pairs * part // parts, pairs * (part + 1) // parts):
        for i in range(height):
            one = (2 * b * source_height + i) * source_width * channels
            other = one + source_height * source_width * channels
            there = (b * height + i) * width * channels
            for t in range(width * channels):
                first = load_f(source, (one + t) * 16)
                second = splat(ZERO)
                if 2 * b + 1 < blocks:
                    second = load_f(source, (other + t) * 16)
                store_i(target, (there + t) * 16, pair(first, second))
""",
    )


@cache
def dilate() -> Kernel:
    """Pixels to every ``stride``-th row and column of a larger image, whose other pixels are zeros and stay so.

    The gradient of a strided convolution's input is then an ordinary convolution of the result (a transposed
    convolution by zero insertion). It multiplies zeros, but needs no kernel of its own.

    Arguments: part, parts, source, target, number of blocks, source height and width, vectors a pixel, stride, target
    height and width (with margin), target margins at top and left.
    """
    return compiled(
        "dilate",
        # Words are moved as they are, whatever they hold; zeros between pixels were written at allocation.
        "source[] target[] blocks height width channels stride full_height full_width top left",
        """    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
            for j in range(width):
                here = ((b * height + i) * width + j) * channels
                there = ((b * full_height + i * stride + top) * full_width + j * stride + left) * channels
                for k in range(channels):
                    store_i(target, (there + k) * 16, load_i(source, (here + k) * 16))
""",
    )


def record_dilation(commands: CommandList, batch: BatchInfo, source: Buffer, target: Buffer, stride: int) -> None:
    """Add the call of ``dilate`` from a grid without a margin."""
    commands.add(
        batch.blocks * source.pass_work, dilate(), source.data, target.data, batch.blocks, source.height, source.width,
        source.vectors, stride, target.full_height, target.full_width, target.top, target.left,
    )  # fmt: skip


@cache
def floats_to_channel_pairs() -> Kernel:
    """float32 [blocks, pixels, channels] to pairs of channels in bfloat16, into a buffer with a margin.

    For the gradient of the logits, which the loss writes in float32.

    Arguments: part, parts, source, target, number of blocks, height, width, pairs a pixel, target height and width
    (with margin), target margins at top and left.
    """
    return compiled(
        "floats_to_channel_pairs",
        "source[] target[] blocks height width pairs full_height full_width top left",
        """    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for i in range(height):
            for j in range(width):
                here = ((b * height + i) * width + j) * pairs
                there = ((b * full_height + i + top) * full_width + j + left) * pairs
                for k in range(pairs):
                    first = load_f(source, 2 * (here + k) * 16)
                    second = load_f(source, (2 * (here + k) + 1) * 16)
                    store_i(target, (there + k) * 16, pair(first, second))
""",
    )


@cache
def transpose_lanes() -> Kernel:
    """Each block transposed: [blocks, channels, lane] to [blocks, lane, stored]; what lies beyond the channels is zero.

    For a dense layer's kernel gradient, whose lanes are outputs instead of images.

    Arguments: part, parts, d, transposed, number of blocks, channels, stored (a multiple of 16).
    """
    names = [f"v{n}" for n in range(16)]
    indent = " " * 12
    loads = "".join(
        f"{indent}v{n} = none\n{indent}if first + {n} < channels:\n"
        f"{indent}    v{n} = load_i(d, (b * channels + first + {n}) * 16)\n"
        for n in range(16)
    )
    stores = "".join(f"{indent}store_i(transposed, (b * 16 + {n}) * stored + first, v{n})\n" for n in range(16))
    return compiled(
        "transpose_lanes",
        "d[] transposed[] blocks channels stored",
        f"""    none = splat_i(np.uint32(0))
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for first in range(0, channels, 16):
{loads}{indent}{", ".join(names)} = transpose_16({", ".join(names)})
{stores}""",
    )
