"""A first convolution with the max pooling behind it, as one kernel there and one back.

The first layer's output is the largest array of a network, and nothing but pooling reads it. So it is never written:
positions of a window are summed side by side in registers, the largest is kept with its place in the window, and the
kernel's gradient takes up from there. How arrays lie: see ``tails``.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ...nets.masks import halves, threshold
from ...seeds import Streams
from . import edges, layouts, vectors
from .compiler import Kernel, compiled
from .grid import Floats, Grid, Run
from .plan import Tail, Weighted
from .tails import Mode, gather
from .tape import Tape
from .vectors import LANES

_MOST = 31  # vectors, the pooling window's and the taps', for which these kernels are worth their while


@cache
def pooled_convolution(target: Mode, activation: str, window: int, outputs: int, *, has_dropout: bool) -> Kernel:
    """z = dropout(pool(activation(x * w + bias))), and where in each window the largest value was.

    A code is the place in the window, in order of rows, or window ** 2 where the activation lets no gradient pass. In
    bfloat16 two channels' codes share a word, as their values do.

    Arguments: part, parts, x (float32), w [kernel height, kernel width * channels, output channels], bias, z, codes,
    low and high half of the dropout key, number of blocks, x height and width (with margin), channels, kernel height
    and width, output channels with padding, pooled height and width, z height and width (with margin), z margin at the
    top and left, vectors a pixel in z, channels without padding, threshold of dropout, 1 / (1 - rate).
    """
    places = [(q, k) for q in range(window**2) for k in range(outputs)]
    steps = ""
    for q in range(window**2):
        at = f"row + {q // window} * line + {q % window} * channels + t"
        steps += f"                            v{q} = load_f(x, ({at}) * 16)\n"
    for k in range(outputs):
        steps += f"                            w{k} = spread_f(w, weights + t * num_outputs + {k})\n"
        steps += "".join(
            f"                            a{q}_{k} = fma(v{q}, w{k}, a{q}_{k})\n" for q in range(window**2)
        )
    place = " " * 20
    finish = ""
    for k in range(outputs):
        finish += f"{place}m{k} = a0_{k}\n{place}c{k} = splat_i(np.uint32(0))\n"
        for q in range(1, window**2):
            finish += f"{place}hit = greater(a{q}_{k}, m{k})\n{place}m{k} = choose(hit, a{q}_{k}, m{k})\n"
            finish += f"{place}c{k} = choose_i(hit, splat_i(np.uint32({q})), c{k})\n"
        if activation == "relu":
            finish += f"{place}c{k} = choose_i(greater(m{k}, nothing), c{k}, splat_i(np.uint32({window**2})))\n"
            finish += f"{place}m{k} = larger(nothing, m{k})\n"
        if has_dropout:
            finish += (
                f"{place}m{k} = choose(at_least(mixed(ramp(np.uint32(index + np.uint32(o + {k})), step), "
                f"np.uint32(key[0]), np.uint32(key[1])), np.uint32(threshold)), mul(m{k}, grown), nothing)\n"
            )
    step = 2 if target == "b" else 1
    for k in range(0, outputs, step):
        vector = f"(o + {k}) // {step}"
        value = f"pair(m{k}, m{k + 1})" if target == "b" else f"m{k}"
        code = f"lows(c{k}, c{k + 1})" if target == "b" else f"c{k}"
        finish += f"{place}store_{'i' if target == 'b' else 'f'}(z, (there * vectors + {vector}) * 16, {value})\n"
        finish += f"{place}store_i(codes, (here * vectors + {vector}) * 16, {code})\n"
    return compiled(
        "pooled_convolution",
        "x[] w[] bias[] z[] codes[] key[long] blocks x_height x_width channels kernel_height kernel_width num_outputs "
        "height width z_height z_width z_top z_left vectors num threshold kept:real",
        f"""    nothing = splat(ZERO)
    grown = splat(np.float32(kept))
    step = np.uint32(height * width * num)
    run = kernel_width * channels
    line = x_width * channels
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for first in range(0, num_outputs, {outputs}):
            o = min(first, num_outputs - {outputs})
            for i in range(height):
                for j in range(width):
                    here = (b * height + i) * width + j
                    there = (b * z_height + i + z_top) * z_width + j + z_left
                    index = np.uint32(((b * 16 * height + i) * width + j) * num)
{"".join(f"                    a{q}_{k} = spread_f(bias, o + {k})" + chr(10) for q, k in places)}\
                    for u in range(kernel_height):
                        row = (b * x_height + i * {window} + u) * line + j * {window} * channels
                        weights = u * run * num_outputs + o
                        for t in range(run):
{steps}{finish}""",
    )


@cache
def pooled_gradient(mode: Mode, window: int, rows: int, run: int, channels: int, outputs: int) -> Kernel:
    """The gradients of kernel and bias from that of the pooled output: g += x * d where the codes say so.

    A pixel of x is read once for a window, and goes with every place of the window and every tap that meet in it. In
    bfloat16 all operands are pairs of blocks.

    Arguments: part, parts, x [blocks, height, width, channels], d and codes [blocks, pooled pixels, outputs], g, bias
    gradient, number of blocks, x height and width (with margin), kernel height, output channels and those that d has
    with padding, pooled height and width.
    """
    word, sum_of = ("i", "dot({a}, {d}, {x})") if mode == "b" else ("f", "fma({x}, {d}, {a})")
    pick = "pick_halves" if mode == "b" else "pick"
    taps = [(r, t) for r in range(rows) for t in range(run)]
    names = [f"a{r}_{t}_{k}" for k in range(outputs) for r, t in taps] + [f"s{k}" for k in range(outputs)]
    places = [(q // window, q % window) for q in range(window**2)]
    indent = " " * 20
    steps = ""
    for k in range(outputs):
        steps += f"{indent}given = load_{word}(d, (there + {k}) * 16)\n"
        steps += f"{indent}code = load_i(codes, (there + {k}) * 16)\n"
        for q in range(window**2):
            steps += f"{indent}d{q}_{k} = {pick}(code, given, np.uint32({q}))\n"
            steps += f"{indent}s{k} = {sum_of.format(a=f's{k}', d=f'd{q}_{k}', x='one')}\n"
    for row in range(rows + window - 1):
        for t in range(run + (window - 1) * channels):
            uses = [
                (q, r, t - place[1] * channels)
                for q, place in enumerate(places)
                for r in range(rows)
                if r + place[0] == row and 0 <= t - place[1] * channels < run
            ]
            if not uses:
                continue
            steps += f"{indent}v = load_{word}(x, (here + {row} * line + {t}) * 16)\n"
            for q, r, tap in uses:
                for k in range(outputs):
                    a = f"a{r}_{tap}_{k}"
                    steps += f"{indent}{a} = {sum_of.format(a=a, d=f'd{q}_{k}', x='v')}\n"
    padded = names + ["nothing"] * (-len(names) % 16)
    store = "".join(
        f"            store_f(sums, {start}, totals({', '.join(padded[start : start + 16])}))\n"
        for start in range(0, len(padded), 16)
    )
    one = "pair(splat(np.float32(1)), splat(np.float32(1)))" if mode == "b" else "splat(np.float32(1))"
    return compiled(
        "pooled_gradient",
        "x[] d[] codes[] g[] bias[] blocks x_height x_width kernel_height num_outputs stored height width",
        f"""    nothing = splat(ZERO)
    one = {one}
    sums = np.empty({len(padded)}, np.float32)
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
                    add_at(g, (u * {run} + t) * num_outputs + o + k, sums, k * {len(taps)} + t)
                if u == 0:
                    add_at(bias, o + k, sums, {outputs * len(taps)} + k)
