"""Kernels that only move: pairs of channels to pairs of blocks, pixels apart. How arrays lie: see ``tails``."""

from __future__ import annotations

from functools import cache

from .compiler import Kernel, compiled
from .grid import Grid, Run
from .tape import Tape


@cache
def repair() -> Kernel:
    """Pairs of channels in each block to pairs of blocks for each channel; a block without a partner is paired with 0.

    Arguments: part, parts, source [blocks, pixels, channels / 2], target [blocks / 2, groups, pixels, channels of a
    group], number of blocks, source height and width (with margin), source margins at top and left, height, width,
    vectors a pixel of the source, channels in a group of the target.
    """
    return compiled(
        "repair",
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
                    store_i(target, (low_at + j * group) * 16, lows(first, second))
                    store_i(target, (high_at + j * group) * 16, highs(first, second))
""",
    )


@cache
def pair_blocks() -> Kernel:
    """float32 [blocks, vectors] to pairs of blocks in bfloat16 [blocks / 2, vectors].

    Arguments: part, parts, source, target, number of blocks, vectors a block.
    """
    return compiled(
        "pair_blocks",
        "source[] target[] blocks size",
        """    pairs = (blocks + 1) // 2
    for b in range(pairs * part // parts, pairs * (part + 1) // parts):
        for t in range(size):
            first = load_f(source, (2 * b * size + t) * 16)
            second = splat(ZERO)
            if 2 * b + 1 < blocks:
                second = load_f(source, ((2 * b + 1) * size + t) * 16)
            store_i(target, (b * size + t) * 16, pair(first, second))
""",
    )


@cache
def pair_channels() -> Kernel:
    """float32 [blocks, channels] to pairs of channels in bfloat16. Arguments: part, parts, source, target, both sizes."""
    return compiled(
        "pair_channels",
        "source[] target[] blocks channels",
        """    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for k in range(channels // 2):
            at = b * channels + 2 * k
            store_i(target, (b * (channels // 2) + k) * 16, pair(load_f(source, at * 16), load_f(source, (at + 1) * 16)))
""",
    )


@cache
def spread_out() -> Kernel:
    """Pixels to every ``stride``-th row and column of a larger picture, whose other pixels stay as they are.

    Arguments: part, parts, source, target, number of blocks, source height and width, vectors a pixel, stride, target
    height and width (with margin), target margins at top and left.
    """
    return compiled(
        "spread_out",
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


def record_spread(tape: Tape, run: Run, source: Grid, target: Grid, stride: int) -> None:
    """Add the call of ``spread_out`` from a grid without a margin."""
    tape(
        run.blocks * source.passing, spread_out(), source.data, target.data, run.blocks, source.height, source.width,
        source.vectors, stride, target.full_height, target.full_width, target.top, target.left,
    )  # fmt: skip


@cache
def narrow() -> Kernel:
    """float32 [blocks, pixels, channels] to pairs of channels in bfloat16, with a margin.

    Arguments: part, parts, source, target, number of blocks, height, width, pairs a pixel, target height and width
    (with margin), target margins at top and left.
    """
    return compiled(
        "narrow",
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
