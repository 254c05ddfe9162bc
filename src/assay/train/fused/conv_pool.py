"""A first convolution fused with the max pooling behind it: one kernel forward, one backward. Layouts: see ``buffers``.

The first layer's output is the largest array of a network, and nothing but pooling reads it. So it is never written:
the positions of a pooling window are accumulated side by side in registers, and the largest is stored with a *code*,
its place in the window. Backward, the kernel's gradient has terms only where a code points: a quarter of the products
for windows of 2x2. No gradient of the input is needed, which is why only a first layer takes this form.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ...nets.masks import halves, threshold
from ...seeds import Streams
from . import elementwise, packing, reorders, vectors
from .blocks import Epilogue, Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode
from .commands import CommandList
from .compiler import Kernel, compiled
from .epilogues import backward_reduce, dropped
from .products import lane_sums
from .vectors import LANES
from .weighted import record_penalty

_MOST = 31  # registers of one output's taps, bias and window places: of 32, one is left for the pixel


@cache
def conv_pool(target: Mode, activation: str, window: int, outputs: int, *, has_dropout: bool) -> Kernel:
    """z = dropout(pool(activation(x * w + bias))), and where in each window the largest value was.

    A code is the place in the window, in order of rows, or window ** 2 where relu lets no gradient pass; among equal
    values the first counts, as in torch. In bfloat16 two channels' codes share a word, as their values do.

    Arguments: part, parts, x (float32), w [kernel height, kernel width * channels, output channels], bias, z, codes,
    low and high half of the dropout key, number of blocks, x height and width (with margin), channels, kernel height
    and width, output channels with padding, pooled height and width, z height and width (with margin), z margin at the
    top and left, vectors a pixel in z, channels without padding, threshold of dropout, 1 / (1 - rate).
    """
    # An accumulator for each place q of the window and output k: all candidates of a maximum are in registers together.
    places = [(q, k) for q in range(window**2) for k in range(outputs)]
    steps = ""
    for q in range(window**2):
        at = f"row + {q // window} * line + {q % window} * channels + t"
        steps += f"                            v{q} = load_f(x, ({at}) * 16)\n"
    for k in range(outputs):
        steps += f"                            w{k} = broadcast_f(w, weights + t * num_outputs + {k})\n"
        steps += "".join(
            f"                            a{q}_{k} = fma(v{q}, w{k}, a{q}_{k})\n" for q in range(window**2)
        )
    place = " " * 20
    finish = ""
    # A strict comparison in order of places keeps the first of equal values.
    for k in range(outputs):
        finish += f"{place}m{k} = a0_{k}\n{place}c{k} = splat_i(np.uint32(0))\n"
        for q in range(1, window**2):
            finish += f"{place}hit = greater(a{q}_{k}, m{k})\n{place}m{k} = select(hit, a{q}_{k}, m{k})\n"
            finish += f"{place}c{k} = select_i(hit, splat_i(np.uint32({q})), c{k})\n"
        if activation == "relu":  # of the largest value alone; where it is not positive, no place gets the gradient
            finish += f"{place}c{k} = select_i(greater(m{k}, nothing), c{k}, splat_i(np.uint32({window**2})))\n"
            finish += f"{place}m{k} = maximum(nothing, m{k})\n"
        if has_dropout:
            finish += f"{place}m{k} = {dropped(f'm{k}', f'o + {k}')}\n"
    step = 2 if target == "b" else 1
    for k in range(0, outputs, step):
        vector = f"(o + {k}) // {step}"
        value = f"pair(m{k}, m{k + 1})" if target == "b" else f"m{k}"
        code = f"interleave_low(c{k}, c{k + 1})" if target == "b" else f"c{k}"
        finish += f"{place}store_{'i' if target == 'b' else 'f'}(z, (there * vectors + {vector}) * 16, {value})\n"
        finish += f"{place}store_i(codes, (here * vectors + {vector}) * 16, {code})\n"
    return compiled(
        "conv_pool",
        "x[] w[] bias[] z[] codes[] key[long] blocks x_height x_width channels kernel_height kernel_width num_outputs "
        "height width z_height z_width z_top z_left vectors num threshold keep_scale:real",
        f"""    nothing = splat(ZERO)
    key_low, key_high = key[0], key[1]
    scale_up = splat(np.float32(keep_scale))
    step = np.uint32(height * width * num)
    row_taps = kernel_width * channels
    line = x_width * channels
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for first in range(0, num_outputs, {outputs}):
            o = min(first, num_outputs - {outputs})
            for i in range(height):
                for j in range(width):
                    here = (b * height + i) * width + j
                    there = (b * z_height + i + z_top) * z_width + j + z_left
                    index = np.uint32(((b * 16 * height + i) * width + j) * num)
{"".join(f"                    a{q}_{k} = broadcast_f(bias, o + {k})" + chr(10) for q, k in places)}\
                    for u in range(kernel_height):
                        row = (b * x_height + i * {window} + u) * line + j * {window} * channels
                        weights = u * row_taps * num_outputs + o
                        for t in range(row_taps):
{steps}{finish}""",
    )


@cache
def conv_pool_gradient(mode: Mode, window: int, rows: int, row_taps: int, channels: int, outputs: int) -> Kernel:
    """The gradients of kernel and bias from that of the pooled output: g += x * d where the codes say so.

    For each place of a window, d is masked to the lanes whose code is that place; a pixel of x is then loaded once a
    window and multiplied by every masked d whose tap reads it. In bfloat16 all operands are pairs of blocks.

    Arguments: part, parts, x [blocks, height, width, channels], d and codes [blocks, pooled pixels, outputs], g, bias
    gradient, number of blocks, x height and width (with margin), kernel height, output channels and those that d has
    with padding, pooled height and width.
    """
    word, multiply = ("i", "dot({a}, {d}, {x})") if mode == "b" else ("f", "fma({x}, {d}, {a})")
    mask = "where_code_pairs" if mode == "b" else "where_code"
    taps = [(r, t) for r in range(rows) for t in range(row_taps)]
    names = [f"a{r}_{t}_{k}" for k in range(outputs) for r, t in taps] + [f"s{k}" for k in range(outputs)]
    places = [(q // window, q % window) for q in range(window**2)]
    indent = " " * 20
    steps = ""
    for k in range(outputs):
        steps += f"{indent}gradient = load_{word}(d, (there + {k}) * 16)\n"
        steps += f"{indent}code = load_i(codes, (there + {k}) * 16)\n"
        for q in range(window**2):
            steps += f"{indent}d{q}_{k} = {mask}(code, gradient, np.uint32({q}))\n"
            # The bias's gradient sums the masked values, not d: relu's dead windows have none.
            steps += f"{indent}s{k} = {multiply.format(a=f's{k}', d=f'd{q}_{k}', x='one')}\n"
    # Unrolled over the pixels that a window's places and the taps reach together: each is loaded once.
    for row in range(rows + window - 1):
        for t in range(row_taps + (window - 1) * channels):
            uses = [
                (q, r, t - place[1] * channels)
                for q, place in enumerate(places)
                for r in range(rows)
                if r + place[0] == row and 0 <= t - place[1] * channels < row_taps
            ]
            if not uses:
                continue
            steps += f"{indent}v = load_{word}(x, (here + {row} * line + {t}) * 16)\n"
            for q, r, tap in uses:
                for k in range(outputs):
                    a = f"a{r}_{tap}_{k}"
                    steps += f"{indent}{a} = {multiply.format(a=a, d=f'd{q}_{k}', x='v')}\n"
    num_sums, store = lane_sums(names, " " * 12)
    one = "pair(splat(np.float32(1)), splat(np.float32(1)))" if mode == "b" else "splat(np.float32(1))"
    return compiled(
        "conv_pool_gradient",
        "x[] d[] codes[] g[] bias[] blocks x_height x_width kernel_height num_outputs stored height width",
        f"""    nothing = splat(ZERO)
    one = {one}
    sums = np.empty({num_sums}, np.float32)
    line = x_width * {channels}
    chunks = kernel_height // {rows}
    jobs = chunks * ((num_outputs + {outputs - 1}) // {outputs})
    for b in range(blocks):
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            u = job % chunks * {rows}
            wanted = job // chunks * {outputs}
            o = min(wanted, stored - {outputs})
{"".join(f"            {name} = nothing" + chr(10) for name in names)}\
            for i in range(height):
                here = (b * x_height + i * {window} + u) * line
                there = (b * height + i) * width * stored + o
                for _ in range(width):
{steps}                    here += {window * channels}
                    there += stored
{store}            for k in range(wanted - o, min({outputs}, num_outputs - o)):
                for t in range({len(taps)}):
                    g[(u * {row_taps} + t) * num_outputs + o + k] += sums[k * {len(taps)} + t]
                if u == 0:
                    bias[o + k] += sums[{outputs * len(taps)} + k]
""",
    )


def gradient_blocking(plan: Weighted, window: int, stored: int) -> tuple[int, int] | None:
    """Kernel rows and outputs that ``conv_pool_gradient`` accumulates at once; ``None`` where registers do not suffice.

    All rows of the kernel where they fit, or one by one; then as many outputs as there are registers for.
    """
    row_taps = plan.kernel[1] * plan.inputs[2]
    # A row of taps must fit as a whole, since a pixel of it meets every place of the window in one row.
    for rows in (plan.kernel[0], 1):
        size = rows * row_taps + 1 + window**2  # of one output: taps, the bias, and d masked to each place
        sizes = range(1, min(max(1, (vectors.REGISTERS - 1) // size), stored) + 1)
        if size <= _MOST:
            return rows, min(sizes, key=lambda count: (math.ceil(stored / count) * count, -count))
    return None


def can_fuse(plan: Weighted, epilogue: Epilogue, stored: int) -> bool:
    """Whether a first layer and the epilogue behind it can be one kernel.

    It can with whole windows, registers enough, and no batch normalization between (which would need statistics of the
    output before pooling).
    """
    height, width, _ = plan.outputs
    return (
        not (plan.is_dense or plan.is_depthwise or plan.is_grouped)
        and plan.stride == 1
        and epilogue.norm is None
        and epilogue.window > 1
        and epilogue.margin == (0, 0)
        and epilogue.inputs == plan.outputs
        and epilogue.outputs[0] * epilogue.window <= height
        and epilogue.outputs[1] * epilogue.window <= width
        and gradient_blocking(plan, epilogue.window, stored) is not None
    )


class ConvPoolOp:
    """A first convolution with its pooling and dropout. Attributes as in ``WeightedOp``, but y and dy are pooled.

    Args:
        plan: The convolution.
        epilogue: Pooling and dropout.
        mode: Of y and of the gradient; x is float32 in either.
        source: The images.
        margin: Of y: the next layer's, where no other post-op follows.
        streams: Of the run.
        is_padded: An odd number of outputs has a channel of zeros behind it, in float32 too.
    """

    needs_dx = False

    def __init__(
        self, plan: Weighted, epilogue: Epilogue, mode: Mode, *, source: Buffer, margin: tuple[int, int, int, int],
        streams: Streams, is_padded: bool = False,
    ) -> None:  # fmt: skip
        self.plan, self.epilogue, self.mode, self.precision = plan, epilogue, mode, mode
        self.x, self.streams = source, streams
        height, width, outputs = epilogue.outputs
        held = outputs + outputs % 2 if is_padded else outputs
        self.y = Buffer(height, width, held, mode, source.num_blocks, *margin)
        self.dy = Buffer(height, width, held, mode, source.num_blocks)
        stored = self.stored_outputs = self.y.stored_channels
        self.codes = np.zeros(source.num_blocks * height * width * self.y.vectors * LANES, np.int32)
        self.size = math.prod(plan.kernel) * plan.inputs[2] * outputs
        self.weights: Floats = np.empty(0, np.float32)  # replaced by views of the network's flat vectors
        self.trained: Floats = self.weights  # before they are rounded, where they are trained in whole numbers
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # likewise, where the layer has a bias; else zeros
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)
        self.packed = np.zeros(math.prod(plan.kernel) * plan.inputs[2] * stored, np.float32)
        self.packed_bias = np.zeros(stored, np.float32)
        self.key = np.zeros(2, np.int64)
        self._dropout = threshold(epilogue.rate), 1 / (1 - epilogue.rate)
        # The kernel's gradient sums over images, so in bfloat16 x, dy and codes are all needed as pairs of blocks.
        if mode == "b":
            pairs = (source.num_blocks + 1) // 2
            self.paired_x = np.zeros(pairs * source.full_height * source.full_width * source.vectors * LANES, np.int32)
            self.paired_dy, self.paired_codes = np.zeros((2, pairs * height * width * stored * LANES), np.int32)
        rows, columns = gradient_blocking(plan, epilogue.window, stored) or (1, 1)
        row_taps = plan.kernel[1] * plan.inputs[2]
        self._gradient = conv_pool_gradient(mode, epilogue.window, rows, row_taps, plan.inputs[2], columns)
        step = 2 if mode == "b" else 1
        # Forward, an output takes an accumulator for each place of the window and a weight, beside the window's pixels.
        most = max(step, (vectors.REGISTERS - 1 - epilogue.window**2) // (epilogue.window**2 + 1))
        sizes = range(step, min(most, stored) + 1, step)
        at_once = min(sizes, key=lambda count: (math.ceil(stored / count) * count, -count))
        activation = "relu" if epilogue.has_relu else plan.activation
        self._forward = {
            has_dropout: conv_pool(mode, activation, epilogue.window, at_once, has_dropout=has_dropout)
            for has_dropout in {False, epilogue.rate > 0}
        }

    def set_step(self, step: int) -> None:
        """Choose the dropout mask of a step."""
        if self.epilogue.rate:
            self.key[:] = halves(self.streams.key("dropout", self.epilogue.dropout, step))

    def pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of weights: they stay float32, since the images that they multiply are."""
        outputs = self.plan.outputs[2]
        commands.add(0, elementwise.copy(), self.bias, self.packed_bias)
        commands.add(self.size // 4, packing.pad_rows(), self.weights, self.packed, outputs, self.stored_outputs)

    @property
    def _work(self) -> int:
        height, width, outputs = self.plan.outputs
        return height * width * math.prod(self.plan.kernel) * self.plan.inputs[2] * outputs

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        x, y = self.x, self.y
        height, width, outputs = self.epilogue.outputs
        commands.add(
            batch.blocks * self._work, self._forward[batch.is_training and self.epilogue.rate > 0], x.data, self.packed,
            self.packed_bias, y.data, self.codes, self.key, batch.blocks, x.full_height, x.full_width, x.vectors,
            *self.plan.kernel, self.stored_outputs, height, width, y.full_height, y.full_width, y.top, y.left,
            y.vectors, outputs, *self._dropout,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``dy``, through dropout in place, to the gradients of kernel and bias."""
        x, dy = self.x, self.dy
        height, width, outputs = self.epilogue.outputs
        x_data, d_data, codes, blocks = x.data, dy.data, self.codes, batch.blocks
        if self.epilogue.rate:
            dropping = backward_reduce(self.mode, self.mode, has_relu=False, has_dropout=True, has_sums=False)
            nothing = np.empty(0, np.float32)
            commands.add(
                blocks * dy.pass_work, dropping, dy.data, dy.data, batch.valid, nothing, nothing, nothing, self.key,
                blocks, height, width, dy.vectors, outputs, *self._dropout, nothing,
            )  # fmt: skip
        if self.mode == "b":
            rows, columns = x.full_height, x.full_width
            commands.add(
                blocks * x.pass_work, reorders.floats_to_block_pairs(), x.data, self.paired_x, blocks, rows, columns,
                rows, columns, x.vectors,
            )  # fmt: skip
            for source, target in ((dy.data, self.paired_dy), (self.codes, self.paired_codes)):
                commands.add(
                    blocks * dy.pass_work, reorders.to_block_pairs(), source, target, blocks, height, width, 0, 0,
                    height, width, dy.vectors, self.stored_outputs,
                )  # fmt: skip
            x_data, d_data, codes, blocks = self.paired_x, self.paired_dy, self.paired_codes, (blocks + 1) // 2
        commands.add(0, elementwise.clear(), self.gradient)
        commands.add(0, elementwise.clear(), self.bias_gradient)
        commands.add(
            blocks * self._work, self._gradient, x_data, d_data, codes, self.gradient, self.bias_gradient, blocks,
            x.full_height, x.full_width, self.plan.kernel[0], outputs, self.stored_outputs, height, width,
        )  # fmt: skip
        record_penalty(commands, self.plan, self.trained, self.gradient)
