"""Packs weights: from the flat parameter vector to the layout that each kernel reads, once a step.

A kernel's inner loop reads its weights in order, one number (in bfloat16: a pair of inputs) broadcast to all lanes. The
optimizer's vector keeps them in float32 as [height, width, inputs, outputs]; packing rounds to bfloat16, pairs inputs,
pads odd numbers of channels with zeros and flips or transposes for gradients of inputs. It costs a pass over the
weights, which are read once for every image of the batch afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler import kernel

_u32 = np.uint32


# Integer arithmetic, since kernels have no bfloat16 numbers: a float32's upper 16 bits are one, and adding just under
# half of what is cut off, or exactly half to an odd one, carries into them. NaN as arithmetic produces it stays NaN.
def rounded(bits: Any) -> Any:
    """A float32's bits to the nearest bfloat16's, ties to even, as the processor's own conversion rounds."""
    return _u32((bits + _u32(0x7FFF) + ((bits >> _u32(16)) & _u32(1))) >> _u32(16))


@kernel("w[word 1] packed[word 1] height width inputs outputs stored")
def pack_pairs(
    part: int, parts: int, w: Any, packed: Any, height: int, width: int, inputs: int, outputs: int, stored: int
) -> None:
    """Kernel [height, width, inputs, outputs] as pairs of inputs in bfloat16: [height, width, inputs / 2, stored].

    Args:
        part, parts: Which share of the rows to pack.
        w: float32 seen as uint32, flat.
        packed: Flat; what lies beyond ``inputs`` and ``outputs`` must be zero and stays so.
    """
    half = (inputs + 1) // 2
    rows = height * width * half
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        tap, c = row // half, row % half  # of the result; c counts pairs of inputs
        start = (tap * inputs + 2 * c) * outputs
        first = w[start : start + outputs]
        target = packed[row * stored :][:outputs]
        if 2 * c + 1 < inputs:
            second = w[start + outputs : start + 2 * outputs]
            for o in range(outputs):
                target[o] = _u32(rounded(first[o]) | _u32(rounded(second[o]) << _u32(16)))
        else:
            for o in range(outputs):
                target[o] = rounded(first[o])


@kernel("w[word 1] packed[word 1] height width inputs outputs stored")
def pack_flipped_pairs(
    part: int, parts: int, w: Any, packed: Any, height: int, width: int, inputs: int, outputs: int, stored: int
) -> None:
    """The same kernel flipped, inputs and outputs exchanged: [height, width, outputs / 2, stored]."""
    half = (outputs + 1) // 2
    rows = height * width * half
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        tap, o = row // half, row % half
        target = packed[((height * width - 1 - tap) * half + o) * stored :][:inputs]
        for c in range(inputs):
            at = (tap * inputs + c) * outputs + 2 * o
            word = rounded(w[at])
            if 2 * o + 1 < outputs:
                word = _u32(word | _u32(rounded(w[at + 1]) << _u32(16)))
            target[c] = word


