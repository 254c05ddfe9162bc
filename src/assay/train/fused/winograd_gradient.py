"""The kernel gradient of a convolution by Winograd's filtering: for 3x3, 16 products where the direct sum takes 36.

It is the adjoint of ``winograd.convolution``: from Y = A'[(G g G') * (B' d B)] A follows
dL/dg = G' [sum over tiles of (A dY A') * (B' d B)] G (Lavin and Gray, 2016, section 4.3). Layouts: see ``buffers``.

Some tiles at a time, of one image block after another: transform their pixels (``v``) and their output gradients
(``e``), and add the products of all channels with all outputs to the sums of a tile's points. A point's operands are
small enough for the first-level cache. Sums over lanes are taken once for so many tiles.

In bfloat16 a word holds the transformed values of two blocks of images, rounded once; the transforms and all sums are
float32.
"""

from __future__ import annotations

import math
from functools import cache

from . import vectors
from .buffers import Mode
from .compiler import Kernel, compiled
from .filtering import CONSTANTS, FIVE, SMALL, WIDE, Filtering
from .products import in_parts, lane_sums

# F(2, 3) by rows, for transforms that have few registers: rows of B' and of A, each with the rows of the tile it reads.
_PIXEL_ROWS = (
    ("sub({0}, {2})", (0, 2)),
    ("add({1}, {2})", (1, 2)),
    ("sub({2}, {1})", (1, 2)),
    ("sub({1}, {3})", (1, 3)),
)
_GRADIENT_ROWS = (("{0}", (0,)), ("add({0}, {1})", (0, 1)), ("sub({0}, {1})", (0, 1)), ("sub(nothing, {1})", (1,)))
_CACHE_BYTES = 1_000_000  # of transformed operands: about a core's second-level cache
# What a tile's transforms were measured to take for each channel, in products. In bfloat16 a product is of two images,
# and transforms are not.
_TRANSFORMS = {SMALL: 150, WIDE: 700, FIVE: 340}
_PAIRED_TRANSFORM = 290  # of SMALL
_REORDERING = 33  # of a direct sum's operands, for each channel of a pixel


def block() -> tuple[int, int]:
    """Input channels, and outputs, whose products are accumulated at once."""
    return (4, 4) if vectors.PARTS == 1 else (4, 3)


def choice(
    kernel: tuple[int, int], height: int, width: int, inputs: int, outputs: int, *, is_paired: bool
) -> Filtering | None:
    """The filtering that is clearly faster than the direct sum. A formula, since the choice changes the last bits.

    Args:
        kernel: Height and width, without stride.
        height, width: Of the output.
        inputs, outputs: Channels.
        is_paired: In bfloat16, where only F(2, 3) is exact enough.
    """
    best = None
    least = height * width * (math.prod(kernel) * inputs * outputs + _REORDERING * (inputs + outputs)) / 1.2
    padded = math.ceil(inputs / 4) * 4 * math.ceil(outputs / 4) * 4  # whatever ``block`` is, which must not change bits
    for filtering, transform in _TRANSFORMS.items():
        if kernel != (filtering.taps, filtering.taps) or min(height, width) < filtering.outputs:
            continue
        if is_paired and filtering is not SMALL:
            continue
        tiles = math.ceil(height / filtering.outputs) * math.ceil(width / filtering.outputs)
        cost = (_PAIRED_TRANSFORM if is_paired else transform) * (inputs + outputs)
        cost = tiles * (filtering.products * padded + cost)
        if cost <= least:
            best, least = filtering, cost
    return best


