"""Convolutions by Winograd's minimal filtering: sixteen products where four outputs of 3x3 would take thirty-six.

Y = A' [(G g G') * (B' d B)] A for a tile d of pixels (``filtering``). Since a lane is an image, all three transforms
are sums of vectors. Layouts: see ``buffers``.

For a few tiles at a time: transform their pixels for all input channels (``v``), make a small matrix product over
channels for each point of a tile (``m``), and transform those to outputs. v and m stay in the nearest caches.

- Transforms cost some hundred products for each channel of a tile, and save so many for each pair of input and output
  channel: from about 16 to 16 channels on it pays (``choice``).
- In float32, tiles of 4x4 outputs take a quarter of the direct products, and kernels of 5x5 are filtered too, with
  tiles of 2x2. Their factors of up to 8 are too much for bfloat16, where only F(2x2, 3x3) is used: its transforms just
  add, and are rounded once more than a direct convolution.
- The choice follows a formula, not a measurement at run time, since it changes the last bits of a result.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import vectors
from .buffers import Floats, Mode
from .commands import CommandList
from .compiler import Kernel, compiled, kernel
from .filtering import CONSTANTS, FIVE, SMALL, WIDE, Filtering
from .packing import rounded

_u32 = np.uint32

# What the transforms of a tile were measured to take, for an input channel and for an output, in products.
_TRANSFORMS = {SMALL: (112, 100), WIDE: (600, 300), FIVE: (500, 160)}


def blocking(filtering: Filtering, num_outputs: int, num_tiles: int, *, is_paired: bool) -> tuple[int, int]:
    """How many output channels and tiles are accumulated at once: little waste at the ends, few loads a product.

    Of tiles with 36 points two at most, whose pixels are nearer than those of more.
    """
    step = 2 if is_paired else 1
    most = min(num_tiles, 4 if filtering is SMALL else 2)
    sizes = [
        (outputs, tiles)
        for tiles in range(1, most + 1)
        for outputs in range(step, 17, step)
        if outputs * tiles <= vectors.ACCUMULATORS
        and outputs * tiles + tiles < vectors.REGISTERS
        and outputs <= num_outputs
    ]

    def cost(size: tuple[int, int]) -> float:
        outputs, tiles = size
        waste = math.ceil(num_outputs / outputs) * outputs * math.ceil(num_tiles / tiles) * tiles
        return waste / (num_outputs * num_tiles) * (1 + 0.25 * (outputs + tiles) / (outputs * tiles))

    return min(sizes, key=cost)


def choice(
    kernel: tuple[int, int], height: int, width: int, inputs: int, outputs: int, margins: tuple[int, int, int, int],
    *, is_paired: bool,
) -> Filtering | None:  # fmt: skip
    """The filtering that is clearly (1.2 times) faster than a direct convolution, which skips the margins of zeros.

    Args:
        kernel: Height and width, without stride.
        height, width: Of the output.
        inputs, outputs: Channels.
        margins: Zeros around the input at the top, bottom, left and right.
        is_paired: In bfloat16.
    """
    rows, columns = (
        _taps(size, taps, *sides)
        for size, taps, sides in ((height, kernel[0], margins[:2]), (width, kernel[1], margins[2:]))
    )
    # By a fifth at least: the formula knows nothing of caches.
    best, least = None, rows * columns * inputs * outputs / 1.2
    for filtering, (pixels, results) in _TRANSFORMS.items():
        if kernel != (filtering.taps, filtering.taps) or min(height, width) < filtering.outputs:
            continue
        if is_paired and filtering is not SMALL:
            continue
        tiles = math.ceil(height / filtering.outputs) * math.ceil(width / filtering.outputs)
        cost = tiles * (filtering.products * inputs * outputs + pixels * inputs + results * outputs)
        if cost <= least:
            best, least = filtering, cost
    return best


def _taps(size: int, taps: int, before: int, after: int) -> int:
    """Products of a direct convolution along one axis: taps that lie in the input, summed over positions."""
    length = size + taps - 1 - after
    return sum(before <= position + tap < length for position in range(size) for tap in range(taps))


@cache
def convolution(filtering: Filtering, source: Mode, target: Mode, activation: str, outputs: int, tiles: int) -> Kernel:
    """y = activation(x * w + bias) for square kernels without stride, as ``products.convolution`` has it.

    Weights lie transformed as [points of a tile, vectors, output channels].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), vectors a pixel in x,
    output channels, output height and width (no less than a tile's), y height and width (with margin), y margin at the
    top and left, vectors a pixel in y.
    """
    word = "i" if source == "b" else "f"
    multiply = "dot(a{p}_{k}, v{p}, w{k})" if source == "b" else "fma(v{p}, w{k}, a{p}_{k})"
    side, points = filtering.outputs, filtering.products
    # "uv" names the point in row u and column v of a tile.
    names = [f"{u}{v}" for u in range(filtering.points) for v in range(filtering.points)]
    inner = " " * 16
    places = "".join(
        f"{inner}word{n} = load_{word}(x, (corner + {n[0]} * x_line + {n[1]} * channels + t) * 16)\n" for n in names
    )
    if (
        source == "b"
    ):  # transformed in float32, each half of the words by itself (e: even, o: odd channels), rounded once
        places += "".join(f"{inner}l{n} = low(word{n})\n" for n in names) + filtering.pixels("l", "e", inner)
        places += "".join(f"{inner}h{n} = high(word{n})\n" for n in names) + filtering.pixels("h", "o", inner)
        stored = [f"pair(e{n}, o{n})" for n in names]
    else:
        places += filtering.pixels("word", "e", inner)
        stored = [f"e{n}" for n in names]
    for index, value in enumerate(stored):
        places += f"{inner}store_{word}(v, ({index + 1} * size + t * {tiles} + p) * 16, {value})\n"

    # The small matrix products: as in ``products``, with tiles in place of positions and a sum for each point.
    steps = "".join(f"{inner}    v{p} = load_{word}(v, (line + t * {tiles} + {p}) * 16)\n" for p in range(tiles))
    for k in range(outputs):
        steps += f"{inner}    w{k} = broadcast_{word}(w, weights + t * num_outputs + {k})\n"
        steps += "".join(f"{inner}    a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(tiles))
    pairs = [(p, k) for k in range(outputs) for p in range(tiles)]
    zeros = "".join(f"{inner}a{p}_{k} = nothing\n" for p, k in pairs)
    kept = "".join(f"{inner}store_f(m, (z * size + (o + {k}) * {tiles} + {p}) * 16, a{p}_{k})\n" for p, k in pairs)

    # Sums stay float32 until the output is transformed; only y is rounded.
    finish = ""
    channels = range(2 if target == "b" else 1)
    pixels = [f"{u}{v}" for u in range(side) for v in range(side)]
    for c in channels:
        for index, n in enumerate(names):
            finish += f"{inner}m{n} = load_f(m, ({index} * size + (o + {c}) * {tiles} + p) * 16)\n"
        finish += f"{inner}base = broadcast_f(bias, o + {c})\n" + filtering.results("m", f"y{c}", inner)
        for n in pixels:
            finish += f"{inner}y{c}{n} = add(y{c}{n}, base)\n"
            if activation == "relu":
                finish += f"{inner}y{c}{n} = maximum(nothing, y{c}{n})\n"
    for n in pixels:
        at = f"(outlet + ({n[0]} * y_width + {n[1]}) * y_channels + o{' // 2' if target == 'b' else ''}) * 16"
        finish += (
            f"{inner}store_i(y, {at}, pair(y0{n}, y1{n}))\n" if target == "b" else f"{inner}store_f(y, {at}, y0{n})\n"
        )
    kind = "int32" if source == "b" else "float32"
    return compiled(
        "winograd",
        "x[] w[] bias[] y[] blocks x_height x_width channels num_outputs height width y_height y_width margin_top "
        "margin_left y_channels",
        # A point's sums take the place of the pixels of the point before it, which are needed no more: half the memory,
        # and it is in the nearest cache. One vector more than needed between points: else a power of two of channels
        # would put all points of one channel into the same cache sets.
        f"""{CONSTANTS}    nothing = splat(ZERO)
    size = max(channels, num_outputs) * {tiles} + 1
    v = np.empty({points + 1} * size * 16, np.{kind})
    m = v.view(np.float32)
    tiles_across = (width + {side - 1}) // {side}
    all_tiles = (height + {side - 1}) // {side} * tiles_across
    x_line = x_width * channels
    groups = (all_tiles + {tiles - 1}) // {tiles}
    for job in range(blocks * part // parts * groups, blocks * (part + 1) // parts * groups):
        b, first = job // groups, min(job % groups * {tiles}, all_tiles - {tiles})
        for p in range({tiles}):
            i = min((first + p) // tiles_across * {side}, height - {side})
            j = min((first + p) % tiles_across * {side}, width - {side})
            corner = ((b * x_height + i) * x_width + j) * channels
            for t in range(channels):
{places}        for z in range({points}):
            line = (z + 1) * size
            for wanted in range(0, num_outputs, {outputs}):
                o = min(wanted, num_outputs - {outputs})
                weights = z * channels * num_outputs + o
{zeros}                for t in range(channels):
{steps}{kept}        for p in range({tiles}):
            i = min((first + p) // tiles_across * {side}, height - {side}) + margin_top
            j = min((first + p) % tiles_across * {side}, width - {side}) + margin_left
            outlet = ((b * y_height + i) * y_width + j) * y_channels
            for o in range(0, num_outputs, {len(channels)}):
{finish}""",
    )


@kernel("w[float 1] packed[word 1] matrix[float 2] inputs outputs stored is_paired is_flipped")
def pack(
    part: int, parts: int, w: Any, packed: Any, matrix: Any, inputs: int, outputs: int, stored: int, is_paired: int,
    is_flipped: int,
) -> None:  # fmt: skip
    """Kernel [taps, taps, inputs, outputs] as ``convolution`` reads it, G g G': [points, vectors of inputs, stored].

    Args:
        part, parts: Which share of the vectors to pack.
        w: float32, flat.
        packed: Flat; with ``is_paired`` pairs of bfloat16. What lies beyond must be zero and stays so.
        matrix: G, ``Filtering.kernel_matrix``.
        inputs, outputs, stored: Channels, and of the outputs with padding.
        is_flipped: Turned by half a circle, inputs and outputs exchanged: [points, vectors of outputs, stored].
    """
    points, taps = matrix.shape
    summed = outputs if is_flipped else inputs
    written = inputs if is_flipped else outputs
    step = 2 if is_paired else 1
    vectors = (summed + step - 1) // step
    # A row of written channels at a time, so that the inner loops are over contiguous memory.
    g = np.zeros((taps * taps, written), np.float32)
    rows = np.zeros((points * taps, written), np.float32)
    transformed = np.zeros((2, points * points, written), np.float32)
    bits = transformed.view(np.uint32)
    for vector in range(vectors * part // parts, vectors * (part + 1) // parts):
        for c in range(step):
            channel = vector * step + c
            if channel >= summed:
                for z in range(points * points):
                    for k in range(written):
                        transformed[c, z, k] = 0
                continue
            for tap in range(taps * taps):
                turned = taps * taps - 1 - tap
                source = w[
                    (turned * inputs * outputs + channel) if is_flipped else (tap * inputs + channel) * outputs :
                ]
                step_between = outputs if is_flipped else 1
                for k in range(written):
                    g[tap, k] = source[k * step_between]
            for v in range(taps):
                _transform(matrix, g, v, taps, rows, v, taps)
            for u in range(points):
                _transform(matrix, rows, taps * u, 1, transformed[c], points * u, 1)
        for z in range(points * points):
            target, low, high = packed[(z * vectors + vector) * stored :][:written], bits[0, z], bits[1, z]
            for k in range(written):
                target[k] = _u32(rounded(low[k]) | _u32(rounded(high[k]) << _u32(16))) if is_paired else low[k]


def record_packing(
    commands: CommandList, filtering: Filtering, weights: Floats, packed: NDArray[Any], inputs: int, *sizes: int
) -> None:
    """Record ``pack`` with these sizes."""
    commands.add(weights.size // 4, pack(), weights, packed, filtering.kernel_matrix, inputs, *sizes)


def _transform(matrix: Any, source: Any, first: int, between: int, target: Any, start: int, apart: int) -> None:
    """The product of G with as many rows of ``source`` as it has columns.

    Terms of even powers come first, so that the rows of points a and -a differ in one sign alone.
    """
    points, taps = matrix.shape
    for u in range(points):
        row = start + u * apart
        for k in range(source.shape[1]):
            target[row, k] = matrix[u, 0] * source[first, k]
        for odd in range(2):
            for tap in range(2 - odd, taps, 2):
                factor = matrix[u, tap]
                for k in range(source.shape[1]):
                    target[row, k] += factor * source[first + tap * between, k]
