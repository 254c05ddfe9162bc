"""Where the kernels meet the outside: images in, weights packed, loss out, batch normalization's statistics.

These are ordinary functions on flat arrays, compiled with everything else; ``name.plain`` is the function itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from .compiler import kernel

_u32 = np.uint32


@register_jitable(error_model="numpy")
def _take(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, height: int, width: int,
    top: int, left: int,
) -> None:  # fmt: skip
    _, rows, columns, channels = images.shape
    count = len(indices)
    size = columns * channels
    picked = np.zeros(rows * size * 16, images.dtype)
    blocks = (count + 15) // 16
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        lanes = min(16, count - b * 16)
        if lanes < 16:
            picked[:] = 0
        for lane in range(lanes):
            image = images[indices[b * 16 + lane]].reshape(-1)
            for t in range(rows * size):
                picked[t * 16 + lane] = image[t]
        for i in range(rows):
            target = x[((b * height + top + i) * width + left) * channels * 16 :]
            source = picked[i * size * 16 :]
            if channels == 1:  # one long loop for LLVM to vectorise
                low, grow = offset[0], factor[0]
                for t in range(size * 16):
                    target[t] = (np.float32(source[t]) - low) * grow
            else:
                for t in range(size):
                    low, grow = offset[t % channels], factor[t % channels]
                    for lane in range(16):
                        target[t * 16 + lane] = (np.float32(source[t * 16 + lane]) - low) * grow


@kernel("images[byte 4] indices[long 1] x[float 1] offset[float 1] factor[float 1] height width top left")
def take_images(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, height: int, width: int,
    top: int, left: int,
) -> None:  # fmt: skip
    """Scaled images by index into ``x``: float32 [blocks, height, width, channels, 16], with a margin of zeros.

    Args:
        part, parts: Which share of the blocks to fill.
        images: uint8 [n, rows, columns, channels].
        indices: Which images, in order; the lanes left over in the last block hold what a byte 0 becomes.
        offset, factor: A byte becomes (byte - offset) * factor, by channel.
        height, width: Of ``x``, with its margin.
        top, left: The margin above and to the left.
    """
    _take(part, parts, images, indices, x, offset, factor, height, width, top, left)


@kernel("images[float 4] indices[long 1] x[float 1] offset[float 1] factor[float 1] height width top left")
def take_float_images(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, height: int, width: int,
    top: int, left: int,
) -> None:  # fmt: skip
    """The same for images that are kept as float32."""
    _take(part, parts, images, indices, x, offset, factor, height, width, top, left)


@kernel("d[word 1] turned[word 1] blocks channels outputs stored")
def turn_lanes(
    part: int, parts: int, d: Any, turned: Any, blocks: int, channels: int, outputs: int, stored: int
) -> None:
    """[blocks, channels, lane] to [blocks, lane, stored]; what lies beyond ``outputs`` stays zero."""
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for lane in range(16):
            target = turned[(b * 16 + lane) * stored :]
            source = d[b * channels * 16 + lane :]
            for o in range(outputs):
                target[o] = source[o * 16]


@register_jitable
def rounded(bits: Any) -> Any:
    """A float32's bits to the nearest bfloat16's, ties to even."""
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
        tap, c = row // half, row % half
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
def pack_turned_pairs(
    part: int, parts: int, w: Any, packed: Any, height: int, width: int, inputs: int, outputs: int, stored: int
) -> None:
    """The same kernel turned by half a circle, inputs and outputs exchanged: [height, width, outputs / 2, stored]."""
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


@kernel("w[word 1] packed[word 1] taps outputs reads multiplier step is_paired is_turned")
def pack_depthwise(
    part: int, parts: int, w: Any, packed: Any, taps: int, outputs: int, reads: int, multiplier: int, step: int,
    is_paired: int, is_turned: int,
) -> None:  # fmt: skip
    """Kernel [taps, outputs * reads] as ``depthwise`` reads it: [outputs / step, reads, taps, step].

    With ``is_paired`` a weight is the half of a pair of bfloat16 that its input is, beside a zero. What lies beyond
    ``outputs`` must be zero and stays so.
    """
    for o in range(outputs * part // parts, outputs * (part + 1) // parts):
        for r in range(reads):
            source = o * reads + r
            for t in range(taps):
                word = w[(taps - 1 - t if is_turned else t) * outputs * reads + source]
                if is_paired:
                    word = _u32(rounded(word) << _u32(16 * (source // multiplier % 2)))
                packed[((o // step * reads + r) * taps + t) * step + o % step] = word


@kernel("w[word 1] packed[word 1]")
def pack_rows(part: int, parts: int, w: Any, packed: Any) -> None:
    """Neighbours as pairs in bfloat16, in the order that they have."""
    start, end = len(packed) * part // parts, len(packed) * (part + 1) // parts
    w, packed = w[2 * start :], packed[start:end]  # indices from 0 need no wrap-around, which vectors could not have
    for i in range(len(packed)):
        packed[i] = _u32(rounded(w[2 * i]) | _u32(rounded(w[2 * i + 1]) << _u32(16)))


@kernel("w[word 1] packed[word 1] taps inputs outputs stored")
def pack_exchanged(
    part: int, parts: int, w: Any, packed: Any, taps: int, inputs: int, outputs: int, stored: int
) -> None:
    """A dense kernel with inputs and outputs exchanged, as pairs of outputs: [outputs / 2, taps, stored]."""
    half = (outputs + 1) // 2
    for tap in range(taps * part // parts, taps * (part + 1) // parts):
        for first in range(0, inputs, 16):  # tiles that stay in the nearest cache
            for o in range(half):
                target = packed[(o * taps + tap) * stored + first :]
                for c in range(min(16, inputs - first)):
                    at = (tap * inputs + first + c) * outputs + 2 * o
                    word = rounded(w[at])
                    if 2 * o + 1 < outputs:
                        word = _u32(word | _u32(rounded(w[at + 1]) << _u32(16)))
                    target[c] = word


@kernel("w[float 1] packed[float 1] outputs stored")
def widen(part: int, parts: int, w: Any, packed: Any, outputs: int, stored: int) -> None:
    """Rows of ``outputs`` numbers to rows of ``stored``; what lies beyond stays."""
    rows = len(w) // outputs
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        for o in range(outputs):
            packed[row * stored + o] = w[row * outputs + o]


@kernel("w[float 1] exchanged[float 1] rows outputs")
def exchange(part: int, parts: int, w: Any, exchanged: Any, rows: int, outputs: int) -> None:
    """``pack_exchanged`` without pairs: float32 [rows, outputs] to [outputs, rows]."""
    for o in range(outputs * part // parts, outputs * (part + 1) // parts):
        for row in range(rows):
            exchanged[o * rows + row] = w[row * outputs + o]


@kernel("w[float 1] turned[float 1] height width inputs outputs")
def turn(part: int, parts: int, w: Any, turned: Any, height: int, width: int, inputs: int, outputs: int) -> None:
    """``pack_turned_pairs`` without pairs: float32 [height, width, outputs, inputs]."""
    taps = height * width
    for tap in range(taps * part // parts, taps * (part + 1) // parts):
        for o in range(outputs):
            target = ((taps - 1 - tap) * outputs + o) * inputs
            for c in range(inputs):
                turned[target + c] = w[(tap * inputs + c) * outputs + o]


@kernel("target[float 1]")
def clear(part: int, parts: int, target: Any) -> None:
    target[len(target) * part // parts : len(target) * (part + 1) // parts] = 0


@kernel("sums[double 1]", is_shared=False)
def clear_sums(sums: Any) -> None:
    sums[:] = 0


@kernel("source[float 1] target[float 1]")
def copy(part: int, parts: int, source: Any, target: Any) -> None:
    start, end = len(source) * part // parts, len(source) * (part + 1) // parts
    target[start:end] = source[start:end]


@kernel("weights[float 1] gradient[float 1] l1:real l2:real")
def add_penalty(part: int, parts: int, weights: Any, gradient: Any, l1: float, l2: float) -> None:
    """The gradient of l1 * sum(abs(weights)) + l2 * sum(weights**2), added; of abs at 0 it is 0."""
    once, twice = np.float32(l1), np.float32(2 * l2)
    start, end = len(weights) * part // parts, len(weights) * (part + 1) // parts
    weights, gradient = weights[start:end], gradient[start:end]
    for i in range(len(weights)):
        gradient[i] += twice * weights[i] + once * np.float32(int(weights[i] > 0) - int(weights[i] < 0))


@kernel(
    "logits[float 1] classes[long 1] partners[long 1] shares[float 1] weights[float 1] smoothing:real "
    "gradient[float 1] stored found[double 1]",
    is_shared=False,
)
def softmax_loss(
    logits: Any, classes: Any, partners: Any, shares: Any, weights: Any, smoothing: float, gradient: Any, stored: int,
    found: Any,
) -> None:  # fmt: skip
    """Summed loss (nats) and hits of a batch, and the gradient of the mean loss: see ``learner.Objective``.

    Args:
        logits: float32 [blocks, stored, 16].
        classes: int64 [count]: the classes that count as hits.
        partners, shares: The other class of each image and the first one's share of the target (1 without mixup).
        weights: What the loss of an image of each class counts [classes].
        smoothing: The share of every target that is spread evenly.
        gradient: float32 [blocks, stored, 16], written; lanes without an image get no gradient.
        stored: Rows of ``logits``, at least one for each class.
        found: float64 [2], written: loss and hits.
    """
    count, num_classes = len(classes), len(weights)
    loss, hits = 0.0, 0
    spread = np.float32(smoothing / num_classes)
    for n in range((count + 15) // 16 * 16):
        start = (n // 16) * stored * 16 + n % 16
        if n >= count:
            for k in range(stored):
                gradient[start + 16 * k] = np.float32(0)
            continue
        highest, best, together = logits[start], 0, np.float32(0)
        for k in range(num_classes):
            together += logits[start + 16 * k]
            if logits[start + 16 * k] > highest:
                highest, best = logits[start + 16 * k], k
        scale = np.float32(0)
        for k in range(num_classes):
            e = np.exp(logits[start + 16 * k] - highest)
            gradient[start + 16 * k] = e
            scale += e
        target, partner = classes[n], partners[n]
        share, rest = shares[n] * weights[target], (np.float32(1) - shares[n]) * weights[partner]
        weight = share + rest
        share, rest = share * np.float32(1 - smoothing), rest * np.float32(1 - smoothing)
        wanted = share * logits[start + 16 * target] + rest * logits[start + 16 * partner]
        if smoothing > 0:
            wanted += weight * spread * together
        loss += weight * (math.log(scale) + highest) - wanted
        hits += best == target
        for k in range(num_classes):
            gradient[start + 16 * k] = weight * (gradient[start + 16 * k] / scale - spread) / np.float32(count)
        gradient[start + 16 * target] -= share / np.float32(count)
        gradient[start + 16 * partner] -= rest / np.float32(count)
    found[0], found[1] = loss, hits


@kernel("gradient[float 1] blocks stored target[float 1]", is_shared=False)
def sum_lanes(gradient: Any, blocks: int, stored: int, target: Any) -> None:
    """Sums over blocks and lanes of [blocks, stored, 16], by row."""
    for o in range(len(target)):
        value = 0.0
        for b in range(blocks):
            for lane in range(16):
                value += gradient[(b * stored + o) * 16 + lane]
        target[o] = value


@kernel(
    "sums[double 1] count gamma[float 1] beta[float 1] moving_mean[float 1] moving_variance[float 1] momentum:real "
    "epsilon:real mean[double 1] inverse[double 1] scale[float 1] shift[float 1]",
    is_shared=False,
)
def norm_from_batch(
    sums: Any, count: int, gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any, momentum: float,
    epsilon: float, mean: Any, inverse: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    """Batch statistics from ``moments`` over ``count`` values a channel; moving ones follow (biased, as Keras)."""
    stored = len(sums) // 3
    for c in range(len(gamma)):
        offset = sums[c] / count
        m = sums[2 * stored + c] + offset
        variance = max(sums[stored + c] / count - offset * offset, 0.0)
        mean[c] = m
        inverse[c] = 1.0 / math.sqrt(variance + epsilon)
        moving_mean[c] = moving_mean[c] * momentum + m * (1.0 - momentum)
        moving_variance[c] = moving_variance[c] * momentum + variance * (1.0 - momentum)
        scale[c] = gamma[c] * inverse[c]
        shift[c] = beta[c] - m * scale[c]


@kernel(
    "gamma[float 1] beta[float 1] moving_mean[float 1] moving_variance[float 1] epsilon:real scale[float 1] "
    "shift[float 1]",
    is_shared=False,
)
def norm_from_moving(
    gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any, epsilon: float, scale: Any, shift: Any
) -> None:
    """The same from the moving statistics."""
    for c in range(len(gamma)):
        scale[c] = gamma[c] / math.sqrt(moving_variance[c] + epsilon)
        shift[c] = beta[c] - moving_mean[c] * scale[c]


@kernel(
    "sums[double 1] blocks count gamma[float 1] mean[double 1] inverse[double 1] gamma_gradient[float 1] "
    "beta_gradient[float 1] factor[float 1] slope[float 1] level[float 1]",
    is_shared=False,
)
def norm_gradient(
    sums: Any, blocks: int, count: int, gamma: Any, mean: Any, inverse: Any, gamma_gradient: Any, beta_gradient: Any,
    factor: Any, slope: Any, level: Any,
) -> None:  # fmt: skip
    """From the sums of dz and dz * y to gamma's and beta's gradients, and dy as factor * dz + slope * y + level."""
    stored = len(sums) // (2 * blocks)
    for c in range(len(gamma)):
        total, product = 0.0, 0.0
        for b in range(blocks):
            total += sums[b * 2 * stored + c]
            product += sums[b * 2 * stored + stored + c]
        product = (product - mean[c] * total) * inverse[c]  # with y normalized
        gamma_gradient[c] = product
        beta_gradient[c] = total
        factor[c] = gamma[c] * inverse[c]
        slope[c] = -factor[c] * inverse[c] * product / count
        level[c] = -factor[c] * total / count - slope[c] * mean[c]


@kernel("sums[double 1] blocks target[float 1]", is_shared=False)
def add_blocks(sums: Any, blocks: int, target: Any) -> None:
    """The blocks' sums, in order."""
    stored = len(sums) // blocks
    for c in range(len(target)):
        value = 0.0
        for b in range(blocks):
            value += sums[b * stored + c]
        target[c] = value
