"""Kernels of what stands between weighted layers, and how every kernel's arrays lie.

A kernel is source. Arrays are flat; shapes count vectors of sixteen lanes.

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


@cache
def moments(mode: Mode) -> Kernel:
    """Sums of y - pivot and of its square over valid images and all positions, and the pivot: float64 [3, channels].

    A channel's pivot is its first value. Sums of float32 then stay small where values are large and alike.

    Arguments: part, parts, y, valid (float32, one for each image), sums, number of blocks, pixels, vectors a pixel.
    """
    access = Access(mode)
    names = [f"y{c}" for c in range(access.channels)]
    indent = "                "
    first = "spread_i(y, k * 16)" if mode == "b" else "spread_f(y, k * 16)"
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
        f"            sums[k * {access.channels} + {c}] += total(mul(s{c}, good))\n"
        f"            sums[num + k * {access.channels} + {c}] += total(mul(q{c}, good))\n"
        f"            sums[2 * num + k * {access.channels} + {c}] = total(pivot{c}) / 16\n"
        for c in range(access.channels)
    )
    return compiled(
        "moments",
        "y[] valid[] sums[double] blocks pixels channels",
        f"""    nothing, minus = splat(ZERO), splat(np.float32(-1))
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

    Arguments: part, parts, y, m, z, scale, shift (float32 [channels]), low and high half of the dropout key, number of blocks, y height and width, vectors a
    pixel, pool margins at top and left, pooled height and width, z height and width (with margin), z margins at top
    and left, channels without padding, threshold of dropout, 1 / (1 - rate).
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
        "y[] m[] z[] scale[] shift[] key[long] blocks height width channels top left pooled_height pooled_width z_height "
        "z_width z_top z_left num threshold kept:real",
        f"""    key_low, key_high = key[0], key[1]
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
        "dz[] m[] valid[] sums[double] key[long] blocks height width channels num threshold kept:real",
        f"""    key_low, key_high = key[0], key[1]
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
        for c in range({"2 * stored" if has_sums else "0"}):
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
        "y[] m[] dz[] dy[] valid[] factor[] slope[] level[] sums[double] blocks height width channels top left "
        "pooled_height pooled_width dy_height dy_width dy_top dy_left",
        f"""    nothing = splat(ZERO)
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
