"""Convolutions of 3x3 by Winograd's minimal filtering: sixteen products where four outputs would take thirty-six.

Source: Winograd (1980), "Arithmetic Complexity of Computations"; Lavin and Gray (2016), "Fast Algorithms for
Convolutional Neural Networks", whose F(2x2, 3x3) this is: Y = A' [(G g G') * (B' d B)] A for a tile d of 4x4 pixels.
Since a lane is an image, all three transforms are sums of vectors. Layouts: see ``buffers``.

For a few tiles at a time: transform their pixels for all input channels (``v``), make 16 small matrix products over
channels, one for each point of a tile (``m``), and transform those to outputs. v and m stay in the nearest caches.

- Transforms cost about as much as 100 products for each channel of a tile, and save 20 products for each pair of input
  and output channel: from 16 to 16 channels on it pays (``is_worthwhile``).
- F(4x4, 3x3) would save more, and 5x5 kernels could be transformed too, but with factors of 4 to 8, for which bfloat16
  has too few bits. The transforms here only add; in bfloat16 their results are rounded once more than in a direct
  convolution.
- Kernel gradients stay direct: transformed pixels are four times as many, and the gradient would read them from memory.
- The choice follows a formula, not a measurement at run time, since it changes the last bits of a result.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from . import vectors
from .buffers import Mode
from .compiler import Kernel, compiled, kernel
from .packing import rounded

_u32 = np.uint32

POINTS = 16  # products of a tile, each a sum over input channels
_SUMS = ("{0} - {2}", "{1} + {2}", "{2} - {1}", "{1} - {3}")  # the rows of B'


def _written(signed: str) -> str:
    """A sum or difference of two names, as source that calls the operation on vectors."""
    first, sign, second = signed.split()
    return f"{'add' if sign == '+' else 'sub'}({first}, {second})"


def _input_transform(source: str, target: str, indent: str) -> str:
    """Source of B' d B for sixteen vectors by name: rows, then columns."""
    lines = ""
    for v in range(4):
        column = [f"{source}{u}{v}" for u in range(4)]
        lines += "".join(f"{indent}r{u}{v} = {_written(_SUMS[u].format(*column))}\n" for u in range(4))
    for u in range(4):
        row = [f"r{u}{v}" for v in range(4)]
        lines += "".join(f"{indent}{target}{u}{v} = {_written(_SUMS[v].format(*row))}\n" for v in range(4))
    return lines


def _output_transform(source: str, target: str, indent: str) -> str:
    """Source of A' m A: two rows and columns from four."""
    lines = ""
    for v in range(4):
        m = [f"{source}{u}{v}" for u in range(4)]
        lines += f"{indent}r0{v} = add(add({m[0]}, {m[1]}), {m[2]})\n{indent}r1{v} = sub(sub({m[1]}, {m[2]}), {m[3]})\n"
    for u in range(2):
        r = [f"r{u}{v}" for v in range(4)]
        lines += f"{indent}{target}{u}0 = add(add({r[0]}, {r[1]}), {r[2]})\n"
        lines += f"{indent}{target}{u}1 = sub(sub({r[1]}, {r[2]}), {r[3]})\n"
    return lines


def blocking(num_outputs: int, num_tiles: int, *, is_paired: bool) -> tuple[int, int]:
    """How many output channels and tiles are accumulated at once: little waste at the ends, few loads a product."""
    step = 2 if is_paired else 1
    sizes = [
        (outputs, tiles)
        for tiles in range(1, 5)
        for outputs in range(step, 17, step)
        if outputs * tiles <= vectors.ACCUMULATORS
        and outputs * tiles + tiles < vectors.REGISTERS
        and outputs <= num_outputs
        and tiles <= num_tiles
    ]

    def cost(size: tuple[int, int]) -> float:
        outputs, tiles = size
        waste = math.ceil(num_outputs / outputs) * outputs * math.ceil(num_tiles / tiles) * tiles
        return waste / (num_outputs * num_tiles) * (1 + 0.25 * (outputs + tiles) / (outputs * tiles))

    return min(sizes, key=cost)


