"""The kernel gradient of a 3x3 convolution by Winograd's filtering: 16 products where the direct sum takes 36.

It is the adjoint of ``winograd.convolution``: from Y = A'[(G g G') * (B' d B)] A follows
dL/dg = G' [sum over tiles of (A dY A') * (B' d B)] G (Lavin and Gray, 2016, section 4.3). Layouts: see ``buffers``.

Some tiles at a time, of one image block after another: transform their pixels (``v``) and their output gradients
(``e``), and add the products of all channels with all outputs to the sums of the sixteen points. A point's operands are
small enough for the first-level cache; all of them for the second. Sums over lanes are taken once for so many tiles.

In bfloat16 a word holds the transformed values of two blocks of images, rounded once; the transforms and all sums are
float32.
"""

from __future__ import annotations

import math
from functools import cache

from . import vectors
from .buffers import Mode
from .compiler import Kernel, compiled
from .products import lane_sums
from .winograd import POINTS

# The rows of B' and of A, each with the rows of the tile that it reads.
_PIXEL_ROWS = (
    ("sub({0}, {2})", (0, 2)),
    ("add({1}, {2})", (1, 2)),
    ("sub({2}, {1})", (1, 2)),
    ("sub({1}, {3})", (1, 3)),
)
_GRADIENT_ROWS = (("{0}", (0,)), ("add({0}, {1})", (0, 1)), ("sub({0}, {1})", (0, 1)), ("sub(nothing, {1})", (1,)))
_CACHE_BYTES = 1_000_000  # of transformed operands: about a core's second-level cache


def side() -> int:
    """Input channels, and outputs, whose products are accumulated at once."""
    return 4 if vectors.ACCUMULATORS >= 16 else 2


def is_worthwhile(height: int, width: int, inputs: int, outputs: int, *, is_paired: bool) -> bool:
    """Whether this is clearly faster than the direct sum. A formula, since the choice changes the last bits.

    Args:
        height, width: Of the output.
        inputs, outputs: Channels.
        is_paired: In bfloat16, where a product is of two images, and transforms are not.

    A tile's transforms were measured to take as long as 150 products for each channel in float32, and 290 for the two
    images of a pair; the direct sum's reordering of its operands as 33 for each channel of a pixel.
    """
    if height < 2 or width < 2:
        return False
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    padded = 16 * math.ceil(inputs / 4) * math.ceil(outputs / 4)  # whatever ``side`` is, which must not change bits
    tiled = tiles * (POINTS * padded + (290 if is_paired else 150) * (inputs + outputs))
    return 1.2 * tiled <= height * width * (9 * inputs * outputs + 33 * (inputs + outputs))