""",
    )


def gradient_blocking(plan: Weighted, window: int, stored: int) -> tuple[int, int] | None:
    """Kernel rows and outputs that ``pooled_gradient`` accumulates at once; ``None`` where registers do not suffice."""
    run = plan.kernel[1] * plan.inputs[2]
    for rows in (plan.kernel[0], 1):
        size = rows * run + 1 + window**2
        sizes = range(1, min(max(1, (vectors.REGISTERS - 1) // size), stored) + 1)
        if size <= _MOST:
            return rows, min(sizes, key=lambda count: (math.ceil(stored / count) * count, -count))
    return None


def takes(plan: Weighted, tail: Tail, stored: int) -> bool:
    """Whether a first layer and what follows it have the shape for these kernels."""
    height, width, _ = plan.outputs
    return (
        not (plan.is_dense or plan.is_depthwise)
        and plan.stride == 1
        and tail.norm is None
        and tail.window > 1
        and tail.margin == (0, 0)
        and tail.inputs == plan.outputs
        and tail.outputs[0] * tail.window <= height
        and tail.outputs[1] * tail.window <= width
        and gradient_blocking(plan, tail.window, stored) is not None
    )


class PooledOp:
    """A first convolution with its pooling and dropout: its ``y`` is what the next layer reads."""

    needs_dx = False
    takes_pairs = False

    def __init__(
        self, plan: Weighted, tail: Tail, mode: Mode, *, source: Grid, margin: tuple[int, int, int, int],
        streams: Streams,
    ) -> None:  # fmt: skip
        self.plan, self.tail, self.mode, self.precision = plan, tail, mode, mode
        self.x, self.streams = source, streams
        height, width, outputs = tail.outputs
        self.y = Grid(height, width, outputs, mode, source.num_blocks, *margin)
        self.dy = Grid(height, width, outputs, mode, source.num_blocks)
        stored = self.stored_outputs = self.y.stored
        self.codes = np.zeros(source.num_blocks * height * width * self.y.vectors * LANES, np.int32)
        self.size = math.prod(plan.kernel) * plan.inputs[2] * outputs
        self.weights: Floats = np.empty(0, np.float32)  # views of the flat vectors, given by the network
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # its own, unless the network has one
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)
        self.packed = np.zeros(math.prod(plan.kernel) * plan.inputs[2] * stored, np.float32)
        self.packed_bias = np.zeros(stored, np.float32)
        self.key = np.zeros(2, np.int64)
        self._dropout = threshold(tail.rate), 1 / (1 - tail.rate)
        if mode == "b":
            pairs = (source.num_blocks + 1) // 2
            self.paired_x = np.zeros(pairs * source.full_height * source.full_width * source.vectors * LANES, np.int32)
            self.paired_dy, self.paired_codes = np.zeros((2, pairs * height * width * stored * LANES), np.int32)
        rows, columns = gradient_blocking(plan, tail.window, stored) or (1, 1)
        run = plan.kernel[1] * plan.inputs[2]
        self._gradient = pooled_gradient(mode, tail.window, rows, run, plan.inputs[2], columns)
        step = 2 if mode == "b" else 1
        most = max(step, (vectors.REGISTERS - 1 - tail.window**2) // (tail.window**2 + 1))
        sizes = range(step, min(most, stored) + 1, step)
        at_once = min(sizes, key=lambda count: (math.ceil(stored / count) * count, -count))
        self._forward = {
            has_dropout: pooled_convolution(mode, plan.activation, tail.window, at_once, has_dropout=has_dropout)
            for has_dropout in {False, tail.rate > 0}
        }

    def set_step(self, step: int) -> None:
        """Choose the dropout mask of a step."""
        if self.tail.rate:
            self.key[:] = halves(self.streams.key("dropout", self.tail.dropout, step))

    def pack(self, tape: Tape, *, for_training: bool) -> None:
        """The weights as the kernels read them."""
        outputs = self.plan.outputs[2]
        tape(0, edges.copy(), self.bias, self.packed_bias)
        tape(self.size // 4, edges.widen(), self.weights, self.packed, outputs, self.stored_outputs)

    @property
    def _work(self) -> int:
        height, width, outputs = self.plan.outputs
        return height * width * math.prod(self.plan.kernel) * self.plan.inputs[2] * outputs

    def forward(self, tape: Tape, run: Run) -> None:
        x, y = self.x, self.y
        height, width, outputs = self.tail.outputs
        tape(
            run.blocks * self._work, self._forward[run.is_training and self.tail.rate > 0], x.data, self.packed,
            self.packed_bias, y.data, self.codes, self.key, run.blocks, x.full_height, x.full_width, x.vectors,
            *self.plan.kernel, self.stored_outputs, height, width, y.full_height, y.full_width, y.top, y.left,
            y.vectors, outputs, *self._dropout,
        )  # fmt: skip

    def backward(self, tape: Tape, run: Run) -> None:
        """From ``dy``, taken through dropout here, to the gradients of kernel and bias."""
        x, dy = self.x, self.dy
        height, width, outputs = self.tail.outputs
        x_data, d_data, codes, blocks = x.data, dy.data, self.codes, run.blocks
        if self.tail.rate:
            dropping = gather(self.mode, has_dropout=True, has_sums=False)
            tape(
                blocks * dy.passing, dropping, dy.data, dy.data, run.valid, np.empty(0), self.key, blocks, height,
                width, dy.vectors, outputs, *self._dropout,
            )  # fmt: skip
        if self.mode == "b":
            size = x.full_height * x.full_width * x.vectors
            tape(blocks * x.passing, layouts.pair_blocks(), x.data, self.paired_x, blocks, size)
            for source, target in ((dy.data, self.paired_dy), (self.codes, self.paired_codes)):
                tape(
                    blocks * dy.passing, layouts.repair(), source, target, blocks, height, width, 0, 0, height, width,
                    dy.vectors, self.stored_outputs,
                )  # fmt: skip
            x_data, d_data, codes, blocks = self.paired_x, self.paired_dy, self.paired_codes, (blocks + 1) // 2
        tape(0, edges.clear(), self.gradient)
        tape(0, edges.clear(), self.bias_gradient)
        tape(
            blocks * self._work, self._gradient, x_data, d_data, codes, self.gradient, self.bias_gradient, blocks,
            x.full_height, x.full_width, self.plan.kernel[0], outputs, self.stored_outputs, height, width,
        )  # fmt: skip
        if self.plan.l1 or self.plan.l2:
            penalties = self.plan.l1, self.plan.l2
            tape(self.size // LANES, edges.add_penalty(), self.weights, self.gradient, *penalties)
