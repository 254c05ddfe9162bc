"""Depthwise convolutions: each output channel reads one input channel. Kernels and op. Layouts: see ``buffers``.

A loaded pixel meets few weights here, so loads are the limit, not products: up to eight neighbouring positions are
accumulated side by side, and a pixel is loaded once for all taps of a kernel row that it meets.

In bfloat16 a word holds two channels, and the instruction that multiplies pairs adds both products. So a weight is
stored as a pair whose other half is zero: the other channel contributes nothing, and no word need be unpacked.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from . import elementwise, packing, reorders, vectors
from .blocks import Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode, shifted
from .commands import CommandList
from .compiler import Kernel, compiled
from .input_gradients import dilated_buffer, gradient_buffer, gradient_margins
from .products import lane_sums
from .weighted import record_penalty

_POSITIONS = 8  # accumulated at once by the forward kernel, each in one register a channel of the vector
_COLUMNS = 8  # taps of a kernel row that are unrolled; wider kernels loop over groups of taps


@cache
def depthwise(
    source: Mode, target: Mode, activation: str, *, columns: int, stride: int, dilation: int, positions: int,
    reads: int, multiplier: int,
) -> Kernel:  # fmt: skip
    """y = activation(x * w + bias) for each channel by itself.

    Output ``o`` sums the inputs ``(o * reads + r) // multiplier`` for every ``r`` below ``reads``. Forward, that is one
    input (``reads`` is 1); for the input gradient, with flipped kernels, all the outputs that an input contributed to
    (``multiplier`` is 1).

    Weights lie as [vectors of y, reads, kernel height, kernel width, channels of a vector].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), vectors a pixel in x,
    last channel of x, kernel height and width (a multiple of ``columns``), output height and width, y height and width
    (with margin), y margin at the top and left, vectors a pixel in y.
    """
    channels = range(2 if target == "b" else 1)
    # Input and output channels lie in the same words, so that one load serves both halves.
    is_shared = source == target == "b" and reads == multiplier == 1
    word, multiply = ("i", "dot({a}, {x}, {w})") if source == "b" else ("f", "fma({x}, {w}, {a})")
    place, inner = " " * 20, " " * 32
    start = "".join(
        f"{place}a{p}_{c} = broadcast_f(bias, k * {len(channels)} + {c})\n" for p in range(positions) for c in channels
    )
    # Otherwise each output channel loads its own input; a multiplier of 2 or 3 spreads a word's halves over several
    # words.
    sources = range(1 if is_shared else len(channels))
    # A channel beyond the last (the padding of an odd number) reads the last one, times weights of zero.
    chosen = "".join(
        f"{place}    c{c} = min(((k * {len(channels)} + {c}) * {reads} + r) // {multiplier}, last)"
        f"{' // 2' if source == 'b' else ''}\n"
        for c in sources
    )
    steps = "".join(
        f"{inner}w{v}_{c} = broadcast_{word}(w, at + {v * len(channels) + c})\n"
        for v in range(columns)
        for c in channels
    )
    # Unrolled over the pixels of a row: each is loaded once, and meets every (position, tap) that reads it.
    for offset in range((positions - 1) * stride + (columns - 1) * dilation + 1):
        uses = [(p, v) for p in range(positions) for v in range(columns) if p * stride + v * dilation == offset]
        if not uses:
            continue
        steps += "".join(f"{inner}x{c} = load_{word}(rows, (row + {offset} * apart + c{c}) * 16)\n" for c in sources)
        for p, v in uses:
            for c in channels:
                a = f"a{p}_{c}"
                steps += f"{inner}{a} = {multiply.format(a=a, x=f'x{0 if is_shared else c}', w=f'w{v}_{c}')}\n"
    finish = ""
    for p in range(positions):
        if activation == "relu":
            finish += "".join(f"{place}a{p}_{c} = maximum(nothing, a{p}_{c})\n" for c in channels)
        there = f"(((b * y_height + i + margin_top) * y_width + j + {p} + margin_left) * vectors + k) * 16"
        value = f"i(y, {there}, pair(a{p}_0, a{p}_1))" if target == "b" else f"f(y, {there}, a{p}_0)"
        finish += f"{place}store_{value}\n"
    return compiled(
        "depthwise",
        "x[] w[] bias[] y[] blocks x_height x_width channels last kernel_height kernel_width height width y_height "
        "y_width margin_top margin_left vectors",
        f"""    nothing = splat(ZERO)
{_room_for_rows(source, stride, dilation)}    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        next_row = 0
        for i in range(height):
{_next_rows(word, stride)}            for column in range(0, width, {positions}):
                j = min(column, width - {positions})
                for k in range(vectors):
{start}                    for r in range({reads}):
{chosen}                        for u in range(kernel_height):
                            line = first_row + u * {dilation}
                            if line >= num_rows:
                                line -= num_rows
                            for v in range(0, kernel_width, {columns}):
                                row = (line * pixels + j * {stride} + v * {dilation}) * apart
                                at = (((k * {reads} + r) * kernel_height + u) * kernel_width + v) * {len(channels)}
{steps}{finish}""",
    )


# Rows of the input are copied, each once, to where neighbouring pixels lie in different cache sets: with a power of two
# of channels they would all lie in one, and every load wait for one before it. As many rows are kept as a kernel
# reaches.


def _room_for_rows(source: Mode, stride: int, dilation: int) -> str:
    """Source that makes memory for the rows of the input that an output row reads."""
    return f"""    num_rows, apart = (kernel_height - 1) * {dilation} + 1, channels + 1
    pixels = (width - 1) * {stride} + (kernel_width - 1) * {dilation} + 1
    rows = np.empty(num_rows * pixels * apart * 16, np.{"int32" if source == "b" else "float32"})
