"""Where the kernels meet the outside: images in, weights packed, loss out, batch normalization's statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_u32 = np.uint32


@njit(cache=True, nogil=True, error_model="numpy")
def take_images(
    part: int, parts: int, images: Any, indices: Any, x: Any, offset: Any, factor: Any, height: int, width: int,
    top: int, left: int,
) -> None:  # fmt: skip
    """Scaled images by index into ``x``: float32 [blocks, height, width, channels, 16], with a margin of zeros.

    Args:
        part, parts: Which share of the blocks to fill.
        images: uint8 or float32 [n, rows, columns, channels].
        indices: Which images, in order; the lanes left over in the last block hold what a byte 0 becomes.
        height, width: Of ``x``, with its margin.
        top, left: The margin above and to the left.
    """
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


@njit(cache=True, nogil=True)
def turn_lanes(d: Any, turned: Any, blocks: int, channels: int, outputs: int, stored: int) -> None:
    """[blocks, channels, lane] to [blocks, lane, stored]; what lies beyond ``outputs`` stays zero."""
    for b in range(blocks):
        for lane in range(16):
            target = turned[(b * 16 + lane) * stored :]
            source = d[b * channels * 16 + lane :]
            for o in range(outputs):
                target[o] = source[o * 16]


@njit(cache=True, nogil=True)
def _rounded(bits: Any) -> Any:
    """A float32's bits to the nearest bfloat16's, ties to even."""
    return _u32((bits + _u32(0x7FFF) + ((bits >> _u32(16)) & _u32(1))) >> _u32(16))


@njit(cache=True, nogil=True)
def pack_pairs(w: Any, packed: Any, height: int, width: int, inputs: int, outputs: int, stored: int) -> None:
    """Kernel [height, width, inputs, outputs] as pairs of inputs in bfloat16: [height, width, inputs / 2, stored].

    Args:
        w: float32 seen as uint32, flat.
        packed: int32, flat; what lies beyond ``inputs`` and ``outputs`` must be zero and stays so.
    """
    half = (inputs + 1) // 2
    for tap in range(height * width):
        for c in range(half):
            start = (tap * inputs + 2 * c) * outputs
            first = w[start : start + outputs]
            target = packed[(tap * half + c) * stored :][:outputs]
            if 2 * c + 1 < inputs:
                second = w[start + outputs : start + 2 * outputs]
                for o in range(outputs):
                    target[o] = np.int32(_u32(_rounded(first[o]) | _u32(_rounded(second[o]) << _u32(16))))
            else:
                for o in range(outputs):
                    target[o] = np.int32(_rounded(first[o]))


@njit(cache=True, nogil=True)
def pack_turned_pairs(w: Any, packed: Any, height: int, width: int, inputs: int, outputs: int, stored: int) -> None:
    """The same kernel turned by half a circle, inputs and outputs exchanged: [height, width, outputs / 2, stored]."""
    half = (outputs + 1) // 2
    for tap in range(height * width):
        for o in range(half):
            target = packed[((height * width - 1 - tap) * half + o) * stored :][:inputs]
            for c in range(inputs):
                at = (tap * inputs + c) * outputs + 2 * o
                word = _rounded(w[at])
                if 2 * o + 1 < outputs:
                    word = _u32(word | _u32(_rounded(w[at + 1]) << _u32(16)))
                target[c] = np.int32(word)


@njit(cache=True, nogil=True)
def pack_rows(w: Any, packed: Any) -> None:
    """Neighbours as pairs in bfloat16, in the order that they have."""
    for i in range(len(packed)):
        packed[i] = np.int32(_u32(_rounded(w[2 * i]) | _u32(_rounded(w[2 * i + 1]) << _u32(16))))


@njit(cache=True, nogil=True)
def pack_exchanged(w: Any, packed: Any, taps: int, inputs: int, outputs: int, stored: int) -> None:
    """A dense kernel with inputs and outputs exchanged, as pairs of outputs: [outputs / 2, taps, stored]."""
    half = (outputs + 1) // 2
    for tap in range(taps):
        for first in range(0, inputs, 16):  # tiles that stay in the nearest cache
            for o in range(half):
                target = packed[(o * taps + tap) * stored + first :]
                for c in range(min(16, inputs - first)):
                    at = (tap * inputs + first + c) * outputs + 2 * o
                    word = _rounded(w[at])
                    if 2 * o + 1 < outputs:
                        word = _u32(word | _u32(_rounded(w[at + 1]) << _u32(16)))
                    target[c] = np.int32(word)


@njit(cache=True, nogil=True)
def exchange(w: Any, exchanged: Any, taps: int, inputs: int, outputs: int) -> None:
    """``pack_exchanged`` without pairs: float32 [outputs, taps, inputs]."""
    for o in range(outputs):
        for row in range(taps * inputs):
            exchanged[o * taps * inputs + row] = w[row * outputs + o]


@njit(cache=True, nogil=True)
def turn(w: Any, turned: Any, height: int, width: int, inputs: int, outputs: int) -> None:
    """``pack_turned_pairs`` without pairs: float32 [height, width, outputs, inputs]."""
    for tap in range(height * width):
        for o in range(outputs):
            target = ((height * width - 1 - tap) * outputs + o) * inputs
            for c in range(inputs):
                turned[target + c] = w[(tap * inputs + c) * outputs + o]


@njit(cache=True, nogil=True, error_model="numpy")
def softmax_loss(
    logits: Any, classes: Any, partners: Any, shares: Any, count: int, num_classes: int, gradient: Any, stored: int
) -> tuple[float, int]:
    """Summed cross-entropy (nats) and hits of a batch, and the gradient of the mean loss.

    Args:
        logits: float32 [blocks, stored, 16].
        classes: int64 [count]: the classes that count as hits.
        partners, shares: The other class of each image and the first one's share of the target (1 without mixup).
        count: Images; the lanes left over get no gradient.
        gradient: float32 [blocks, stored, 16], written.
        stored: Rows of ``logits``, at least ``num_classes``.
    """
    loss, hits = 0.0, 0
    for n in range((count + 15) // 16 * 16):
        start = (n // 16) * stored * 16 + n % 16
        if n >= count:
            for k in range(stored):
                gradient[start + 16 * k] = np.float32(0)
            continue
        highest, best = logits[start], 0
        for k in range(1, num_classes):
            if logits[start + 16 * k] > highest:
                highest, best = logits[start + 16 * k], k
        scale = np.float32(0)
        for k in range(num_classes):
            e = np.exp(logits[start + 16 * k] - highest)
            gradient[start + 16 * k] = e
            scale += e
        target, partner, share = classes[n], partners[n], shares[n]
        wanted = share * logits[start + 16 * target] + (np.float32(1) - share) * logits[start + 16 * partner]
        loss += math.log(scale) + highest - wanted
        hits += best == target
        for k in range(num_classes):
            gradient[start + 16 * k] /= scale * np.float32(count)
        gradient[start + 16 * target] -= share / np.float32(count)
        gradient[start + 16 * partner] -= (np.float32(1) - share) / np.float32(count)
    return loss, hits


@njit(cache=True, nogil=True, error_model="numpy")
def norm_from_batch(
    sums: Any,
    count: int,
    gamma: Any,
    beta: Any,
    moving_mean: Any,
    moving_variance: Any,
    momentum: float,
    epsilon: float,
    mean: Any,
    inverse: Any,
    scale: Any,
    shift: Any,
) -> None:
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


@njit(cache=True, nogil=True, error_model="numpy")
def norm_gradient(
    sums: Any,
    parts: int,
    count: int,
    gamma: Any,
    mean: Any,
    inverse: Any,
    gamma_gradient: Any,
    beta_gradient: Any,
    factor: Any,
    slope: Any,
    level: Any,
) -> None:
    """From the sums of dz and dz * y to gamma's and beta's gradients, and dy as factor * dz + slope * y + level."""
    stored = len(sums) // (2 * parts)
    for c in range(len(gamma)):
        total, product = 0.0, 0.0
        for part in range(parts):
            total += sums[part * 2 * stored + c]
            product += sums[part * 2 * stored + stored + c]
        product = (product - mean[c] * total) * inverse[c]  # with y normalized
        gamma_gradient[c] = product
        beta_gradient[c] = total
        factor[c] = gamma[c] * inverse[c]
        slope[c] = -factor[c] * inverse[c] * product / count
        level[c] = -factor[c] * total / count - slope[c] * mean[c]


@njit(cache=True, nogil=True)
def add_parts(sums: Any, parts: int, target: Any) -> None:
    """The parts' sums, in order."""
    stored = len(sums) // parts
    for c in range(len(target)):
        value = 0.0
        for part in range(parts):
            value += sums[part * stored + c]
        target[c] = value