@kernel("w[word 1] packed[word 1] taps outputs reads multiplier step is_paired is_flipped")
def pack_depthwise(
    part: int, parts: int, w: Any, packed: Any, taps: int, outputs: int, reads: int, multiplier: int, step: int,
    is_paired: int, is_flipped: int,
) -> None:  # fmt: skip
    """Kernel [taps, outputs * reads] as ``depthwise`` reads it: [outputs / step, reads, taps, step].

    With ``is_paired`` a weight is one half of a pair of bfloat16, the half that its input channel is in its word, and
    the other half is zero. What lies beyond ``outputs`` must be zero and stays so.
    """
    for o in range(outputs * part // parts, outputs * (part + 1) // parts):
        for r in range(reads):
            source = o * reads + r
            for t in range(taps):
                word = w[(taps - 1 - t if is_flipped else t) * outputs * reads + source]
                if is_paired:
                    word = _u32(rounded(word) << _u32(16 * (source // multiplier % 2)))
                packed[((o // step * reads + r) * taps + t) * step + o % step] = word


@kernel(
    "w[word 1] packed[word 1] taps groups inputs outputs parts_kept vectors stored is_paired is_flipped",
)
def pack_groups(
    part: int, parts: int, w: Any, packed: Any, taps: int, groups: int, inputs: int, outputs: int, parts_kept: int,
    vectors: int, stored: int, is_paired: int, is_flipped: int,
) -> None:  # fmt: skip
    """Kernel [taps, inputs, groups * outputs] as ``grouped`` reads it: [parts_kept, taps, vectors, stored].

    Args:
        part, parts: Which share of the kernel's rows to pack.
        w: float32 seen as uint32, flat.
        packed: Flat; what no weight is written to must be zero and stays so.
        taps: Pixels of the kernel.
        groups, inputs, outputs: Groups, and inputs and outputs of each.
        parts_kept: ``groups``, or 1 for one group of all channels, with zeros between channels of different groups.
        vectors, stored: Vectors that are summed, and sums, of each part that is kept.
        is_paired: Two channels that are summed share a word, in bfloat16.
        is_flipped: For the input gradient: turned by half a circle, inputs and outputs exchanged.
    """
    step = 2 if is_paired else 1
    # Rows of a pair of channels write to the same words, so a thread takes whole taps.
    for row in range(taps * part // parts * inputs, taps * (part + 1) // parts * inputs):
        tap, c = row // inputs, row % inputs
        for o in range(groups * outputs):
            g = o // outputs
            kept = g if parts_kept > 1 else 0
            first, second = c, o - g * outputs
            if parts_kept == 1:
                first, second = g * inputs + c, o
            if is_flipped:
                first, second = second, first
            there = taps - 1 - tap if is_flipped else tap
            at = ((kept * taps + there) * vectors + first // step) * stored + second
            word = w[(tap * inputs + c) * groups * outputs + o]
            if is_paired:
                half = _u32(rounded(word))
                if first % 2 == 0:
                    word = _u32((packed[at] & _u32(0xFFFF0000)) | half)
                else:
                    word = _u32((packed[at] & _u32(0xFFFF)) | (half << _u32(16)))
            packed[at] = word


@kernel("w[word 1] packed[word 1]")
def pack_flat_pairs(part: int, parts: int, w: Any, packed: Any) -> None:
    """Neighbouring numbers as pairs in bfloat16, in the same order."""
    start, end = len(packed) * part // parts, len(packed) * (part + 1) // parts
    w, packed = w[2 * start :], packed[start:end]  # indices from 0 need no wrap-around, which vectors could not have
    for i in range(len(packed)):
        packed[i] = _u32(rounded(w[2 * i]) | _u32(rounded(w[2 * i + 1]) << _u32(16)))


@kernel("w[word 1] packed[word 1] taps inputs outputs stored")
def pack_transposed_pairs(
    part: int, parts: int, w: Any, packed: Any, taps: int, inputs: int, outputs: int, stored: int
) -> None:
    """A dense kernel with inputs and outputs transposed, as pairs of outputs: [outputs / 2, taps, stored]."""
    half = (outputs + 1) // 2
    for tap in range(taps * part // parts, taps * (part + 1) // parts):
        for first in range(0, inputs, 16):  # a block of rows, so that both arrays' lines stay in the first-level cache
            for o in range(half):
                target = packed[(o * taps + tap) * stored + first :]
                for c in range(min(16, inputs - first)):
                    at = (tap * inputs + first + c) * outputs + 2 * o
                    word = rounded(w[at])
                    if 2 * o + 1 < outputs:
                        word = _u32(word | _u32(rounded(w[at + 1]) << _u32(16)))
                    target[c] = word


@kernel("w[float 1] packed[float 1] outputs stored")
def pad_rows(part: int, parts: int, w: Any, packed: Any, outputs: int, stored: int) -> None:
    """Rows of ``outputs`` numbers to rows of ``stored``; the padding stays as it is, zero."""
    rows = len(w) // outputs
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        for o in range(outputs):
            packed[row * stored + o] = w[row * outputs + o]


@kernel("w[float 1] transposed[float 1] rows outputs")
def transpose(part: int, parts: int, w: Any, transposed: Any, rows: int, outputs: int) -> None:
    """``pack_transposed_pairs`` without pairs: float32 [rows, outputs] to [outputs, rows]."""
    for o in range(outputs * part // parts, outputs * (part + 1) // parts):
        for row in range(rows):
            transposed[o * rows + row] = w[row * outputs + o]


@kernel("w[float 1] flipped[float 1] height width inputs outputs")
def flip(part: int, parts: int, w: Any, flipped: Any, height: int, width: int, inputs: int, outputs: int) -> None:
    """``pack_flipped_pairs`` without pairs: float32 [height, width, outputs, inputs]."""
    taps = height * width
    for tap in range(taps * part // parts, taps * (part + 1) // parts):
        for o in range(outputs):
            target = ((taps - 1 - tap) * outputs + o) * inputs
            for c in range(inputs):
                flipped[target + c] = w[(tap * inputs + c) * outputs + o]
