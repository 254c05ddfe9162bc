"""Kernels of an epilogue: batch normalization, max pooling, relu and dropout behind a layer with weights, in one pass.

Between two convolutions there is only memory traffic, so everything there is done while a value is in a register:

- Batch normalization is ``scale * y + shift`` per channel, so pooling commutes with it: of a window only the largest y is
  normalized, or the smallest where ``scale`` is negative. ``moments`` reads y once before, for its statistics.
- Backward, with d the gradient of a pooled output and x the normalized value, the two sums in batch normalization's
  gradient run over pooled values alone, since d is zero elsewhere (``backward_reduce``). Then
  dy = gamma * inverse * (d where y was chosen - sum(d) / M - x * sum(d * x) / M), which is one multiply-add of y a pixel
  (``backward_elementwise``). PyTorch splits its own backward in the same two passes.
- Which pixel was chosen is not stored: it is the first one of the window that equals the pooled value.
- A dropout mask is a hash of (key, element), computed again backward.

Layouts: see ``buffers``. Sums over images are partial sums by block, added in the order of blocks afterwards, so they do not
depend on how many threads share the blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from .buffers import Access, Mode
from .compiler import Kernel, compiled


@cache
def moments(mode: Mode) -> Kernel:
    """Sums of y - pivot and of its square over valid images and all positions, and the pivot: float64 [3, channels].

    A channel's pivot is its first value. E[y**2] - E[y]**2 of values that are large and alike would cancel in float32;
    of their differences from any one of them it does not, and a pivot needs no pass of its own. Threads share channels
    here, not blocks, so that every sum is added by one thread; float32 within a block, float64 over blocks.

    Arguments: part, parts, y, valid (float32, one for each image), sums, number of blocks, pixels, vectors a pixel.
    """
    # Pixels are the innermost loop here: two accumulators a channel stay in registers for a whole block of images.
    access = Access(mode)
    names = [f"y{c}" for c in range(access.channels)]
    indent = "                "
    first = "broadcast_i(y, k * 16)" if mode == "b" else "broadcast_f(y, k * 16)"
    pivots = ["low(first)", "high(first)"] if mode == "b" else ["first"]
    zero = f"            first = {first}\n" + "".join(
        f"            pivot{c} = {pivots[c]}\n            s{c} = nothing\n            q{c} = nothing\n"
        for c in range(access.channels)
    )
    steps = access.load("y", "(b * pixels + p) * channels + k", names, indent)
    steps += "".join(
        f"{indent}y{c} = add(y{c}, mul(minus, pivot{c}))\n"
        f"{indent}s{c} = add(s{c}, y{c})\n{indent}q{c} = fma(y{c}, y{c}, q{c})\n"
        for c in range(access.channels)
    )
    finish = "".join(
        f"            sums[k * {access.channels} + {c}] += sum_lanes(mul(s{c}, image_mask))\n"
        f"            sums[num + k * {access.channels} + {c}] += sum_lanes(mul(q{c}, image_mask))\n"
        f"            sums[2 * num + k * {access.channels} + {c}] = sum_lanes(pivot{c}) / 16\n"
        for c in range(access.channels)
    )
    return compiled(
        "moments",
        "y[] valid[] sums[double] blocks pixels channels",
        f"""    nothing, minus = splat(ZERO), splat(np.float32(-1))
    num = channels * {access.channels}
    for b in range(blocks):
        image_mask = load_f(valid, b * 16)
        for k in range(channels * part // parts, channels * (part + 1) // parts):
{zero}            for p in range(pixels):
{steps}{finish}""",
    )


# Of levels, which a rounding reads: one over the scale, the scale, and the limits.
PER, ONE, LOW, HIGH = 4, 5, 6, 7


@cache
def forward(
    source: Mode, mode: Mode, *, window: int, has_relu: bool, has_dropout: bool, rounds: bool = False,
    sees: bool = False,
) -> Kernel:  # fmt: skip
    """z = dropout(round(relu(scale * pool(y) + shift))), where pooling takes the largest or, below scale 0, the smallest.

    ``m`` keeps what pooling chose, for backward. y and m may be float32 where z has pairs of bfloat16. With ``sees`` the
    extremes of what is rounded are kept by block.

    Arguments: part, parts, y, m, z, scale, shift (float32 [channels]), dropout key (int64: low and high half), number of
    blocks, y height and width, vectors a pixel, pool margins at top and left, pooled height and width, z height and width
    (with margin), z margins at top and left, channels without padding, threshold of dropout, 1 / (1 - rate), levels and
    seen (see ``rounding``).
    """
    access, values = Access(mode), Access.of(source, mode)
    channels = range(access.channels)
    # Channels are the innermost loop, since they are contiguous; scale and shift are broadcast from the cache again for every
    # pixel, which costs less than a stride would.
    body = ""
    place = "        " * 2 + "    "
    for c in channels:
        body += f"{place}a{c} = broadcast_f(scale, k * {access.channels} + {c})\n"
    if window > 1:
        # The smallest y is minus the largest -y: one code for both signs of scale.
        for c in channels:
            body += f"{place}sign{c} = select(greater(nothing, a{c}), minus, plus)\n{place}m{c} = lowest\n"

        def visit(index: str, indent: str) -> str:
            text = values.load("y", index, [f"y{c}" for c in channels], indent)
            return text + "".join(f"{indent}m{c} = maximum(m{c}, mul(sign{c}, y{c}))\n" for c in channels)

        body += _over_window(window, visit, place)
        body += "".join(f"{place}m{c} = mul(sign{c}, m{c})\n" for c in channels)
        pooled = "((b * pooled_height + i) * pooled_width + j) * channels + k"
        body += values.store("m", pooled, [f"m{c}" for c in channels], place)
    else:
        body += values.load("y", "((b * height + i) * width + j) * channels + k", [f"m{c}" for c in channels], place)
    body += "".join(
        f"{place}m{c} = fma(m{c}, a{c}, broadcast_f(shift, k * {access.channels} + {c}))\n" for c in channels
    )
    if has_relu:
        body += "".join(f"{place}m{c} = maximum(nothing, m{c})\n" for c in channels)
    for c in channels if rounds else ():
        if sees:
            body += f"{place}most = maximum(m{c}, most)\n{place}least = minimum(m{c}, least)\n"
        body += f"{place}m{c} = floor(add(mul(m{c}, per), half))\n"
        body += f"{place}m{c} = mul(minimum(highest, maximum(lowest_whole, m{c})), one)\n"
    if has_dropout:
        body += _all_dropped(access, place, "m")
    body += access.store(
        "z", "((b * z_height + i + z_top) * z_width + j + z_left) * channels + k", [f"m{c}" for c in channels], place
    )
    return compiled(
        "epilogue",
        "y[] m[] z[] scale[] shift[] key[long] blocks height width channels top left pooled_height pooled_width z_height "
        "z_width z_top z_left num threshold keep_scale:real levels[float] seen[float]",
        f"""{_levels() if rounds else ""}    key_low, key_high = key[0], key[1]
    nothing, plus, minus = splat(ZERO), splat(np.float32(1)), splat(np.float32(-1))
    lowest = splat(np.float32(-np.inf))
    scale_up = splat(np.float32(keep_scale))
    step = np.uint32(pooled_height * pooled_width * num)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
      most, least = nothing, nothing
      for i in range(pooled_height):
        for j in range(pooled_width):
            index = np.uint32(((b * 16 * pooled_height + i) * pooled_width + j) * num)
            row, column = i * {window} - top, j * {window} - left
            is_inside = row >= 0 and column >= 0 and row + {window} <= height and column + {window} <= width
            corner = (b * height + row) * width + column
            for k in range(channels):
{body}{_KEPT if sees else ""}""",
    )


# Where ``rounding`` keeps the extremes before its second rounding.
_KEPT = """      store_f(seen, (b * 4 + 2) * 16, most)
      store_f(seen, (b * 4 + 3) * 16, least)
"""


def _levels() -> str:
    """Source that reads a rounding's numbers."""
    return (
        f"    per, one = broadcast_f(levels, {PER}), broadcast_f(levels, {ONE})\n"
        f"    lowest_whole, highest = broadcast_f(levels, {LOW}), broadcast_f(levels, {HIGH})\n"
        "    half = splat(np.float32(0.5))\n"
        "    bottom, top_end = mul(sub(lowest_whole, half), one), mul(add(highest, half), one)\n"
    )


def _over_window(window: int, visit: Callable[[str, str], str], place: str) -> str:
    """Source that visits the pixels of a window in order: unrolled where it lies inside, in loops at the image's edges."""
    body = f"{place}if is_inside:\n"
    for u in range(window):
        for v in range(window):
            body += visit(f"(corner + {u} * width + {v}) * channels + k", place + "    ")
    body += f"{place}else:\n{place}    for u in range(max(0, -row), min({window}, height - row)):\n"
    body += f"{place}        for v in range(max(0, -column), min({window}, width - column)):\n"
    return body + visit("(corner + u * width + v) * channels + k", place + "            ")


def dropped(name: str, channel: str) -> str:
    """Source of a float32 name under the dropout mask; ``channel`` is source of its channel's number.

    An element's number is its place in [image, height, width, channel] without padding, as on the plain path: ``index``
    is that of the pixel's first channel in the block's first image, and lanes are an image (``step`` elements) apart.
    """
    element = f"ramp(np.uint32(index + np.uint32({channel})), step)"
    hashes = f"dropout_hash({element}, np.uint32(key_low), np.uint32(key_high))"
    return f"select(at_least({hashes}, np.uint32(threshold)), mul({name}, scale_up), nothing)"


def _all_dropped(access: Access, place: str, name: str) -> str:
    """Source that applies the mask to the names of a vector's channels."""
    return "".join(
        f"{place}{name}{c} = {dropped(f'{name}{c}', f'k * {access.channels} + {c}')}\n" for c in range(access.channels)
    )


@cache
def backward_reduce(
    source: Mode, mode: Mode, *, has_relu: bool, has_dropout: bool, has_sums: bool, rounds: bool = False
) -> Kernel:
    """First pass backward: takes dz through dropout, in place, and sums it and its product with m for batch normalization.

    What relu and rounding let through is found again from m, here and in the second pass, instead of being written.

    Arguments: part, parts, dz, m, valid, scale, shift, sums (float64 [blocks, 2, channels]), number of blocks, pooled height and
    width, vectors a pixel, channels without padding, dropout and levels as in ``epilogue``.
    """
    access, values = Access(mode), Access.of(source, mode)
    channels = range(access.channels)
    place = " " * 16
    position = "((b * height + i) * width + j) * channels + k"
    body = access.load("dz", position, [f"d{c}" for c in channels], place)
    if has_dropout:
        body += _all_dropped(access, place, "d")
        body += access.store("dz", position, [f"d{c}" for c in channels], place)
    if has_sums:
        # Partial sums a channel live in memory, in the first-level cache: there are more channels than registers.
        body += values.load("m", position, [f"m{c}" for c in channels], place)
        if has_relu or rounds:
            body += "".join(_through(access, c, "m", "d", place, has_relu=has_relu, rounds=rounds) for c in channels)
        for c in channels:
            at = f"(k * {access.channels} + {c}) * 16"
            body += f"{place}g = mul(d{c}, image_mask)\n"
            body += f"{place}store_f(partial, {at}, add(load_f(partial, {at}), g))\n"
            body += f"{place}store_f(partial, num16 + {at}, fma(g, m{c}, load_f(partial, num16 + {at})))\n"
    return compiled(
        "epilogue_backward_reduce",
        "dz[] m[] valid[] scale[] shift[] sums[double] key[long] blocks height width channels num threshold "
        "keep_scale:real levels[float]",
        f"""{_levels() if rounds else ""}    key_low, key_high = key[0], key[1]
    nothing, scale_up = splat(ZERO), splat(np.float32(keep_scale))
    step = np.uint32(height * width * num)
    stored = channels * {access.channels}
    num16 = stored * 16
    partial = np.empty(2 * num16, np.float32)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        partial[:] = 0
        image_mask = load_f(valid, b * 16)
        for i in range(height):
          for j in range(width):
            index = np.uint32(((b * 16 * height + i) * width + j) * num)
            for k in range(channels):
{body}
        for c in range({"2 * stored" if has_sums else "0"}):
            sums[b * 2 * stored + c] = sum_lanes(load_f(partial, c * 16))
""",
    )


def _through(access: Access, c: int, value: str, gradient: str, place: str, *, has_relu: bool, rounds: bool) -> str:
    """Source that keeps channel ``c``'s gradient where the pass's relu was given something positive, and where rounding
    cut nothing."""
    at = f"k * {access.channels} + {c}"
    text = f"{place}before = fma({value}{c}, broadcast_f(scale, {at}), broadcast_f(shift, {at}))\n"
    if has_relu:
        text += f"{place}{gradient}{c} = select(greater(before, nothing), {gradient}{c}, nothing)\n"
    if rounds:
        text += f"{place}{gradient}{c} = select(greater(top_end, before), {gradient}{c}, nothing)\n"
        text += "" if has_relu else f"{place}{gradient}{c} = select(greater(bottom, before), nothing, {gradient}{c})\n"
    return text


@cache
def backward_elementwise(
    source: Mode, mode: Mode, *, window: int, has_norm: bool, has_relu: bool, activation: str, rounds: bool = False
) -> Kernel:
    """Second pass backward: dy from dz, through pooling, batch normalization and the weighted layer's own activation.

    Also sums dy over images and positions: that layer's bias gradient.

    Arguments: part, parts, y, m, dz, dy, valid, scale, shift, factor, slope, level (float32 [channels]: dy is factor * dz where y was
    chosen, plus slope * y + level everywhere), sums (float64 [blocks, channels]), number of blocks, y height and width,
    vectors a pixel, pool margins at top and left, pooled height and width, dy height and width (with margin), dy margins at
    top and left, levels as in ``epilogue``.
    """
    access, values = Access(mode), Access.of(source, mode)
    channels = range(access.channels)
    is_pooled = window > 1
    place = " " * 16

    def load(array: str, index: str, name: str, indent: str) -> str:
        lies = access if array == "dz" else values
        return lies.load(array, index, [f"{name}{c}" for c in channels], indent)

    body = ""
    for c in channels:
        at = f"k * {access.channels} + {c}"
        body += f"{place}f{c} = broadcast_f(factor, {at})\n{place}s{c} = nothing\n"
        if has_norm:  # lanes without an image must not get a gradient from slope and level
            body += f"{place}p{c} = mul(image_mask, broadcast_f(slope, {at}))\n"
            body += f"{place}q{c} = mul(image_mask, broadcast_f(level, {at}))\n"
        body += f"{place}g{c} = nothing\n"
        if is_pooled:
            body += f"{place}m{c} = nothing\n{place}taken{c} = no_lanes()\n"
    pooled = "((b * pooled_height + i) * pooled_width + j) * channels + k"
    body += f"{place}if i < pooled_height and j < pooled_width:\n"
    body += load("dz", pooled, "g", place + "    ")
    body += "".join(f"{place}    g{c} = mul(image_mask, mul(g{c}, f{c}))\n" for c in channels)
    if is_pooled:
        body += load("m", pooled, "m", place + "    ")
        if has_relu or rounds:
            body += "".join(
                _through(access, c, "m", "g", place + "    ", has_relu=has_relu, rounds=rounds) for c in channels
            )

    def visit(index: str, indent: str) -> str:
        text = load("y", index, "y", indent)
        for c in channels:
            if is_pooled:  # the first pixel that equals the pooled value, as in torch
                text += f"{indent}hit = mask_and_not(equal(y{c}, m{c}), taken{c})\n"
                text += f"{indent}taken{c} = mask_or(taken{c}, hit)\n"
                text += f"{indent}d{c} = select(hit, g{c}, nothing)\n"
            else:
                text += f"{indent}d{c} = g{c}\n"
                if has_relu or rounds:
                    text += _through(access, c, "y", "d", indent, has_relu=has_relu, rounds=rounds)
            if has_norm:
                text += f"{indent}d{c} = add(d{c}, fma(y{c}, p{c}, q{c}))\n"
            if activation == "relu":  # y is relu's output: positive exactly where its input was
                text += f"{indent}d{c} = select(greater(y{c}, nothing), d{c}, nothing)\n"
            text += f"{indent}s{c} = add(s{c}, d{c})\n"
        # dy lies where y lies, but in a buffer with a margin of its own.
        target = index.replace("corner", "dy_corner").replace("* width", "* dy_width")
        return text + access.store("dy", target, [f"d{c}" for c in channels], indent)

    body += _over_window(window, visit, place)
    for c in channels:
        at = f"(k * {access.channels} + {c}) * 16"
        body += f"{place}store_f(partial, {at}, add(load_f(partial, {at}), s{c}))\n"
    # Rows and columns of windows go on past the pooled image where the last pixels belong to no window: they get slope * y
    # + level, or zeros. Where pooling overlaps the margin, ``row`` and ``column`` begin below 0.
    return compiled(
        "epilogue_backward",
        "y[] m[] dz[] dy[] valid[] scale[] shift[] factor[] slope[] level[] sums[double] blocks height width channels top left "
        "pooled_height pooled_width dy_height dy_width dy_top dy_left levels[float]",
        f"""{_levels() if rounds else ""}    nothing = splat(ZERO)
    stored = channels * {access.channels}
    partial = np.empty(stored * 16, np.float32)
    rows = max(pooled_height, (height + top + {window - 1}) // {window})
    columns = max(pooled_width, (width + left + {window - 1}) // {window})
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        partial[:] = 0
        image_mask = load_f(valid, b * 16)
        for i in range(rows):
          for j in range(columns):
            row, column = i * {window} - top, j * {window} - left
            is_inside = row >= 0 and column >= 0 and row + {window} <= height and column + {window} <= width
            corner = (b * height + row) * width + column
            dy_corner = (b * dy_height + row + dy_top) * dy_width + column + dy_left
            for k in range(channels):
{body}
        for c in range(stored):
            sums[b * stored + c] = sum_lanes(load_f(partial, c * 16))
""",
    )
