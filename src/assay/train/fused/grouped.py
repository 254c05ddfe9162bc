"""Convolutions with groups of channels, or with a dilation: kernels and op. Layouts: see ``buffers``.

An output reads the inputs of its group, at taps that are ``dilation`` pixels apart. So a kernel row's taps are no
longer one run of memory, as ``products`` has it: here taps are a loop of their own, and channels of a group the inner
one. In bfloat16 a word holds two channels; where a group has an odd number of them, the kernel is packed with zeros
between groups and computed as one group, except for its own gradient, which takes channels singly.
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
from .products import blocking, lane_sums
from .vectors import LANES
from .weighted import record_penalty


@cache
def convolution(source: Mode, target: Mode, activation: str, outputs: int, positions: int) -> Kernel:
    """y = activation(x * w + bias), group by group; with flipped weights, the gradient of its input.

    Weights lie as [group, kernel height, kernel width, vectors of a group, outputs of a group].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), x margins at top and
    bottom (rows of zeros, which are skipped), vectors a pixel in x and in a group of it, kernel height and width,
    stride, dilation, groups, outputs of a group, output height and width, y height and width (with margin), y margins
    at top and left, vectors a pixel in y.
    """
    pairs = [(p, k) for p in range(positions) for k in range(outputs)]
    word, multiply = ("i", "dot(a{p}_{k}, v{p}, w{k})") if source == "b" else ("f", "fma(v{p}, w{k}, a{p}_{k})")
    inner, place = " " * 40, " " * 24
    steps = "".join(
        f"{inner}v{p} = load_{word}(x, (row + {p} * stride * channels + t) * 16)\n" for p in range(positions)
    )
    for k in range(outputs):
        steps += f"{inner}w{k} = broadcast_{word}(w, weights + t * num_outputs + {k})\n"
        steps += "".join(f"{inner}a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(positions))
    finish = ""
    for p in range(positions):
        if activation == "relu":
            finish += "".join(f"{place}a{p}_{k} = maximum(nothing, a{p}_{k})\n" for k in range(outputs))
        finish += f"{place}at = ((b * y_height + i + margin_top) * y_width + j + {p} + margin_left) * y_channels\n"
        if target == "b":
            finish += "".join(
                f"{place}store_i(y, (at + (g * num_outputs + o + {k}) // 2) * 16, pair(a{p}_{k}, a{p}_{k + 1}))\n"
                for k in range(0, outputs, 2)
            )
        else:
            finish += "".join(
                f"{place}store_f(y, (at + g * num_outputs + o + {k}) * 16, a{p}_{k})\n" for k in range(outputs)
            )
    start = "".join(f"{place}a{p}_{k} = broadcast_f(bias, g * num_outputs + o + {k})\n" for p, k in pairs)
    return compiled(
        "grouped_convolution",
        "x[] w[] bias[] y[] blocks x_height x_width top bottom channels group_channels kernel_height kernel_width "
        "stride dilation groups num_outputs height width y_height y_width margin_top margin_left y_channels",
        f"""    nothing = splat(ZERO)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for g in range(groups):
            for first in range(0, num_outputs, {outputs}):
                o = min(first, num_outputs - {outputs})
                for i in range(height):
                    for column in range(0, width, {positions}):
                        j = min(column, width - {positions})
{start}                        for u in range(kernel_height):
                            line = i * stride + u * dilation
                            if top <= line and line < x_height - bottom:
                                for v in range(kernel_width):
                                    row = ((b * x_height + line) * x_width + j * stride + v * dilation) * channels
                                    row += g * group_channels
                                    weights = ((g * kernel_height + u) * kernel_width + v) * group_channels
                                    weights = weights * num_outputs + o
                                    for t in range(group_channels):
{steps}{finish}""",
    )


@cache
def gradient(mode: Mode, inputs: int, outputs: int) -> Kernel:
    """g += x * d summed over images and positions: [kernel height, kernel width, inputs of a group, outputs].

    In bfloat16 x and d are pairs of blocks, so channels are counted singly in both modes. As in
    ``kernel_gradients.kernel_gradient``, threads share jobs, and every job goes through the blocks of images in order.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), channels of x and of a group
    of it, kernel height and width, stride, dilation, outputs, outputs of a group, vectors a pixel in d, output height
    and width, d height and width (with margin), d margins at top and left.
    """
    names = [f"a{c}_{k}" for c in range(inputs) for k in range(outputs)]
    word, multiply = ("i", "dot({a}, v{c}, d{k})") if mode == "b" else ("f", "fma(v{c}, d{k}, {a})")
    inner, place = " " * 20, " " * 12
    steps = "".join(f"{inner}d{k} = load_{word}(d, (there + {k}) * 16)\n" for k in range(outputs))
    for c in range(inputs):
        steps += f"{inner}v{c} = load_{word}(x, (here + {c}) * 16)\n"
        steps += "".join(f"{inner}a{c}_{k} = {multiply.format(a=f'a{c}_{k}', c=c, k=k)}\n" for k in range(outputs))
    num_sums, finish = lane_sums(names, place)
    start = "".join(f"{place}{name} = nothing\n" for name in names)
    return compiled(
        "grouped_gradient",
        "x[] d[] g[] blocks x_height x_width channels group_channels kernel_height kernel_width stride dilation "
        "outputs num_outputs d_channels height width d_height d_width d_top d_left",
        f"""    nothing = splat(ZERO)
    sums = np.empty({num_sums}, np.float32)
    taps = kernel_height * kernel_width
    across, along = (group_channels + {inputs - 1}) // {inputs}, (num_outputs + {outputs - 1}) // {outputs}
    jobs = outputs // num_outputs * taps * across * along
    for b in range(blocks):
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            q, tap = job // (taps * across * along), job // (across * along) % taps
            wanted_c, wanted_o = job // along % across * {inputs}, job % along * {outputs}
            c, o = min(wanted_c, group_channels - {inputs}), min(wanted_o, num_outputs - {outputs})
{start}            for i in range(height):
                line = i * stride + tap // kernel_width * dilation
                here = ((b * x_height + line) * x_width + tap % kernel_width * dilation) * channels
                here += q * group_channels + c
                there = ((b * d_height + i + d_top) * d_width + d_left) * d_channels + q * num_outputs + o
                for _ in range(width):
{steps}                    here += stride * channels
                    there += d_channels
{finish}            for m in range(wanted_c - c, {inputs}):
                row = (tap * group_channels + c + m) * outputs + q * num_outputs + o
                for k in range(wanted_o - o, {outputs}):
                    g[row + k] += sums[m * {outputs} + k]
