"""The kernels' source. Arrays are flat; shapes count vectors of sixteen lanes.

Activations lie as [block, height, width, channel] of vectors, a block being sixteen images. In ``float32`` a vector holds
one channel; in ``bfloat16`` it holds a pair of channels, two halves of a 32-bit word for each image. Weight gradients
sum over images, so their bfloat16 operands pair two blocks instead ("paired" below).

Every kernel takes ``part`` and ``parts``: which share of its work to do, so that several threads can share one call.
Sums are taken by block and added in a fixed order, so that results are the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .compiler import Kernel, compiled

Mode = Literal["f", "b"]  # float32, or pairs of bfloat16

_REGISTERS = 24  # accumulators that leave room for operands in 32 registers


@dataclass(frozen=True)
class Access:
    """How a mode's vectors are read and written: ``channels`` channels each."""

    mode: Mode

    @property
    def channels(self) -> int:
        return 2 if self.mode == "b" else 1

    def load(self, array: str, index: str, names: list[str], indent: str) -> str:
        """Source that reads one vector's channels into float32 names."""
        if self.mode == "f":
            return f"{indent}{names[0]} = load_f({array}, ({index}) * 16)\n"
        return (
            f"{indent}words = load_i({array}, ({index}) * 16)\n"
            f"{indent}{names[0]} = low(words)\n{indent}{names[1]} = high(words)\n"
        )

    def store(self, array: str, index: str, names: list[str], indent: str) -> str:
        if self.mode == "f":
            return f"{indent}store_f({array}, ({index}) * 16, {names[0]})\n"
        return f"{indent}store_i({array}, ({index}) * 16, pair({names[0]}, {names[1]}))\n"