def is_worthwhile(height: int, width: int, inputs: int, outputs: int, margins: tuple[int, int, int, int]) -> bool:
    """Whether this is clearly (1.2 times) faster than a direct convolution, which skips the margins of zeros.

    Args:
        height, width: Of the output.
        inputs, outputs: Channels.
        margins: Zeros around the input at the top, bottom, left and right.

    The transforms of a tile were measured to take as long as 112 products for each input channel and 100 for each
    output.
    """
    if height < 2 or width < 2:
        return False
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    tiled = tiles * (POINTS * inputs * outputs + 112 * inputs + 100 * outputs)
    rows, columns = (_taps(size, *sides) for size, sides in ((height, margins[:2]), (width, margins[2:])))
    # By a fifth at least: the formula knows nothing of caches.
    return 1.2 * tiled <= rows * columns * inputs * outputs


def _taps(size: int, before: int, after: int) -> int:
    """Products of a direct convolution along one axis: taps of three that lie in the input, summed over positions."""
    return sum(before <= position + tap < size + 2 - after for position in range(size) for tap in range(3))


@cache
def convolution(source: Mode, target: Mode, activation: str, outputs: int, tiles: int) -> Kernel:
    """y = activation(x * w + bias) for kernels of 3x3 without stride, as ``products.convolution`` has it.

    Weights lie transformed as [16, vectors, output channels].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), vectors a pixel in x,
    output channels, output height and width (at least 2), y height and width (with margin), y margin at the top and
    left, vectors a pixel in y.
    """
    word = "i" if source == "b" else "f"
    multiply = "dot(a{p}_{k}, v{p}, w{k})" if source == "b" else "fma(v{p}, w{k}, a{p}_{k})"
    # "uv" names the point in row u and column v of a tile.
    names = [f"{u}{v}" for u in range(4) for v in range(4)]
    inner = " " * 16
    places = "".join(
        f"{inner}word{n} = load_{word}(x, (corner + {n[0]} * x_line + {n[1]} * channels + t) * 16)\n" for n in names
    )
    if (
        source == "b"
    ):  # transformed in float32, each half of the words by itself (e: even, o: odd channels), rounded once
        places += "".join(f"{inner}l{n} = low(word{n})\n" for n in names) + _input_transform("l", "e", inner)
        places += "".join(f"{inner}h{n} = high(word{n})\n" for n in names) + _input_transform("h", "o", inner)
        stored = [f"pair(e{n}, o{n})" for n in names]
    else:
        places += _input_transform("word", "e", inner)
        stored = [f"e{n}" for n in names]
    for index, value in enumerate(stored):
        places += f"{inner}store_{word}(v, ({index} * v_size + t * {tiles} + p) * 16, {value})\n"

    # The small matrix products: as in ``products``, with tiles in place of positions and one sum for each of 16 points.
    steps = "".join(f"{inner}    v{p} = load_{word}(v, (line + t * {tiles} + {p}) * 16)\n" for p in range(tiles))
    for k in range(outputs):
        steps += f"{inner}    w{k} = broadcast_{word}(w, weights + t * num_outputs + {k})\n"
        steps += "".join(f"{inner}    a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(tiles))
    pairs = [(p, k) for k in range(outputs) for p in range(tiles)]
    zeros = "".join(f"{inner}a{p}_{k} = nothing\n" for p, k in pairs)
    kept = "".join(f"{inner}store_f(m, (z * m_size + (o + {k}) * {tiles} + {p}) * 16, a{p}_{k})\n" for p, k in pairs)

    # Sums stay float32 until the output is transformed; only y is rounded.
    finish = ""
    channels = range(2 if target == "b" else 1)
    for c in channels:
        for index, n in enumerate(names):
            finish += f"{inner}m{n} = load_f(m, ({index} * m_size + (o + {c}) * {tiles} + p) * 16)\n"
        finish += f"{inner}base = broadcast_f(bias, o + {c})\n" + _output_transform("m", f"y{c}", inner)
        for n in ("00", "01", "10", "11"):
            finish += f"{inner}y{c}{n} = add(y{c}{n}, base)\n"
            if activation == "relu":
                finish += f"{inner}y{c}{n} = maximum(nothing, y{c}{n})\n"
    for n in ("00", "01", "10", "11"):
        at = f"(outlet + ({n[0]} * y_width + {n[1]}) * y_channels + o{' // 2' if target == 'b' else ''}) * 16"
        finish += (
            f"{inner}store_i(y, {at}, pair(y0{n}, y1{n}))\n" if target == "b" else f"{inner}store_f(y, {at}, y0{n})\n"
        )
    kind = "int32" if source == "b" else "float32"
    return compiled(
        "winograd",
        "x[] w[] bias[] y[] blocks x_height x_width channels num_outputs height width y_height y_width margin_top "
        "margin_left y_channels",
        # One vector more than needed between points of a tile: else a power of two of channels would put all sixteen
        # points of one channel into the same cache sets.
        f"""    nothing = splat(ZERO)
    v_size, m_size = channels * {tiles} + 1, num_outputs * {tiles} + 1
    v = np.empty({POINTS} * v_size * 16, np.{kind})
    m = np.empty({POINTS} * m_size * 16, np.float32)
    tiles_across = (width + 1) // 2
    all_tiles = (height + 1) // 2 * tiles_across
    x_line = x_width * channels
    groups = (all_tiles + {tiles - 1}) // {tiles}
    for job in range(blocks * part // parts * groups, blocks * (part + 1) // parts * groups):
        b, first = job // groups, min(job % groups * {tiles}, all_tiles - {tiles})
        for p in range({tiles}):
            i = min((first + p) // tiles_across * 2, height - 2)
            j = min((first + p) % tiles_across * 2, width - 2)
            corner = ((b * x_height + i) * x_width + j) * channels
            for t in range(channels):
{places}        for z in range({POINTS}):
            line = z * v_size
            for wanted in range(0, num_outputs, {outputs}):
                o = min(wanted, num_outputs - {outputs})
                weights = z * channels * num_outputs + o
{zeros}                for t in range(channels):
{steps}{kept}        for p in range({tiles}):
            i = min((first + p) // tiles_across * 2, height - 2) + margin_top
            j = min((first + p) % tiles_across * 2, width - 2) + margin_left
            outlet = ((b * y_height + i) * y_width + j) * y_channels
            for o in range(0, num_outputs, {len(channels)}):
{finish}""",
    )


@kernel("w[float 1] packed[word 1] inputs outputs stored is_paired is_flipped")
def pack(
    part: int, parts: int, w: Any, packed: Any, inputs: int, outputs: int, stored: int, is_paired: int, is_flipped: int
) -> None:
    """Kernel [3, 3, inputs, outputs] as ``convolution`` reads it, G g G': [16, vectors of inputs, stored].

    Args:
        part, parts: Which share of the vectors to pack.
        w: float32, flat.
        packed: Flat; with ``is_paired`` pairs of bfloat16. What lies beyond must be zero and stays so.
        inputs, outputs, stored: Channels, and of the outputs with padding.
        is_flipped: Turned by half a circle, inputs and outputs exchanged: [16, vectors of outputs, stored].
    """
    summed = outputs if is_flipped else inputs
    written = inputs if is_flipped else outputs
    step = 2 if is_paired else 1
    vectors = (summed + step - 1) // step
    # A row of written channels at a time, so that the inner loops are over contiguous memory.
    g = np.zeros((9, written), np.float32)
    rows = np.zeros((12, written), np.float32)
    transformed = np.zeros((2, 16, written), np.float32)
    bits = transformed.view(np.uint32)
    half = np.float32(0.5)
    for vector in range(vectors * part // parts, vectors * (part + 1) // parts):
        for c in range(step):
            channel = vector * step + c
            if channel >= summed:
                for z in range(16):
                    for k in range(written):
                        transformed[c, z, k] = 0
                continue
            for tap in range(9):
                source = w[
                    ((8 - tap) * inputs * outputs + channel) if is_flipped else (tap * inputs + channel) * outputs :
                ]
                step_between = outputs if is_flipped else 1
                for k in range(written):
                    g[tap, k] = source[k * step_between]
            for v in range(3):
                _transform(g, v, 3, rows, v, 3, half)
            for u in range(4):
                _transform(rows, 3 * u, 1, transformed[c], 4 * u, 1, half)
        for z in range(16):
            target, low, high = packed[(z * vectors + vector) * stored :][:written], bits[0, z], bits[1, z]
            for k in range(written):
                target[k] = _u32(rounded(low[k]) | _u32(rounded(high[k]) << _u32(16))) if is_paired else low[k]


def _transform(source: Any, first: int, between: int, target: Any, start: int, apart: int, half: np.float32) -> None:
    """The product of G with three rows a, b and c of ``source``: a, (a + b + c) / 2, (a - b + c) / 2, c."""
    for k in range(source.shape[1]):
        a, b, c = source[first, k], source[first + between, k], source[first + 2 * between, k]
        outer, inner = half * (a + c), half * b
        target[start, k] = a
        target[start + apart, k] = outer + inner
        target[start + 2 * apart, k] = outer - inner
        target[start + 3 * apart, k] = c