"""


def _next_rows(word: str, stride: int) -> str:
    """Source that copies the rows that output row ``i`` reads first; ``first_row`` is the place of its uppermost."""
    return f"""            top = i * {stride}
            for above in range(max(next_row, top), top + num_rows):
                for j in range(pixels):
                    here = ((b * x_height + above) * x_width + j) * channels * 16
                    there = (above % num_rows * pixels + j) * apart * 16
                    for c in range(0, channels * 16, 16):
                        store_{word}(rows, there + c, load_{word}(x, here + c))
            next_row, first_row = top + num_rows, top % num_rows
"""


@cache
def depthwise_gradient(
    source: Mode, mode: Mode, *, rows: int, columns: int, positions: int, stride: int, multiplier: int, dilation: int
) -> Kernel:
    """g = x * d summed over images and positions: [kernel height, kernel width, output channels].

    Channels are the inner loop, since neighbours lie side by side in memory: a channel by itself would be read in steps
    of whole pixels, which for a power of two of channels all fall into one cache set. So sums wait in memory (``m``,
    small enough for the nearest caches) and are in registers for a few positions at a time.

    In bfloat16 one channel of d's pair at a time is put beside a zero, in the half where its input lies in x's word:
    the sum over channels in the instruction then has one term, and no pairs of blocks are needed.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), vectors a pixel in x, last
    channel of x, kernel height (a multiple of ``rows``) and width (of ``columns``), output channels, output height and
    width (a multiple of ``positions``), d height and width (with margin), d margins at top and left, vectors a pixel
    in d.
    """
    channels = range(2 if mode == "b" else 1)
    is_shared = source == mode == "b" and multiplier == 1
    taps = [(r, v) for r in range(rows) for v in range(columns)]
    names = [f"a{r}_{v}_{c}" for c in channels for r, v in taps]
    word, multiply = ("i", "dot({a}, {x}, {d})") if source == "b" else ("f", "fma({x}, {d}, {a})")
    inner = " " * 24
    sources = range(1 if is_shared else len(channels))
    steps = "".join(f"{inner}c{c} = min((k * {len(channels)} + {c}) // {multiplier}, last)\n" for c in channels)
    steps += "".join(f"{inner}{name} = load_f(m, at + {16 * n})\n" for n, name in enumerate(names))
    for p in range(positions):
        if mode == "f":
            steps += f"{inner}d{p}_0 = load_f(outputs_row, (there + {p} * (vectors + 1) + k) * 16)\n"
            continue
        steps += f"{inner}words = load_i(outputs_row, (there + {p} * (vectors + 1) + k) * 16)\n"
        for c, (half, interleave) in enumerate((("low", "interleave_low"), ("high", "interleave_high"))):
            if source == "f":  # the first layer's images: products in float32
                steps += f"{inner}d{p}_{c} = {half}(words)\n"
            elif is_shared:
                pair = "interleave_low(words, zeros)" if c == 0 else "interleave_high(zeros, words)"
                steps += f"{inner}d{p}_{c} = {pair}\n"
            else:
                steps += f"{inner}if c{c} % 2 == 0:\n{inner}    d{p}_{c} = {interleave}(words, zeros)\n"
                steps += f"{inner}else:\n{inner}    d{p}_{c} = {interleave}(zeros, words)\n"
    half_word = " // 2" if source == "b" else ""
    for r in range(rows):
        # Unrolled over the pixels of a row, as in ``depthwise``.
        for offset in range((positions - 1) * stride + (columns - 1) * dilation + 1):
            uses = [(p, v) for p in range(positions) for v in range(columns) if p * stride + v * dilation == offset]
            if not uses:
                continue
            for c in sources:
                place = f"(here{r} + {offset} * apart + c{c}{half_word}) * 16"
                steps += f"{inner}x{c} = load_{word}(rows, {place})\n"
            for p, v in uses:
                for c in channels:
                    a = f"a{r}_{v}_{c}"
                    steps += f"{inner}{a} = {multiply.format(a=a, x=f'x{0 if is_shared else c}', d=f'd{p}_{c}')}\n"
    steps += "".join(f"{inner}store_f(m, at + {16 * n}, {name})\n" for n, name in enumerate(names))
    places = ""
    for r in range(rows):
        places += f"""                    row = first_row + (u + {r}) * {dilation}
                    if row >= num_rows:
                        row -= num_rows
                    here{r} = (row * pixels + j * {stride} + v * {dilation}) * apart