def chunk_of(filtering: Filtering, inputs: int, outputs: int) -> int:
    """Tiles that are transformed at a time: as many as the cache holds, within reason."""
    return max(16, min(32, _CACHE_BYTES // (filtering.products * 64 * (inputs + outputs)) // 8 * 8))


@cache
def kernel_gradient(filtering: Filtering, mode: Mode) -> Kernel:
    """g = x * d summed over images and positions, for square kernels without stride: [taps, taps, channels, outputs].

    Threads share groups of input channels; each transforms the output gradient for itself. So an element of g is summed
    by one thread, in the order of tiles.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), vectors a pixel in x, input
    channels, output channels, output height and width (no less than a tile's), d height and width (with margin), d
    margins at top and left, vectors a pixel in d, tiles at a time.
    """
    num_x, num_d = block()
    step_of, lanes = {"x": num_x, "d": num_d}, vectors.PART_LANES
    word = "i" if mode == "b" else "f"
    per_word = 2 if mode == "b" else 1
    tile, taps, points = filtering.outputs, filtering.taps, filtering.products
    names = [f"{u}{v}" for u in range(filtering.points) for v in range(filtering.points)]
    deep = " " * 16

    def at_once(source: str, first: str, array: str) -> str:
        """Source that transforms one vector of channels of a tile of one block."""
        sides = range(filtering.points if source == "x" else tile)
        text = f"{deep}place0 = {first} + c * 16\n"
        text += "".join(f"{deep}place{r} = place{r - 1} + {source}_line\n" for r in sides[1:])
        for r in sides:
            for v in sides:
                loaded = f"load_f({source}, place{r}" + (f" + {source}_{v})" if v else ")")
                text += f"{deep}w{r}{v} = " + (f"mul({loaded}, keep{r}{v})\n" if source == "d" else f"{loaded}\n")
        text += (filtering.pixels if source == "x" else filtering.gradients)("w", "p", deep)
        text += f"{deep}channel = c{' - first_channel' if source == 'x' else ''}\n"
        step = step_of[source]
        text += f"{deep}at = ((channel // {step} * chunk + t) * {step} + channel % {step}) * {lanes}\n"
        for name in names:
            if vectors.PARTS == 1:
                text += f"{deep}store_f({array}, at, p{name})\n"
            else:
                text += f"{deep}store_h({array}, at, low_half(p{name}))\n"
                text += f"{deep}store_h({array}, {array}_half + at, high_half(p{name}))\n"
            text += f"{deep}at += {array}_point\n"
        return text

    def by_rows(source: str, blocks: dict[str, str], array: str) -> str:
        """Source that transforms a tile of two blocks in bfloat16, a row of points at a time: few registers are live.

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
        step = step_of[source]
        for half in range(2):
            text += f"{deep}channel = 2 * c + {half}{' - first_channel' if source == 'x' else ''}\n"
            text += f"{deep}at = ((channel // {step} * chunk + t) * {step} + channel % {step}) * 16\n"
            for u in range(4):
                for letter in blocks:
                    for r in rows[u][1]:
                        for v in range(width):
                            loaded = f"load_i({source}, {letter}{r}" + (f" + {source}_{v})" if v else ")")
                            loaded = f"{'high' if half else 'low'}({loaded})"
                            factors = [f"keep{r}{v}"] * (source == "d") + ["has_partner"] * (letter == "b")
                            for factor in factors:
                                loaded = f"mul({loaded}, {factor})"
                            text += f"{deep}w{r}{v} = {loaded}\n"
                    for v in range(width):
                        text += f"{deep}r{v} = {rows[u][0].format(*(f'w{r}{v}' for r in range(4)))}\n"
                    for v in range(4):
                        text += f"{deep}p{letter}{v} = {rows[v][0].format(*(f'r{r}' for r in range(4)))}\n"
                for v in range(4):
                    text += f"{deep}store_i({array}, at, pair(pa{v}, pb{v}))\n{deep}at += {array}_point\n"
        return text

    if mode == "b":
        inputs = by_rows("x", {"a": "corner", "b": "other"}, "v")
        outputs = by_rows("d", {"a": "place", "b": "partner"}, "e")
    else:
        inputs, outputs = at_once("x", "corner", "v"), at_once("d", "place", "e")

    kept = "".join(
        f"            {axis}{r} = keep\n            if {axis}_overlap > {r}:\n                {axis}{r} = nothing\n"
        for axis in ("row", "column")
        for r in range(tile)
    )
    kept += "".join(f"            keep{r}{v} = mul(row{r}, column{v})\n" for r in range(tile) for v in range(tile))
    names_of_sums = [f"a{i}_{k}" for i in range(num_x) for k in range(num_d)]
    multiply = "dot({a}, v{i}, e{k})" if mode == "b" else "fma(v{i}, e{k}, {a})"
    if vectors.PARTS == 2:
        word, multiply = "h", "fma_h(v{i}, e{k}, {a})"
    products = "".join(f"{deep}e{k} = load_{word}(e, there + {lanes * k})\n" for k in range(num_d))
    for i in range(num_x):
        products += f"{deep}v{i} = load_{word}(v, here + {lanes * i})\n"
        products += "".join(f"{deep}a{i}_{k} = {multiply.format(a=f'a{i}_{k}', i=i, k=k)}\n" for k in range(num_d))
    loop = f"""            here = half * v_half + z * v_point + i * chunk * {num_x * lanes}
            there = half * e_half + z * e_point + k * chunk * {num_d * lanes}
            for _ in range(count):
{products}                here += {num_x * lanes}
                there += {num_d * lanes}
"""
    sums, summed = in_parts(names_of_sums, loop, " " * 12)
    num_sums, reduced = lane_sums(sums, " " * 12)
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
        finish += filtering.kernels("m", "y", " " * 12)
        finish += "".join(
            f"            store_f(kernel, ({u * taps + v} * {lines} + {n}) * 16, y{u}{v})\n"
            for u in range(taps)
            for v in range(taps)
        )
    columns = "".join(
        f"    {name}_{v} = {v} * {name}_vectors * 16\n"
        for name, count in (("x", filtering.points), ("d", tile))
        for v in range(1, count)
    )
    kind = "int32" if mode == "b" else "float32"
    return compiled(
        "winograd_gradient",
        "x[] d[] g[float] blocks x_height x_width x_vectors channels num_outputs height width d_height d_width d_top "
        "d_left d_vectors chunk",
        f"""{CONSTANTS}    nothing, keep = splat(ZERO), splat(np.float32(1))
    all_groups = (channels + {num_x - 1}) // {num_x}
    first_group, end_group = all_groups * part // parts, all_groups * (part + 1) // parts
    groups, first_channel = end_group - first_group, first_group * {num_x}
    if groups == 0:
        return
    d_groups = (num_outputs + {num_d - 1}) // {num_d}
    # One vector more than needed: else a power of two of channels would put all points into the same cache sets.
    v_point, e_point = (groups * chunk * {num_x} + 1) * {lanes}, (d_groups * chunk * {num_d} + 1) * {lanes}
    v_half, e_half = {points} * v_point, {points} * e_point  # of the second part, if there are two
    v, e = np.empty({vectors.PARTS} * v_half, np.{kind}), np.empty({vectors.PARTS} * e_half, np.{kind})
    # Channels that fill up a last group are never written.
    if channels % {num_x}:
        v[:] = 0
    if num_outputs % {num_d}:
        e[:] = 0
    m = np.zeros({points} * groups * d_groups * {num_sums}, np.float32)
    sums, kernel = np.empty({num_sums}, np.float32), np.empty({taps**2 * num_sums}, np.float32)
    lanes = np.empty({16 * len(sums)}, np.float32)
    tiles_across = (width + {tile - 1}) // {tile}
    image_tiles = (height + {tile - 1}) // {tile} * tiles_across
    units = (blocks + {per_word - 1}) // {per_word}
    m_point = groups * d_groups * {num_sums}
    x_line, d_line = x_width * x_vectors * 16, d_width * d_vectors * 16
{columns}    begin = first_channel // {per_word}
    end = min(x_vectors, (end_group * {num_x}) // {per_word})
    for start in range(0, units * image_tiles, chunk):
        count = min(chunk, units * image_tiles - start)
        for t in range(count):
            b = (start + t) // image_tiles * {per_word}
            i = (start + t) % image_tiles // tiles_across * {tile}
            j = (start + t) % tiles_across * {tile}
            # A last tile may overlap the one before, whose part is left out.
            row_overlap, column_overlap = max(0, i - (height - {tile})), max(0, j - (width - {tile}))
            i, j = i - row_overlap, j - column_overlap
{kept}            partner_block, has_partner = b + 1, keep
            if partner_block >= blocks:
                partner_block, has_partner = b, nothing
            corner = ((b * x_height + i) * x_width + j) * x_vectors * 16
            other = ((partner_block * x_height + i) * x_width + j) * x_vectors * 16
            place = ((b * d_height + i + d_top) * d_width + j + d_left) * d_vectors * 16
            partner = ((partner_block * d_height + i + d_top) * d_width + j + d_left) * d_vectors * 16
            for c in range(begin, end):
{inputs}            for c in range(d_vectors):
{outputs}        for job in range({points} * groups * d_groups):
            z, i, k = job // (groups * d_groups), job // d_groups % groups, job % d_groups
{summed}{reduced}{added}    for i in range(groups):
        for k in range(d_groups):
{finish}            for a in range(min({num_x}, channels - first_channel - i * {num_x})):
                for o in range(min({num_d}, num_outputs - k * {num_d})):
                    for tap in range({taps**2}):
                        at = (tap * channels + first_channel + i * {num_x} + a) * num_outputs + k * {num_d} + o
                        g[at] = kernel[tap * {num_sums} + a * {num_d} + o]
""",
    )
