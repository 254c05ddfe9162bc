"""The kernel gradient of a convolution, summed directly: g = x * d over images and positions. Layouts: see ``buffers``.

Every element of g reads all of an image and of its output gradient, so both are first copied, some rows at a time, to
where they can be read fast: into the second-level cache, a few channels of a picture side by side. Read where they lie,
a channel's pixels would be as far apart as a pixel is long, often a power of two, and share few cache sets.

In bfloat16 the copy also brings pairs of channels to pairs of blocks, since sums over images need the latter.
"""

from __future__ import annotations

import math
from functools import cache

from . import vectors
from .buffers import Mode
from .compiler import Kernel, compiled
from .products import in_parts, lane_sums

_NEAR_VECTORS = 6_000  # of x that stay in the second-level cache while the gradient of y streams past: 384 kB
_BAND_VECTORS = 12_000  # of x and d together in a band of rows: 768 kB


def band_rows(
    height: int, width: int, outputs: int, *, channels: int, kernel_height: int, kernel_width: int, stride: int
) -> int:
    """Rows of output that are copied at a time: as many as fit the cache with their pixels, in bands of like size.

    Not fewer than the kernel has rows, or most pixels would be copied again and again.

    Args:
        height, width, outputs: Of the output.
        channels: Of the input.
        kernel_height, kernel_width, stride: Of the convolution.
    """
    x_width = (width - 1) * stride + kernel_width
    row = stride * x_width * channels + width * outputs
    most = max(kernel_height, (_BAND_VECTORS - (kernel_height - stride) * x_width * channels) // row)
    return math.ceil(height / math.ceil(height / min(most, height)))


@cache
def kernel_gradient(mode: Mode, source: Mode, taps: int, outputs: int) -> Kernel:
    """g = x * d summed over images and positions: [kernel height, kernel width, channels, output channels].

    A job is a block of gradient elements: some taps of one kernel row in one group of channels, times some outputs. It
    sums over the positions of a band of rows in registers, then over lanes, and adds to its sums in ``m``. Threads
    share jobs, and each goes through the images in order: so an element of g is summed by one thread, in one order.
    Groups of x that fit the cache together go through all of d before the next ones.

    Args:
        mode: Of d and of the products.
        source: Of x: images are float32 in either mode.
        taps, outputs: Of a job.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), vectors a pixel in x, channels,
    channels of a group, kernel height and width, stride, output channels, output height and width, d height and width
    (with margin), d margins at top and left, vectors a pixel in d, rows of a band.
    """
    names = [f"a{t}_{k}" for t in range(taps) for k in range(outputs)]
    word, multiply = ("i", "dot({a}, v{t}, d{k})") if mode == "b" else ("f", "fma(v{t}, d{k}, {a})")
    if vectors.PARTS == 2:
        word, multiply = "h", "fma_h(v{t}, d{k}, {a})"
    lanes = vectors.PART_LANES
    indent = " " * 24
    steps = "".join(f"{indent}d{k} = load_{word}(ds, there + {k * lanes})\n" for k in range(outputs))
    for t in range(taps):
        steps += f"{indent}v{t} = load_{word}(xs, here + {t * lanes})\n"
        steps += "".join(f"{indent}a{t}_{k} = {multiply.format(a=f'a{t}_{k}', t=t, k=k)}\n" for k in range(outputs))
    loop = f"""                for i in range(depth):
                    here = half * x_half + (p * x_size + (i * stride + u) * x_columns * x_group + tap) * {lanes}
                    there = half * d_half + (q * d_size + i * width * {outputs}) * {lanes}
                    for _ in range(width):
{steps}                        here += stride * x_group * {lanes}
                        there += {outputs * lanes}
"""
    whole, summed = in_parts(names, loop, " " * 16)
    num_sums, reduced = lane_sums(whole, " " * 16)
    added = "".join(
        f"                at = (index - begin) * {num_sums} + {n}\n"
        f"                store_f(m, at, add(load_f(m, at), load_f(sums, {n})))\n"
        for n in range(0, num_sums, 16)
    )

    def per_word(of: Mode) -> int:
        return 2 if of == "b" else 1

    x_copied = _copied("x", "xs", source, mode, "x_group", "x_size")
    d_copied = _copied("d", "ds", mode, mode, str(outputs), "d_size")
    kind = "int32" if mode == "b" else "float32"
    parameters = (
        "x[] d[] g[float] blocks x_height x_width x_vectors channels x_group kernel_height kernel_width stride "
        "num_outputs height width d_height d_width d_top d_left d_vectors rows"
    )
    # Jobs are numbered by near groups of x, outputs, group, kernel row and taps. Where the last taps of a row overlap
    # those before (``wanted`` > ``tap``), they are summed again but not written twice.
    job = f"""block = index // (near * row_jobs * d_groups)
            jobs = min(near, x_groups - block * near) * row_jobs
            within = index - block * near * row_jobs * d_groups
            q, job = within // jobs, within % jobs
            p = block * near + job // row_jobs
            u = job // chunks % kernel_height
            wanted = job % chunks * {taps}
            tap = min(wanted, row_taps - {taps})"""
    source_text = f"""    nothing = splat(ZERO)
    x_groups, d_groups = (channels + x_group - 1) // x_group, (num_outputs + {outputs - 1}) // {outputs}
    row_taps = kernel_width * x_group
    chunks = (row_taps + {taps - 1}) // {taps}
    row_jobs = kernel_height * chunks
    begin, end = d_groups * x_groups * row_jobs * part // parts, d_groups * x_groups * row_jobs * (part + 1) // parts
    if begin == end:
        return
    x_rows, x_columns = (rows - 1) * stride + kernel_height, (width - 1) * stride + kernel_width
    x_size, d_size = x_rows * x_columns * x_group, rows * width * {outputs}
    near = max(1, {_NEAR_VECTORS} // x_size)
    # Stored channels, an even number in bfloat16, may take a group more; zeros where they do not fill up a last one.
    x_stored, d_stored = x_vectors * {per_word(source)}, d_vectors * {per_word(mode)}
    x_half = (x_stored + x_group - 1) // x_group * x_size * 8
    d_half = (d_stored + {outputs - 1}) // {outputs} * d_size * 8
    xs, ds = np.zeros(2 * x_half, np.{kind}), np.zeros(2 * d_half, np.{kind})
    lanes = np.empty({16 * len(names)}, np.float32)
    m, sums = np.zeros((end - begin) * {num_sums}, np.float32), np.empty({num_sums}, np.float32)
    for b in range(0, blocks, {per_word(mode)}):
        for top in range(0, height, rows):
            depth = min(rows, height - top)
            for i in range((depth - 1) * stride + kernel_height):
                for j in range(x_columns):
                    here = ((b * x_height + top * stride + i) * x_width + j) * x_vectors
                    other = here + x_height * x_width * x_vectors
                    there = (i * x_columns + j) * x_group
{x_copied}            for i in range(depth):
                for j in range(width):
                    here = ((b * d_height + top + i + d_top) * d_width + j + d_left) * d_vectors
                    other = here + d_height * d_width * d_vectors
                    there = (i * width + j) * {outputs}
{d_copied}            for index in range(begin, end):
                {job.replace(chr(10) + "            ", chr(10) + "                ")}
{summed}{reduced}{added}    for index in range(begin, end):
            {job}
            for t in range(wanted - tap, {taps}):
                c = p * x_group + (tap + t) % x_group
                if c < channels:
                    row = ((u * kernel_width + (tap + t) // x_group) * channels + c) * num_outputs + q * {outputs}
                    for k in range(min({outputs}, num_outputs - q * {outputs})):
                        g[row + k] = m[(index - begin) * {num_sums} + t * {outputs} + k]
"""
    return compiled("kernel_gradient", parameters, source_text)


def _copied(array: str, target: str, source: Mode, mode: Mode, group: str, size: str) -> str:
    """Source that copies the vectors of a pixel to groups of channels, in the form that sums over images need.

    Args:
        array, target: From where, to where.
        source: Mode of the array.
        mode: Of the target: "b" is pairs of blocks, the last of an odd number with zeros.
        group, size: Channels of a group, and vectors of its picture.

    In two parts, the first lanes of all vectors come before the last ones.
    """
    indent = " " * 20
    place = f"({{c}} // {group} * {size} + there + {{c}} % {group}) * {vectors.PART_LANES}"
    if vectors.PARTS == 2:
        halves = "".join(
            f"{indent}    store_h({target}, {n} * {array}_half + at, load_h({array}, (here + c) * 16 + {8 * n}))\n"
            for n in range(2)
        )
        return f"{indent}for c in range({array}_vectors):\n{indent}    at = {place.format(c='c')}\n" + halves
    if mode == "f":
        return (
            f"{indent}for c in range({array}_vectors):\n"
            f"{indent}    store_f({target}, {place.format(c='c')}, load_f({array}, (here + c) * 16))\n"
        )
    if source == "f":
        return (
            f"{indent}for c in range({array}_vectors):\n"
            f"{indent}    second = splat(ZERO)\n"
            f"{indent}    if b + 1 < blocks:\n"
            f"{indent}        second = load_f({array}, (other + c) * 16)\n"
            f"{indent}    store_i({target}, {place.format(c='c')}, pair(load_f({array}, (here + c) * 16), second))\n"
        )
    return (
        f"{indent}for c in range({array}_vectors):\n"
        f"{indent}    first = load_i({array}, (here + c) * 16)\n"
        f"{indent}    second = splat_i(np.uint32(0))\n"
        f"{indent}    if b + 1 < blocks:\n"
        f"{indent}        second = load_i({array}, (other + c) * 16)\n"
        f"{indent}    even, odd = 2 * c, 2 * c + 1\n"
        f"{indent}    store_i({target}, {place.format(c='even')}, interleave_low(first, second))\n"
        f"{indent}    store_i({target}, {place.format(c='odd')}, interleave_high(first, second))\n"
    )