"""
    d_word, kind = ("i", "int32") if mode == "b" else ("f", "float32")
    num_sums, store = lane_sums(names, " " * 12)
    kept = "".join(f"            {name} = load_f(m, at + {16 * n})\n" for n, name in enumerate(names))
    # Threads share channels; every sum goes through the blocks of images and their rows in order.
    return compiled(
        "depthwise_gradient",
        "x[] d[] g[] blocks x_height x_width channels last kernel_height kernel_width outputs height width d_height "
        "d_width d_top d_left vectors",
        f"""    nothing, zeros = splat(ZERO), splat_i(np.uint32(0))
    sums = np.empty({num_sums}, np.float32)
{_room_for_rows(source, stride, dilation)}    outputs_row = np.empty(width * (vectors + 1) * 16, np.{kind})
    steps_right = kernel_width // {columns}
    steps = kernel_height // {rows} * steps_right
    begin, end = vectors * part // parts, vectors * (part + 1) // parts
    m = np.zeros(steps * (end - begin) * {16 * len(names)}, np.float32)
    for b in range(blocks):
        next_row = 0
        for i in range(height):
{_next_rows(word, stride)}            for j in range(width):
                here = ((b * d_height + i + d_top) * d_width + j + d_left) * vectors
                for k in range(begin, end):
                    store_{d_word}(outputs_row, (j * (vectors + 1) + k) * 16, load_{d_word}(d, (here + k) * 16))
            for j in range(0, width, {positions}):
                there = j * (vectors + 1)
                for step in range(steps):
                    u, v = step // steps_right * {rows}, step % steps_right * {columns}
{places}                    for k in range(begin, end):
                        at = (step * (end - begin) + k - begin) * {16 * len(names)}
{steps}    for step in range(steps):
        u, v = step // steps_right * {rows}, step % steps_right * {columns}
        for k in range(begin, end):
            at = (step * (end - begin) + k - begin) * {16 * len(names)}
{kept}{store}            for c in range(min({len(channels)}, outputs - k * {len(channels)})):
                for t in range({len(taps)}):
                    tap = (u + t // {columns}) * kernel_width + v + t % {columns}
                    g[tap * outputs + k * {len(channels)} + c] = sums[c * {len(taps)} + t]
""",
    )


def _positions(width: int) -> int:
    """How many neighbouring positions to accumulate at once: as many as need the fewest loads for a row of ``width``.

    ``count`` positions of a kernel three wide read ``count + 2`` pixels; positions past the row's end are counted too.
    """
    return min(range(1, min(width, _POSITIONS) + 1), key=lambda count: (math.ceil(width / count) * (count + 2), -count))


def _divisor(size: int, most: int) -> int:
    """The largest divisor of ``size`` that is at most ``most``: unrolled taps then need no remainder."""
    return max(count for count in range(1, size + 1) if size % count == 0 and (count <= most or count == 1))


def _gradient_blocking(kernel: tuple[int, int], width: int, *, is_paired: bool) -> dict[str, int]:
    """Kernel rows, taps of a row and neighbouring positions that the gradient takes at once, for its registers."""
    channels = 2 if is_paired else 1
    # Accumulators; the rest is for d at some positions, and a pixel. A row of three even where registers are few.
    most = max(3, (vectors.REGISTERS - 6) // channels)
    columns = _divisor(kernel[1], max(1, most))
    rows = _divisor(kernel[0], max(1, most // columns))
    rest = vectors.REGISTERS - 2 - rows * columns * channels
    return {"rows": rows, "columns": columns, "positions": _divisor(width, max(1, min(_POSITIONS, rest // channels)))}


class DepthwiseOp:
    """A depthwise convolution: its packed weights, its buffers, its three products. Attributes as in ``WeightedOp``."""

    def __init__(self, plan: Weighted, precision: Mode, *, source: Buffer, is_first: bool, is_last: bool) -> None:
        self.plan, self.x, self.precision = plan, source, precision
        self.needs_dx = not is_first
        height, width, outputs = plan.outputs
        self.stored_outputs = outputs + outputs % 2 if precision == "b" else outputs
        self.y = Buffer(height, width, outputs, precision, source.num_blocks)
        if is_last:
            self.y = Buffer(height, width, self.stored_outputs, "f", source.num_blocks)
        self.size = plan.size
        self.weights: Floats = np.empty(0, np.float32)  # replaced by views of the network's flat vectors
        self.trained: Floats = self.weights  # before they are rounded, where they are trained in whole numbers
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # likewise, where the layer has a bias; else zeros
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)
        self.multiplier = outputs // plan.inputs[2]
        taps = math.prod(plan.kernel)
        self.packed = np.zeros(taps * self.y.stored_channels, np.uint32)
        self.packed_bias = np.zeros(self.y.stored_channels, np.float32)
        self.dy = gradient_buffer(plan, precision, source.num_blocks, needs_dx=self.needs_dx)
        self.dilated_dy = self.dy
        columns = _divisor(plan.kernel[1], _COLUMNS)
        self._forward = depthwise(
            source.mode, self.y.mode, plan.activation, columns=columns, stride=plan.stride, dilation=plan.dilation,
            positions=_positions(width), reads=1, multiplier=self.multiplier,
        )  # fmt: skip
        if self.needs_dx:
            if plan.stride > 1:
                self.dilated_dy = dilated_buffer(plan, precision, source.num_blocks)
            self.dx = Buffer(*plan.inputs, precision, source.num_blocks)
            self.packed_backward = np.zeros(self.multiplier * taps * self.dx.stored_channels, np.uint32)
            self.zero_bias = np.zeros(self.dx.stored_channels, np.float32)
            self._dx_kernel = depthwise(
                precision, precision, "linear", columns=columns, stride=1, dilation=plan.dilation,
                positions=_positions(plan.inputs[1]),
                reads=self.multiplier, multiplier=1,
            )  # fmt: skip
        at_once = _gradient_blocking(plan.kernel, width, is_paired=precision == "b")
        self._gradient = depthwise_gradient(
            source.mode, precision, **at_once, stride=plan.stride, multiplier=self.multiplier, dilation=plan.dilation
        )

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of weights for ``forward`` and, in training, for the input gradient."""
        bits, taps, outputs = self.weights.view(np.uint32), math.prod(self.plan.kernel), self.plan.outputs[2]
        is_paired = self.x.mode == "b"
        commands.add(0, elementwise.copy(), self.bias, self.packed_bias)
        commands.add(
            0, packing.pack_depthwise(), bits, self.packed, taps, outputs, 1, self.multiplier, self._step(self.y),
            is_paired, False,
        )  # fmt: skip
        if for_training and self.needs_dx:
            commands.add(
                0, packing.pack_depthwise(), bits, self.packed_backward, taps, self.plan.inputs[2], self.multiplier, 1,
                self._step(self.dx), self.precision == "b", True,
            )  # fmt: skip

    @staticmethod
    def _step(grid: Buffer) -> int:
        return 2 if grid.mode == "b" else 1

    @property
    def _work(self) -> int:
        height, width, _ = self.plan.outputs
        return height * width * math.prod(self.plan.kernel) * self.stored_outputs

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        x, y = self.x, self.y
        commands.add(
            batch.blocks * self._work, self._forward, x.data, self.packed, self.packed_bias, y.data, batch.blocks,
            x.full_height, x.full_width, x.vectors, x.channels - 1, *self.plan.kernel, y.height, y.width,
            y.full_height, y.full_width, y.top, y.left, y.vectors,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``dy`` to the kernel's gradient and, except in the first layer, to ``dx``."""
        x, dy = self.x, self.dy
        height, width, outputs = self.plan.outputs
        commands.add(
            batch.blocks * self._work, self._gradient, x.data, dy.data, self.gradient, batch.blocks, x.full_height,
            x.full_width, x.vectors, x.channels - 1, *self.plan.kernel, outputs, height, width,
            dy.full_height, dy.full_width, dy.top, dy.left, dy.vectors,
        )  # fmt: skip
        record_penalty(commands, self.plan, self.trained, self.gradient)
        if not self.needs_dx:
            return
        dx = self.dx
        if self.plan.stride > 1:
            reorders.record_dilation(commands, batch, dy, self.dilated_dy, self.plan.stride)
            dy = self.dilated_dy
        dy = shifted(dy, gradient_margins(self.plan))
        work = dx.height * dx.width * dx.stored_channels * self.multiplier * math.prod(self.plan.kernel)
        commands.add(
            batch.blocks * work, self._dx_kernel, dy.data, self.packed_backward, self.zero_bias, dx.data, batch.blocks,
            dy.full_height, dy.full_width, dy.vectors, dy.channels - 1, *self.plan.kernel, dx.height, dx.width,
            dx.height, dx.width, 0, 0, dx.vectors,
        )  # fmt: skip