def chunk_of(inputs: int, outputs: int) -> int:
    """Tiles that are transformed at a time: as many as the cache holds, within reason."""
    return max(16, min(32, _CACHE_BYTES // (POINTS * 64 * (inputs + outputs)) // 8 * 8))


@cache
def kernel_gradient(mode: Mode) -> Kernel:
    """g = x * d summed over images and positions, for kernels of 3x3 without stride: [3, 3, channels, output channels].

    Threads share groups of input channels; each transforms the output gradient for itself. So an element of g is summed
    by one thread, in the order of tiles.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), vectors a pixel in x, input
    channels, output channels, output height and width (at least 2), d height and width (with margin), d margins at top
    and left, vectors a pixel in d, tiles at a time.
    """
    step = side()
    word = "i" if mode == "b" else "f"
    per_word = 2 if mode == "b" else 1
    names = [f"{u}{v}" for u in range(4) for v in range(4)]
    deep = " " * 16

    def transform(source: str, blocks: dict[str, str], array: str) -> str:
        """Source that transforms one vector of channels of a tile, a row of points at a time: few registers are live.

        Args:
            source: The array of pixels ("x") or of gradients ("d").
            blocks: By letter, the name of the tile's first pixel in each block of a word.
            array: Where to.
        """
        rows = _PIXEL_ROWS if source == "x" else _GRADIENT_ROWS
        width = 4 if source == "x" else 2
        # Addresses are sums of two names: the time to compile goes with the number of operations.
        text = "".join(f"{deep}{letter}0 = {first} + c * 16\n" for letter, first in blocks.items())
        text += "".join(
            f"{deep}{letter}{r} = {letter}{r - 1} + {source}_line\n" for letter in blocks for r in range(1, width)
        )
        for half in range(per_word):
            channel = "c" if mode == "f" else f"2 * c + {half}"
            channel += " - first_channel" if source == "x" else ""
            text += f"{deep}channel = {channel}\n"
            text += f"{deep}at = ((channel // {step} * chunk + t) * {step} + channel % {step}) * 16\n"
            for u in range(4):
                for letter in blocks:
                    for r in rows[u][1]:
                        for v in range(width):
                            place = f"{letter}{r} + {source}_{v}" if v else f"{letter}{r}"
                            loaded = f"load_{word}({source}, {place})"
                            if mode == "b":
                                loaded = f"{'high' if half else 'low'}({loaded})"
                            factors = ["row_factor"] * (source == "d" and r == 0) + ["column_factor"] * (
                                source == "d" and v == 0
                            )
                            factors += ["has_partner"] * (letter == "b")
                            for factor in factors:
                                loaded = f"mul({loaded}, {factor})"
                            text += f"{deep}w{r}{v} = {loaded}\n"
                    for v in range(width):
                        text += f"{deep}r{v} = {rows[u][0].format(*(f'w{r}{v}' for r in range(4)))}\n"
                    for v in range(4):
                        text += f"{deep}p{letter}{v} = {rows[v][0].format(*(f'r{r}' for r in range(4)))}\n"
                for v in range(4):
                    value = f"pa{v}" if mode == "f" else f"pair(pa{v}, pb{v})"
                    text += f"{deep}store_{word}({array}, at, {value})\n{deep}at += {array}_point\n"
        return text

    inputs = transform("x", {"a": "corner", "b": "other"} if mode == "b" else {"a": "corner"}, "v")
    outputs = transform("d", {"a": "place", "b": "partner"} if mode == "b" else {"a": "place"}, "e")

    sums = [f"a{i}_{k}" for i in range(step) for k in range(step)]
    num_sums, reduced = lane_sums(sums, " " * 12)
    multiply = "dot({a}, v{i}, e{k})" if mode == "b" else "fma(v{i}, e{k}, {a})"
    inner = " " * 16
    products = "".join(f"{inner}v{i} = load_{word}(v, here + {16 * i})\n" for i in range(step))
    products += "".join(f"{inner}e{k} = load_{word}(e, there + {16 * k})\n" for k in range(step))
    products += "".join(
        f"{inner}a{i}_{k} = {multiply.format(a=f'a{i}_{k}', i=i, k=k)}\n" for i in range(step) for k in range(step)
    )
    lines = num_sums // 16
    added = "".join(
        f"            store_f(m, (job * {lines} + {n}) * 16, add(load_f(m, (job * {lines} + {n}) * 16), "
        f"load_f(sums, {16 * n})))\n"
        for n in range(lines)
    )
    finish = ""
    for n in range(lines):
        finish += f"            at = ((i * d_groups + k) * {lines} + {n}) * 16\n"
        finish += "".join(f"            m{name} = load_f(m, at)\n            at += m_point\n" for name in names)
        finish += _kernel_transform("m", "y", " " * 12)
        finish += "".join(
            f"            store_f(nine, ({u * 3 + v} * {lines} + {n}) * 16, y{u}{v})\n"
            for u in range(3)
            for v in range(3)
        )
    kind = "int32" if mode == "b" else "float32"
    return compiled(
        "winograd_gradient",
        "x[] d[] g[float] blocks x_height x_width x_vectors channels num_outputs height width d_height d_width d_top "
        "d_left d_vectors chunk",
        f"""    nothing = splat(ZERO)
    keep = splat(np.float32(1))
    all_groups = (channels + {step - 1}) // {step}
    first_group, end_group = all_groups * part // parts, all_groups * (part + 1) // parts
    groups, first_channel = end_group - first_group, first_group * {step}
    if groups == 0:
        return
    d_groups = (num_outputs + {step - 1}) // {step}
    # One vector more than needed: else a power of two of channels would put all points into the same cache sets.
    v_size, e_size = groups * chunk * {step} + 1, d_groups * chunk * {step} + 1
    v = np.empty({POINTS} * v_size * 16, np.{kind})
    e = np.empty({POINTS} * e_size * 16, np.{kind})
    # Channels that fill up a last group are never written.
    if channels % {step}:
        v[:] = 0
    if num_outputs % {step}:
        e[:] = 0
    m = np.zeros({POINTS} * groups * d_groups * {num_sums}, np.float32)
    sums, nine = np.empty({num_sums}, np.float32), np.empty({9 * num_sums}, np.float32)
    tiles_across = (width + 1) // 2
    image_tiles = (height + 1) // 2 * tiles_across
    units = (blocks + {per_word - 1}) // {per_word}
    v_point, e_point, m_point = v_size * 16, e_size * 16, groups * d_groups * {num_sums}
    x_line, d_line = x_width * x_vectors * 16, d_width * d_vectors * 16
    x_1, x_2, x_3, d_1 = x_vectors * 16, 2 * x_vectors * 16, 3 * x_vectors * 16, d_vectors * 16
    begin = first_channel // {per_word}
    end = min(x_vectors, (end_group * {step}) // {per_word})
    for start in range(0, units * image_tiles, chunk):
        count = min(chunk, units * image_tiles - start)
        for t in range(count):
            b = (start + t) // image_tiles * {per_word}
            i = (start + t) % image_tiles // tiles_across * 2
            j = (start + t) % tiles_across * 2
            # A last tile of an odd number of rows or columns overlaps the one before, whose part is left out.
            row_factor, column_factor = keep, keep
            if i > height - 2:
                i, row_factor = height - 2, nothing
            if j > width - 2:
                j, column_factor = width - 2, nothing
            partner_block, has_partner = b + 1, keep
            if partner_block >= blocks:
                partner_block, has_partner = b, nothing
            corner = ((b * x_height + i) * x_width + j) * x_vectors * 16
            other = ((partner_block * x_height + i) * x_width + j) * x_vectors * 16
            place = ((b * d_height + i + d_top) * d_width + j + d_left) * d_vectors * 16
            partner = ((partner_block * d_height + i + d_top) * d_width + j + d_left) * d_vectors * 16
            for c in range(begin, end):
{inputs}            for c in range(d_vectors):
{outputs}        for job in range({POINTS} * groups * d_groups):
            z, i, k = job // (groups * d_groups), job // d_groups % groups, job % d_groups
            here = (z * v_size + i * chunk * {step}) * 16
            there = (z * e_size + k * chunk * {step}) * 16
{"".join(f"            {name} = nothing{chr(10)}" for name in sums)}\
            for _ in range(count):
{products}                here += {16 * step}
                there += {16 * step}
{reduced}{added}    for i in range(groups):
        for k in range(d_groups):
{finish}            for a in range(min({step}, channels - first_channel - i * {step})):
                for o in range(min({step}, num_outputs - k * {step})):
                    for tap in range(9):
                        at = (tap * channels + first_channel + i * {step} + a) * num_outputs + k * {step} + o
                        g[at] = nine[tap * {num_sums} + a * {step} + o]
""",
    )


def _kernel_transform(source: str, target: str, indent: str) -> str:
    """Source of G' m G: three rows and columns from four."""
    lines = f"{indent}half = splat(np.float32(0.5))\n"

    def three(m: list[str], to: list[str]) -> str:
        text = f"{indent}outer = mul(half, add({m[1]}, {m[2]}))\n"
        text += f"{indent}{to[0]} = add({m[0]}, outer)\n"
        text += f"{indent}{to[1]} = mul(half, sub({m[1]}, {m[2]}))\n"
        return text + f"{indent}{to[2]} = add(outer, {m[3]})\n"

    for v in range(4):
        lines += three([f"{source}{u}{v}" for u in range(4)], [f"r{u}{v}" for u in range(3)])
    for u in range(3):
        lines += three([f"r{u}{v}" for v in range(4)], [f"{target}{u}{v}" for v in range(3)])
    return lines