""",
    )


def gradient_blocking(inputs: int, outputs: int) -> tuple[int, int]:
    """How many inputs and outputs of a group are accumulated at once: little waste, then few loads a product."""
    sizes = [
        (rows, columns)
        for rows in range(1, min(inputs, 6) + 1)
        for columns in range(1, min(outputs, 8) + 1)
        if rows * columns <= vectors.ACCUMULATORS
    ]

    def cost(size: tuple[int, int]) -> float:
        rows, columns = size
        waste = math.ceil(inputs / rows) * rows * math.ceil(outputs / columns) * columns
        return waste * (1 + (rows + columns) / (rows * columns))

    return min(sizes, key=cost)


class GroupedOp:
    """A convolution with groups or dilation: packed weights, buffers, products. Attributes as in ``WeightedOp``."""

    def __init__(self, plan: Weighted, precision: Mode, *, source: Buffer, is_first: bool, is_last: bool) -> None:
        self.plan, self.x, self.precision = plan, source, precision
        self.needs_dx = not is_first
        height, width, outputs = plan.outputs
        self.stored_outputs = outputs + outputs % 2 if precision == "b" else outputs
        self.y = Buffer(height, width, outputs, precision, source.num_blocks)
        if is_last:
            self.y = Buffer(height, width, self.stored_outputs, "f", source.num_blocks)
        self.weights: Floats = np.empty(0, np.float32)  # replaced by views of the network's flat vectors
        self.trained: Floats = self.weights  # before they are rounded, where they are trained in whole numbers
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # likewise, where the layer has a bias; else zeros
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)
        self.dy = gradient_buffer(plan, precision, source.num_blocks, needs_dx=self.needs_dx)
        self.dilated_dy = self.dy
        # In bfloat16 groups can be told apart where they begin with whole words, in inputs and outputs.
        is_whole = plan.depth % 2 == 0 and outputs // plan.groups % 2 == 0
        self._groups = plan.groups if precision == "f" or is_whole else 1
        taps = math.prod(plan.kernel)
        group_vectors = math.ceil(source.vectors / self._groups)
        self._group_outputs = self.stored_outputs // self._groups
        self.packed = np.zeros(self._groups * taps * group_vectors * self._group_outputs, np.uint32)
        self.packed_bias = np.zeros(self.stored_outputs, np.float32)
        self._forward = convolution(
            source.mode, self.y.mode, plan.activation,
            *blocking(self._group_outputs, width, is_paired=self.y.mode == "b"),
        )  # fmt: skip
        if self.needs_dx:
            if plan.stride > 1:
                self.dilated_dy = dilated_buffer(plan, precision, source.num_blocks)
            self.dx = Buffer(*plan.inputs, precision, source.num_blocks)
            stored = self._group_inputs = self.dx.stored_channels // self._groups
            self.packed_backward = np.zeros(self.dy.vectors * taps * stored, np.uint32)
            self.zero_bias = np.zeros(self.dx.stored_channels, np.float32)
            self._dx_kernel = convolution(
                precision, precision, "linear", *blocking(stored, plan.inputs[1], is_paired=precision == "b")
            )
        if precision == "b":
            pairs = (source.num_blocks + 1) // 2
            rows, columns = self._x_size
            self.paired_x = np.zeros(pairs * rows * columns * source.stored_channels * LANES, np.int32)
            self.paired_dy = np.zeros(pairs * height * width * self.stored_outputs * LANES, np.int32)
        self._blocking = gradient_blocking(plan.depth, outputs // plan.groups)
        self._gradient = gradient(precision, *self._blocking)

    @property
    def _x_size(self) -> tuple[int, int]:
        """Rows and columns of what the kernel gradient reads: x itself, or in bfloat16 what is reordered of it."""
        if self.precision == "f":
            return self.x.full_height, self.x.full_width
        (height, width, _), (top, bottom, left, right) = self.plan.inputs, self.plan.margin
        return top + height + bottom, left + width + right

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of weights for ``forward`` and, in training, for the input gradient."""
        plan, bits = self.plan, self.weights.view(np.uint32)
        sizes = math.prod(plan.kernel), plan.groups, plan.depth, plan.outputs[2] // plan.groups, self._groups
        commands.add(0, elementwise.copy(), self.bias, self.packed_bias)
        is_paired = self.x.mode == "b"
        vectors_in = math.ceil(self.x.vectors / self._groups)
        work = plan.size // 4
        commands.add(
            work, packing.pack_groups(), bits, self.packed, *sizes, vectors_in, self._group_outputs, is_paired, False
        )
        if for_training and self.needs_dx:
            is_paired, vectors_in = self.precision == "b", self.dy.vectors // self._groups
            commands.add(
                work, packing.pack_groups(), bits, self.packed_backward, *sizes, vectors_in, self._group_inputs,
                is_paired, True,
            )  # fmt: skip

    @property
    def _work(self) -> int:
        height, width, _ = self.plan.outputs
        return height * width * self.plan.size

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        plan, x, y = self.plan, self.x, self.y
        commands.add(
            batch.blocks * self._work, self._forward, x.data, self.packed, self.packed_bias, y.data, batch.blocks,
            x.full_height, x.full_width, x.top, x.bottom, x.vectors, math.ceil(x.vectors / self._groups), *plan.kernel,
            plan.stride, plan.dilation, self._groups, self._group_outputs, y.height, y.width, y.full_height,
            y.full_width, y.top, y.left, y.vectors,
        )  # fmt: skip

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``dy`` to the kernel's gradient and, where anything before learns, to ``dx``."""
        plan, x, dy, blocks = self.plan, self.x, self.dy, batch.blocks
        height, width, outputs = plan.outputs
        x_data, d_data, d_place = x.data, dy.data, (dy.full_height, dy.full_width, dy.top, dy.left)
        channels, d_channels = x.channels, dy.channels
        if self.precision == "b":
            size = self._x_size
            if x.mode == "b":
                channels = x.stored_channels
                commands.add(
                    blocks * x.pass_work, reorders.to_block_pairs(), x.data, self.paired_x, blocks, x.full_height,
                    x.full_width, 0, 0, *size, x.vectors, channels,
                )  # fmt: skip
            else:
                commands.add(
                    blocks * x.pass_work, reorders.floats_to_block_pairs(), x.data, self.paired_x, blocks,
                    x.full_height, x.full_width, *size, x.vectors,
                )  # fmt: skip
            d_channels = self.stored_outputs
            commands.add(
                blocks * dy.pass_work, reorders.to_block_pairs(), dy.data, self.paired_dy, blocks, dy.full_height,
                dy.full_width, dy.top, dy.left, height, width, dy.vectors, d_channels,
            )  # fmt: skip
            x_data, d_data, d_place, blocks = self.paired_x, self.paired_dy, (height, width, 0, 0), (blocks + 1) // 2
        commands.add(0, elementwise.clear(), self.gradient)
        commands.add(
            blocks * self._work, self._gradient, x_data, d_data, self.gradient, blocks, *self._x_size, channels,
            plan.depth, *plan.kernel, plan.stride, plan.dilation, outputs, outputs // plan.groups, d_channels, height,
            width, *d_place,
        )  # fmt: skip
        record_penalty(commands, plan, self.trained, self.gradient)
        if not self.needs_dx:
            return
        dx = self.dx
        if plan.stride > 1:
            reorders.record_dilation(commands, batch, dy, self.dilated_dy, plan.stride)
            dy = self.dilated_dy
        dy = shifted(dy, gradient_margins(plan))
        work = dx.height * dx.width * plan.size
        commands.add(
            batch.blocks * work, self._dx_kernel, dy.data, self.packed_backward, self.zero_bias, dx.data, batch.blocks,
            dy.full_height, dy.full_width, dy.top, dy.bottom, dy.vectors, dy.vectors // self._groups, *plan.kernel, 1,
            plan.dilation, self._groups, self._group_inputs, dx.height, dx.width, dx.height, dx.width, 0, 0, dx.vectors,
        )  # fmt: skip