def blocking(num_outputs: int, width: int, *, is_paired: bool) -> tuple[int, int]:
    """How many output channels and neighbouring positions a convolution accumulates at once."""
    step = 2 if is_paired else 1
    sizes = [size for size in range(16, 0, -1) if size % step == 0 and size <= num_outputs]
    outputs = min(sizes, key=lambda size: (-(-num_outputs // size) * size, -size))
    return outputs, max(1, min(_REGISTERS // outputs, width, 4))


@cache
def convolution(
    source: Mode, target: Mode, activation: str, outputs: int, positions: int, *, is_by_output: bool = False
) -> Kernel:
    """y = activation(x * w + bias); also the gradient of its input, as a convolution with the turned kernel.

    Weights lie as [kernel height, kernel width * vectors, output channels]; with ``is_by_output``, for a kernel of one
    pixel, as [output channels, vectors].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), x margins (they hold
    zeros and are skipped), vectors a pixel in x, kernel height and width, stride, output channels, output height and
    width, y height and width (with margin), y margin at the top and left, vectors a pixel in y.
    """
    pairs = [(p, k) for p in range(positions) for k in range(outputs)]
    multiply = "dot(a{p}_{k}, v{p}, w{k})" if source == "b" else "fma(v{p}, w{k}, a{p}_{k})"
    weight = "(o + {k}) * run + t" if is_by_output else "weights + t * num_outputs + {k}"
    loads = "".join(
        f"                            v{p} = load_{'i' if source == 'b' else 'f'}"
        f"(x, (row + {p} * stride * channels + t) * 16)\n"
        for p in range(positions)
    )
    steps = "".join(
        f"                            w{k} = spread_{'i' if source == 'b' else 'f'}(w, {weight.format(k=k)})\n"
        + "".join(f"                            a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(positions))
        for k in range(outputs)
    )
    finish = ""
    for p in range(positions):
        for k in range(outputs):
            if activation == "relu":
                finish += f"                    a{p}_{k} = larger(nothing, a{p}_{k})\n"
        place = f"((b * y_height + i + margin_top) * y_width + j + {p} + margin_left) * y_channels + o"
        if target == "b":
            for k in range(0, outputs, 2):
                finish += (
                    f"                    store_i(y, (({place.replace('+ o', f'+ (o + {k}) // 2')})) * 16, "
                    f"pair(a{p}_{k}, a{p}_{k + 1}))\n"
                )
        else:
            for k in range(outputs):
                finish += f"                    store_f(y, ({place} + {k}) * 16, a{p}_{k})\n"
    source_text = f"""def convolution(part, parts, x, w, bias, y, blocks, x_height, x_width, top, bottom, left, right, channels,
                kernel_height, kernel_width, stride, num_outputs, height, width, y_height, y_width, margin_top,
                margin_left, y_channels):
    nothing = splat(ZERO)
    run = kernel_width * channels
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for first in range(0, num_outputs, {outputs}):
            o = min(first, num_outputs - {outputs})
            for i in range(height):
                for column in range(0, width, {positions}):
                    j = min(column, width - {positions})
{"".join(f"                    a{p}_{k} = spread_f(bias, o + {k})" + chr(10) for p, k in pairs)}\
                    first_tap = max(0, left - (j + {positions - 1}) * stride) * channels
                    last_tap = min(kernel_width, x_width - right - j * stride) * channels
                    for u in range(max(0, top - i * stride), min(kernel_height, x_height - bottom - i * stride)):
                        row = ((b * x_height + i * stride + u) * x_width + j * stride) * channels
                        weights = u * run * num_outputs + o
                        for t in range(first_tap, last_tap):
{loads}{steps}{finish}"""
    return compiled("convolution", source_text)


@cache
def kernel_gradient(mode: Mode, taps: int, outputs: int) -> Kernel:
    """g += x * d summed over images and positions: [kernel height, kernel width, channels, output channels].

    x lies as [block, group of channels, height, width, channel of the group], d likewise with its own groups, so that
    what is read again and again is small and contiguous (steps of a power of two would share few cache lines). In
    bfloat16 both are paired, and channels are counted singly.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), channels, channels in a group
    of x, kernel height and width, stride, output channels, channels in a group of d, output height and width, d height
    and width (with margin), d margins at top and left.
    """
    names = [f"a{t}_{k}" for t in range(taps) for k in range(outputs)]
    word, multiply = ("i", "dot({a}, v{t}, d{k})") if mode == "b" else ("f", "fma(v{t}, d{k}, {a})")
    indent = " " * 24
    steps = "".join(f"{indent}d{k} = load_{word}(d, (there + {k}) * 16)\n" for k in range(outputs))
    for t in range(taps):
        steps += f"{indent}v{t} = load_{word}(x, (here + {t}) * 16)\n"
        steps += "".join(f"{indent}a{t}_{k} = {multiply.format(a=f'a{t}_{k}', t=t, k=k)}\n" for k in range(outputs))
    finish = ""
    padded = names + ["nothing"] * (-len(names) % 16)
    for start in range(0, len(padded), 16):
        finish += f"                store_f(sums, {start}, totals({', '.join(padded[start : start + 16])}))\n"
    together = "".join(
        f"                            add_at(g, row + {k}, sums, t * {outputs} + {k})\n" for k in range(outputs)
    )
    source_text = f"""def kernel_gradient(part, parts, x, d, g, blocks, x_height, x_width, channels, x_group, kernel_height, kernel_width,
                    stride, num_outputs, d_group, height, width, d_height, d_width, d_top, d_left):
    nothing = splat(ZERO)
    sums = np.empty({len(padded)}, np.float32)
    x_groups, d_groups = (channels + x_group - 1) // x_group, (num_outputs + d_group - 1) // d_group
    run = kernel_width * x_group
    chunks = (run + {taps - 1}) // {taps}
    jobs = x_groups * kernel_height * chunks
    for b in range(blocks):
        for start in range(0, d_groups * d_group, {outputs}):
            q = start // d_group
            first = start % d_group
            o = min(first, d_group - {outputs})
            for job in range(jobs * part // parts, jobs * (part + 1) // parts):
                p = job // (kernel_height * chunks)
                u = job // chunks % kernel_height
                wanted = job % chunks * {taps}
                tap = min(wanted, run - {taps})
{"".join(f"                {name} = nothing" + chr(10) for name in names)}\
                for i in range(height):
                    here = ((b * x_groups + p) * x_height + i * stride + u) * x_width * x_group + tap
                    there = (((b * d_groups + q) * d_height + i + d_top) * d_width + d_left) * d_group + o
                    for _ in range(width):
{steps}                        here += stride * x_group
                        there += d_group
{finish}                for t in range(wanted - tap, {taps}):
                    c = p * x_group + (tap + t) % x_group
                    if c < channels:
                        row = ((u * kernel_width + (tap + t) // x_group) * channels + c) * num_outputs + q * d_group + o
                        if first == o and q * d_group + o + {outputs} <= num_outputs:
{together}                        else:
                            for k in range(first - o, min({outputs}, num_outputs - q * d_group - o)):
                                add_at(g, row + k, sums, t * {outputs} + k)
"""
    return compiled("kernel_gradient", source_text)


@cache
def dense_gradient(mode: Mode, rows: int, columns: int) -> Kernel:
    """g = x * d summed over images: [inputs, outputs]. Lanes are outputs here, so no sum runs across lanes.

    A word of x is one input of one image (in bfloat16, paired: of two images), spread over the lanes; d is turned to
    [image or pair of images, outputs].

    Arguments: part, parts, x [blocks, stored inputs, lane], d [blocks, lane, stored outputs], g, number of blocks, pixels,
    stored channels and channels (inputs are pixels of channels), outputs and stored outputs (whole vectors).
    """
    word, multiply = ("i", "dot({a}, x{r}, d{c})") if mode == "b" else ("f", "fma(x{r}, d{c}, {a})")
    names = [(r, c) for r in range(rows) for c in range(columns)]
    indent = " " * 20
    steps = "".join(f"{indent}d{c} = load_{word}(d, line + {16 * c})\n" for c in range(columns))
    for r in range(rows):
        steps += f"{indent}x{r} = spread_{word}(x, (b * pixels * stored + row{r}) * 16 + lane)\n"
        steps += "".join(f"{indent}a{r}_{c} = {multiply.format(a=f'a{r}_{c}', r=r, c=c)}\n" for c in range(columns))
    finish = ""
    for r in range(rows):
        finish += f"            if t + {r} < last:\n"
        finish += "".join(f"                store_f(own, {16 * c}, a{r}_{c})\n" for c in range(columns))
        finish += f"                for k in range(min({16 * columns}, num_outputs - o)):\n"
        finish += f"                    put_at(g, (t + {r}) * num_outputs + o + k, own, k)\n"
    row_numbers = "".join(
        f"        t{r} = min(t + {r}, last - 1)\n        row{r} = t{r} // channels * stored + t{r} % channels\n"
        for r in range(rows)
    )
    return compiled(
        "dense_gradient",
        f"""def dense_gradient(part, parts, x, d, g, blocks, pixels, stored, channels, num_outputs, stored_outputs):
    nothing = splat(ZERO)
    own = np.empty({16 * columns}, np.float32)
    inputs = pixels * channels
    last = inputs * (part + 1) // parts
    for t in range(inputs * part // parts, last, {rows}):
{row_numbers}        for o in range(0, stored_outputs, {16 * columns}):
{"".join(f"            a{r}_{c} = nothing" + chr(10) for r, c in names)}\
            for b in range(blocks):
                for lane in range(16):
                    line = (b * 16 + lane) * stored_outputs + o
{steps}{finish}""",
    )


@cache
def repair() -> Kernel:
    """Pairs of channels in each block to pairs of blocks for each channel; a block without a partner is paired with 0.

    Arguments: part, parts, source [blocks, pixels, channels / 2], target [blocks / 2, groups, pixels, channels of a
    group], number of blocks, source height and width (with margin), source margins at top and left, height, width,
    vectors a pixel of the source, channels in a group of the target.
    """
    return compiled(
        "repair",
        """def repair(part, parts, source, target, blocks, source_height, source_width, top, left, height, width, channels, group):
    pairs = (blocks + 1) // 2
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
        """def pair_blocks(part, parts, source, target, blocks, size):
    pairs = (blocks + 1) // 2
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
        """def pair_channels(part, parts, source, target, blocks, channels):
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for k in range(channels // 2):
            at = b * channels + 2 * k
            store_i(target, (b * (channels // 2) + k) * 16, pair(load_f(source, at * 16), load_f(source, (at + 1) * 16)))
""",
    )


@cache
def moments(mode: Mode) -> Kernel:
    """Sums of y and of y squared over valid images and all positions, for channels of this part: float64 [2, channels].

    Arguments: part, parts, y, valid (float32, one for each image), sums, number of blocks, pixels, vectors a pixel.
    """
    access = Access(mode)
    names = [f"y{c}" for c in range(access.channels)]
    indent = "                "
    zero = "".join(f"            s{c} = nothing\n            q{c} = nothing\n" for c in range(access.channels))
    steps = access.load("y", "(b * pixels + p) * channels + k", names, indent)
    steps += "".join(
        f"{indent}s{c} = add(s{c}, y{c})\n{indent}q{c} = fma(y{c}, y{c}, q{c})\n" for c in range(access.channels)
    )
    finish = "".join(
        f"            sums[k * {access.channels} + {c}] += total(mul(s{c}, good))\n"
        f"            sums[num + k * {access.channels} + {c}] += total(mul(q{c}, good))\n"
        for c in range(access.channels)
    )
    return compiled(
        "moments",
        f"""def moments(part, parts, y, valid, sums, blocks, pixels, channels):
    nothing = splat(ZERO)
    num = channels * {access.channels}
    for b in range(blocks):
        good = load_f(valid, b * 16)
        for k in range(channels * part // parts, channels * (part + 1) // parts):
{zero}            for p in range(pixels):
{steps}{finish}""",
    )


@cache
def tail(mode: Mode, *, window: int, has_dropout: bool) -> Kernel:
    """z = dropout(scale * pool(y) + shift), where pooling takes the largest or, below scale 0, the smallest.

    Batch normalization is ``scale * y + shift`` once its statistics are known, and pooling commutes with it up to
    that choice, so only pooled values are normalized. ``m`` keeps what pooling chose.

    Arguments: part, parts, y, m, z, scale, shift (float32 [channels]), number of blocks, y height and width, vectors a
    pixel, pool margins at top and left, pooled height and width, z height and width (with margin), z margins at top
    and left, channels without padding, low and high half of the dropout key, its threshold, 1 / (1 - rate).
    """
    access = Access(mode)
    channels = range(access.channels)
    body = ""
    place = "        " * 2 + "    "
    for c in channels:
        body += f"{place}a{c} = spread_f(scale, k * {access.channels} + {c})\n"
    if window > 1:
        for c in channels:
            body += f"{place}sign{c} = choose(greater(nothing, a{c}), minus, plus)\n{place}m{c} = lowest\n"

        def visit(index: str, indent: str) -> str:
            text = access.load("y", index, [f"y{c}" for c in channels], indent)
            return text + "".join(f"{indent}m{c} = larger(m{c}, mul(sign{c}, y{c}))\n" for c in channels)

        body += _over_window(window, visit, place)
        body += "".join(f"{place}m{c} = mul(sign{c}, m{c})\n" for c in channels)
        pooled = "((b * pooled_height + i) * pooled_width + j) * channels + k"
        body += access.store("m", pooled, [f"m{c}" for c in channels], place)
    else:
        body += access.load("y", "((b * height + i) * width + j) * channels + k", [f"m{c}" for c in channels], place)
    body += "".join(f"{place}m{c} = fma(m{c}, a{c}, spread_f(shift, k * {access.channels} + {c}))\n" for c in channels)
    if has_dropout:
        body += _dropped(access, place, "m")
    body += access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"m{c}" for c in channels], place
    )
    return compiled(
        "tail",
        f"""def tail(part, parts, y, m, z, scale, shift, blocks, height, width, channels, top, left, pooled_height, pooled_width,
         z_height, z_width, z_top, z_left, num, key_low, key_high, threshold, kept):
    nothing, plus, minus = splat(ZERO), splat(np.float32(1)), splat(np.float32(-1))
    lowest = splat(np.float32(-np.inf))
    grown = splat(np.float32(kept))
    step = np.uint32(pooled_height * pooled_width * num)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
      for i in range(pooled_height):
        for j in range(pooled_width):
            index = np.uint32(((b * 16 * pooled_height + i) * pooled_width + j) * num)
            row, column = i * {window} - top, j * {window} - left
            is_inside = row >= 0 and column >= 0 and row + {window} <= height and column + {window} <= width
            corner = (b * height + row) * width + column
            for k in range(channels):
{body}""",
    )


def _over_window(window: int, visit: Callable[[str, str], str], place: str) -> str:
    """Source that visits the pixels of a window in order: written out where it lies inside, in loops at the edges."""
    body = f"{place}if is_inside:\n"
    for u in range(window):
        for v in range(window):
            body += visit(f"(corner + {u} * width + {v}) * channels + k", place + "    ")
    body += f"{place}else:\n{place}    for u in range(max(0, -row), min({window}, height - row)):\n"
    body += f"{place}        for v in range(max(0, -column), min({window}, width - column)):\n"
    return body + visit("(corner + u * width + v) * channels + k", place + "            ")


def _dropped(access: Access, place: str, name: str) -> str:
    """Source that applies the dropout mask to float32 names."""
    return "".join(
        f"{place}{name}{c} = choose(at_least(mixed(ramp(np.uint32(index + np.uint32(k * {access.channels} + {c})), step), "
        f"np.uint32(key_low), np.uint32(key_high)), np.uint32(threshold)), mul({name}{c}, grown), nothing)\n"
        for c in range(access.channels)
    )


@cache
def gather(mode: Mode, *, has_dropout: bool, has_sums: bool) -> Kernel:
    """Takes dz back through dropout, in place, and sums it and its product with m for batch normalization.

    Arguments: part, parts, dz, m, valid, sums (float64 [blocks, 2, channels]), number of blocks, pooled height and
    width, vectors a pixel, channels without padding, dropout as in ``tail``.
    """
    access = Access(mode)
    channels = range(access.channels)
    place = " " * 16
    position = "((b * height + i) * width + j) * channels + k"
    body = access.load("dz", position, [f"d{c}" for c in channels], place)
    if has_dropout:
        body += _dropped(access, place, "d")
        body += access.store("dz", position, [f"d{c}" for c in channels], place)
    if has_sums:
        body += access.load("m", position, [f"m{c}" for c in channels], place)
        for c in channels:
            at = f"(k * {access.channels} + {c}) * 16"
            body += f"{place}g = mul(d{c}, good)\n"
            body += f"{place}store_f(own, {at}, add(load_f(own, {at}), g))\n"
            body += f"{place}store_f(own, num16 + {at}, fma(g, m{c}, load_f(own, num16 + {at})))\n"
    return compiled(
        "gather",
        f"""def gather(part, parts, dz, m, valid, sums, blocks, height, width, channels, num, key_low, key_high,
           threshold, kept):
    nothing, grown = splat(ZERO), splat(np.float32(kept))
    step = np.uint32(height * width * num)
    stored = channels * {access.channels}
    num16 = stored * 16
    own = np.empty(2 * num16, np.float32)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        own[:] = 0
        good = load_f(valid, b * 16)
        for i in range(height):
          for j in range(width):
            index = np.uint32(((b * 16 * height + i) * width + j) * num)
            for k in range(channels):
{body}
        for c in range(2 * stored):
            sums[b * 2 * stored + c] = total(load_f(own, c * 16))
""",
    )


@cache
def scatter(mode: Mode, *, window: int, has_norm: bool, activation: str, is_paired: bool) -> Kernel:
    """dy from dz: to where pooling took its value from, through batch normalization and the activation before it.

    Also sums dy over images and positions: the gradient of the bias before. With ``is_paired`` dy is written in pairs of
    blocks, [blocks / 2, pixels, channels], all that a layer needs that sends no gradient further back.

    Arguments: part, parts, y, m, dz, dy, valid, factor, slope, level (float32 [channels]: dy is factor * dz where y was
    chosen, plus slope * y + level everywhere), sums (float64 [blocks or their pairs, channels]), number of blocks, y height and width,
    vectors a pixel, pool margins at top and left, pooled height and width, dy height and width (with margin), dy
    margins at top and left.
    """
    access = Access(mode)
    sides = range(2 if is_paired else 1)  # blocks at once
    channels = range(access.channels)
    each = [(s, c) for s in sides for c in channels]
    is_pooled = window > 1
    place = " " * 16

    def load(array: str, index: str, name: str, indent: str) -> str:
        return "".join(
            access.load(array, index.replace("@", str(s)), [f"{name}{s}_{c}" for c in channels], indent) for s in sides
        )

    body = ""
    for c in channels:
        at = f"k * {access.channels} + {c}"
        body += f"{place}f{c} = spread_f(factor, {at})\n{place}s{c} = nothing\n"
        if has_norm:
            body += f"{place}p{c} = spread_f(slope, {at})\n{place}q{c} = spread_f(level, {at})\n"
    for s, c in each:
        if has_norm:
            body += f"{place}p{s}_{c} = mul(good{s}, p{c})\n{place}q{s}_{c} = mul(good{s}, q{c})\n"
        body += f"{place}g{s}_{c} = nothing\n"
        if is_pooled:
            body += f"{place}m{s}_{c} = nothing\n{place}taken{s}_{c} = nowhere()\n"
    pooled = "((b@ * pooled_height + i) * pooled_width + j) * channels + k"
    body += f"{place}if i < pooled_height and j < pooled_width:\n"
    body += load("dz", pooled, "g", place + "    ")
    body += "".join(f"{place}    g{s}_{c} = mul(good{s}, mul(g{s}_{c}, f{c}))\n" for s, c in each)
    if is_pooled:
        body += load("m", pooled, "m", place + "    ")

    def visit(index: str, indent: str) -> str:
        text = load("y", index.replace("corner", "corner@"), "y", indent)
        for s, c in each:
            own = f"{s}_{c}"
            if is_pooled:
                text += f"{indent}hit = without(equal(y{own}, m{own}), taken{own})\n"
                text += f"{indent}taken{own} = either(taken{own}, hit)\n"
                text += f"{indent}d{own} = choose(hit, g{own}, nothing)\n"
            else:
                text += f"{indent}d{own} = g{own}\n"
            if has_norm:
                text += f"{indent}d{own} = add(d{own}, fma(y{own}, p{own}, q{own}))\n"
            if activation == "relu":
                text += f"{indent}d{own} = choose(greater(y{own}, nothing), d{own}, nothing)\n"
            text += f"{indent}s{c} = add(s{c}, d{own})\n"
        target = index.replace("corner", "dy_corner").replace("* width", "* dy_width")
        if not is_paired:
            return text + access.store("dy", target, [f"d0_{c}" for c in channels], indent)
        for c in channels:
            text += f"{indent}store_i(dy, (({target}) * {access.channels} + {c}) * 16, pair(d0_{c}, d1_{c}))\n"
        return text

    body += _over_window(window, visit, place)
    for c in channels:
        at = f"(k * {access.channels} + {c}) * 16"
        body += f"{place}store_f(own, {at}, add(load_f(own, {at}), s{c}))\n"
    blocks_at_once = len(sides)
    corners = "".join(f"            corner{s} = (b{s} * height + row) * width + column\n" for s in sides)
    return compiled(
        "scatter",
        f"""def scatter(part, parts, y, m, dz, dy, valid, factor, slope, level, sums, blocks, height, width, channels, top, left,
            pooled_height, pooled_width, dy_height, dy_width, dy_top, dy_left):
    nothing = splat(ZERO)
    stored = channels * {access.channels}
    own = np.empty(stored * 16, np.float32)
    rows = max(pooled_height, (height + top + {window - 1}) // {window})
    columns = max(pooled_width, (width + left + {window - 1}) // {window})
    shares = (blocks + {blocks_at_once - 1}) // {blocks_at_once}
    for b in range(shares * part // parts, shares * (part + 1) // parts):
        own[:] = 0
        b0 = b * {blocks_at_once}
        good0 = load_f(valid, b0 * 16)
        b1 = b0
        good1 = nothing
        if b0 + 1 < blocks:
            b1 = b0 + 1
            good1 = load_f(valid, b1 * 16)
        for i in range(rows):
          for j in range(columns):
            row, column = i * {window} - top, j * {window} - left
            is_inside = row >= 0 and column >= 0 and row + {window} <= height and column + {window} <= width
{corners}            dy_corner = (b * dy_height + row + dy_top) * dy_width + column + dy_left
            for k in range(channels):
{body}
        for c in range(stored):
            sums[b * stored + c] = total(load_f(own, c * 16))
""",
    )
