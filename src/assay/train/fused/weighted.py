"""Convolutions and dense layers as calls of kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import edges, layouts, products, vectors, winograd
from .compiler import Kernel
from .grid import Floats, Grid, Run
from .plan import Weighted
from .products import blocking
from .tails import Mode
from .tape import Tape
from .vectors import LANES


def gradient_grid(plan: Weighted, precision: Mode, num_blocks: int, *, needs_dx: bool) -> Grid:
    """The gradient of y, with the margin that the turned convolution needs."""
    height, width, outputs = plan.outputs
    stored = outputs + outputs % 2 if precision == "b" else outputs
    if not needs_dx or plan.is_dense or plan.stride > 1:
        return Grid(height, width, stored, precision, num_blocks)
    (rows, columns), (above, below, before, after) = plan.kernel, plan.margin
    margins = rows - 1 - above, rows - 1 - below, columns - 1 - before, columns - 1 - after
    return Grid(height, width, stored, precision, num_blocks, *margins)


def spread_grid(plan: Weighted, precision: Mode, num_blocks: int) -> Grid:
    """The same with zeros between pixels, where there is a stride."""
    (height, width), (above, _, before, _) = plan.kernel, plan.margin
    rows, columns = ((size - 1) * plan.stride + 1 for size in plan.outputs[:2])
    outputs = plan.outputs[2]
    stored = outputs + outputs % 2 if precision == "b" else outputs
    return Grid(
        rows, columns, stored, precision, num_blocks, height - 1 - above, plan.inputs[0] + above - rows,
        width - 1 - before, plan.inputs[1] + before - columns,
    )  # fmt: skip


class WeightedOp:
    """A convolution or dense layer: its packed weights, its buffers, its three products."""

    def __init__(
        self, plan: Weighted, precision: Mode, *, source: Grid, is_first: bool, is_last: bool, is_normed: bool
    ) -> None:
        self.plan = plan
        self.x = source
        self.is_first, self.is_last, self.is_normed = is_first, is_last, is_normed
        self.mode: Mode = source.mode
        kernel_height, kernel_width = plan.kernel
        height, width, outputs = plan.outputs
        self.y = Grid(height, width, outputs, "f" if is_last else precision, source.num_blocks)
        self.precision: Mode = precision
        inputs = plan.inputs[2]
        self.size = plan.size
        self.weights: Floats = np.empty(0, np.float32)  # views of the flat vectors, given by the network
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # its own, unless the network has one
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)

        self.stored_outputs = outputs + outputs % 2 if self.y.mode == "b" or precision == "b" else outputs
        taps = kernel_height * kernel_width
        run_channels = source.vectors
        dtype = np.int32 if self.mode == "b" else np.float32
        is_simple = plan.kernel == (3, 3) and plan.stride == 1 and not plan.is_dense
        self.is_tiled = is_simple and winograd.is_worthwhile(
            height, width, source.stored, self.stored_outputs, source.margins
        )
        points = winograd.POINTS if self.is_tiled else taps
        self.packed = np.zeros(points * run_channels * self.stored_outputs, dtype)
        self.packed_bias = np.zeros(self.stored_outputs, np.float32)
        if is_last and self.stored_outputs != outputs:
            self.y = Grid(height, width, self.stored_outputs, "f", source.num_blocks)
        self.needs_dx = not is_first
        self.dy = gradient_grid(plan, precision, source.num_blocks, needs_dx=self.needs_dx)
        # What the turned convolution reads: with a stride, dy with zeros between.
        self.spread = self.dy
        if self.needs_dx and plan.stride > 1:
            self.spread = spread_grid(plan, precision, source.num_blocks)
        self._choose_groups()
        pairs = (source.num_blocks + 1) // 2
        if precision == "b":
            self.paired_x = np.zeros(pairs * source.full_height * source.full_width * self._x_stored * LANES, np.int32)
            self.paired_dy = np.zeros(pairs * height * width * self._d_stored * LANES, np.int32)
        if plan.is_dense:
            turned_blocks = pairs if precision == "b" else source.num_blocks
            dtype = np.int32 if precision == "b" else np.float32
            self.turned_dy = np.zeros(turned_blocks * LANES * self._turned_outputs, dtype)
        if self.needs_dx:
            self.dx = Grid(*plan.inputs, precision, source.num_blocks)
            self.is_turned_tiled = is_simple and winograd.is_worthwhile(
                *plan.inputs[:2], self.dy.stored, self.dx.stored, self.dy.margins
            )
            points = winograd.POINTS if self.is_turned_tiled else taps
            self.turned = np.zeros(
                points * self.dy.vectors * self.dx.stored, np.int32 if precision == "b" else np.float32
            )
            self.dx_stored = self.dx.stored * (taps if plan.is_dense else 1)
            # A dense kernel without padding lies as its turned form needs it: [inputs, outputs].
            self.is_by_output = plan.is_dense and self.dx.stored == inputs and self.stored_outputs == outputs
            self.no_bias = np.zeros(self.dx_stored, np.float32)

        shape = self.stored_outputs, height, width
        self._forward = _convolution(self.mode, self.y.mode, plan.activation, *shape, is_tiled=self.is_tiled)
        if self.needs_dx and plan.is_dense:
            sizes = products.dense_blocking(source.num_blocks, self.dx_stored, is_paired=precision == "b")
            self._turned = products.dense_product(precision, precision, *sizes, is_by_output=self.is_by_output)
        elif self.needs_dx:
            shape = self.dx_stored, *plan.inputs[:2]
            self._turned = _convolution(precision, precision, "linear", *shape, is_tiled=self.is_turned_tiled)

    def _choose_groups(self) -> None:
        """How the operands of the kernel gradient lie, and how much of it is accumulated at once."""
        outputs = self.stored_outputs
        self._x_group, self._d_group = self.x.channels, outputs
        if self.plan.is_dense:
            columns = min(vectors.ACCUMULATORS // 4, 5, math.ceil(outputs / LANES))
            columns = min(range(1, columns + 1), key=lambda c: (math.ceil(math.ceil(outputs / LANES) / c) * c, -c))
            self._turned_outputs = math.ceil(math.ceil(outputs / LANES) / columns) * columns * LANES
            self._x_group = self.x.stored if self.mode == "b" else self.x.channels
            self._dense_gradient = products.dense_gradient(
                self.precision, min(4, vectors.ACCUMULATORS // columns), columns
            )
        else:
            group, taps, columns = _gradient_blocking(self.plan.kernel[1], self.x.channels, outputs)
            if self.mode == "b":
                self._x_group, self._d_group = group, columns
            self._gradient = products.kernel_gradient(self.precision, taps, columns)
        self._x_stored = math.ceil(self.x.stored / self._x_group) * self._x_group
        self._d_stored = math.ceil(outputs / self._d_group) * self._d_group

    def pack(self, tape: Tape, *, for_training: bool) -> None:
        """The weights as the kernels read them."""
        kernel_height, kernel_width = self.plan.kernel
        inputs, outputs = self.plan.inputs[2], self.plan.outputs[2]
        shape = (kernel_height, kernel_width, inputs, outputs)
        weights, bits, work = self.weights, self.weights.view(np.uint32), self.size // 4
        tape(0, edges.copy(), self.bias, self.packed_bias)
        if self.is_tiled:
            given = inputs, outputs, self.stored_outputs, self.mode == "b", False
            tape(work, winograd.pack_tiles(), weights, self.packed, *given)
        elif self.mode == "b":
            tape(work, edges.pack_pairs(), bits, self.packed, *shape, self.stored_outputs)
        else:
            tape(work, edges.widen(), weights, self.packed, outputs, self.stored_outputs)
        if not (for_training and self.needs_dx):
            return
        taps = kernel_height * kernel_width
        if self.is_turned_tiled:
            given = inputs, outputs, self.dx.stored, self.precision == "b", True
            tape(work, winograd.pack_tiles(), weights, self.turned, *given)
        elif self.is_by_output and self.precision == "b":
            tape(work, edges.pack_rows(), bits, self.turned)
        elif self.is_by_output:
            tape(work, edges.copy(), weights, self.turned)
        elif self.plan.is_dense and self.precision == "b":
            tape(work, edges.pack_exchanged(), bits, self.turned, taps, inputs, outputs, self.dx.stored)
        elif self.plan.is_dense:
            tape(work, edges.exchange(), weights, self.turned, taps * inputs, outputs)
        elif self.precision == "b":
            tape(work, edges.pack_turned_pairs(), bits, self.turned, *shape, self.dx.stored)
        else:
            tape(work, edges.turn(), weights, self.turned, *shape)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, tape: Tape, run: Run) -> None:
        kernel_height, kernel_width = self.plan.kernel
        height, width, _ = self.plan.outputs
        x, y = self.x, self.y
        if self.is_tiled:
            tape(
                run.blocks * self._forward_work // 2, self._forward, x.data, self.packed, self.packed_bias, y.data,
                run.blocks, x.full_height, x.full_width, x.vectors, self.stored_outputs, height, width, y.full_height,
                y.full_width, y.top, y.left, y.vectors,
            )  # fmt: skip
            return
        tape(
            run.blocks * self._forward_work, self._forward, self.x.data, self.packed, self.packed_bias, y.data,
            run.blocks, self.x.full_height,
            self.x.full_width, *self.x.margins, self.x.vectors, kernel_height, kernel_width, self.plan.stride,
            self.stored_outputs, height, width, y.full_height, y.full_width, y.top, y.left, y.vectors,
        )  # fmt: skip

    @property
    def _forward_work(self) -> int:
        height, width, _ = self.plan.outputs
        return height * width * math.prod(self.plan.kernel) * self.x.vectors * self.stored_outputs

    @property
    def takes_pairs(self) -> bool:
        """Whether the gradient of y is wanted in pairs of blocks alone.

        Not behind batch normalization: two blocks at once would then need more registers than there are.
        """
        return self.precision == "b" and self.is_first and not self.is_last and not self.is_normed

    def backward(self, tape: Tape, run: Run) -> None:
        """From the gradient of y to the kernel's and, except in the first layer, to ``dx``."""
        blocks, x_data, d_data, d_place = self._operands(tape, run)
        height, width, outputs = self.plan.outputs
        kernel_height, kernel_width = self.plan.kernel
        x, inputs = self.x, self.plan.inputs[2]
        if self.plan.is_dense:
            tape(
                blocks * self.stored_outputs * LANES, edges.turn_lanes(), d_data, self.turned_dy, blocks,
                self.stored_outputs, outputs, self._turned_outputs,
            )  # fmt: skip
            tape(
                blocks * x.height * x.width * inputs * self._turned_outputs, self._dense_gradient, x_data,
                self.turned_dy, self.gradient, blocks, run.count, x.height * x.width, self._x_group,
                inputs, outputs, self._turned_outputs,
            )  # fmt: skip
        else:
            tape(self.size // LANES, edges.clear(), self.gradient)
            tape(
                blocks * height * width * kernel_height * kernel_width * inputs * outputs, self._gradient, x_data,
                d_data, self.gradient, blocks, x.full_height, x.full_width, inputs,
                self._x_stored // self._x_group, self._x_group, *self.plan.kernel, self.plan.stride, outputs,
                self._d_stored // self._d_group, self._d_group, height, width, *d_place,
            )  # fmt: skip
        if self.plan.l1 or self.plan.l2:
            penalties = self.plan.l1, self.plan.l2
            tape(self.size // LANES, edges.add_penalty(), self.weights, self.gradient, *penalties)
        if self.needs_dx:
            self._input_gradient(tape, run)

    def _operands(self, tape: Tape, run: Run) -> tuple[int, NDArray[Any], NDArray[Any], tuple[int, int, int, int]]:
        """What the kernel gradient multiplies: number of blocks, x, dy, and the shape and margins of dy."""
        x, dy = self.x, self.dy
        if self.precision == "f":
            return run.blocks, x.data, dy.data, (dy.full_height, dy.full_width, dy.top, dy.left)
        if self.mode == "b":
            tape(run.blocks * x.passing, layouts.repair(), x.data, self.paired_x, run.blocks, x.full_height,
            x.full_width, 0, 0, x.full_height,
                 x.full_width, x.vectors, self._x_group)  # fmt: skip
        else:
            tape(
                run.blocks * x.passing,
                layouts.pair_blocks(),
                x.data,
                self.paired_x,
                run.blocks,
                x.full_height * x.full_width * x.vectors,
            )
        if not self.takes_pairs:
            tape(run.blocks * dy.passing, layouts.repair(), dy.data, self.paired_dy, run.blocks, dy.full_height,
            dy.full_width, dy.top, dy.left,
                 dy.height, dy.width, dy.vectors, self._d_group)  # fmt: skip
        return (run.blocks + 1) // 2, self.paired_x, self.paired_dy, (dy.height, dy.width, 0, 0)

    def _input_gradient(self, tape: Tape, run: Run) -> None:
        dx, dy = self.dx, self.dy
        if self.plan.is_dense:  # every input pixel's channels are outputs of one product
            vectors = dx.height * dx.width * dx.vectors
            work = run.blocks * dy.vectors * self.dx_stored
            tape(work, self._turned, dy.data, self.turned, dx.data, run.blocks, dy.vectors, self.dx_stored, vectors)
            return
        kernel_height, kernel_width = self.plan.kernel
        if self.plan.stride > 1:
            layouts.record_spread(tape, run, dy, self.spread, self.plan.stride)
            dy = self.spread
        if self.is_turned_tiled:
            tape(
                run.blocks * dx.height * dx.width * dy.vectors * 4 * self.dx_stored, self._turned, dy.data, self.turned,
                self.no_bias, dx.data, run.blocks, dy.full_height, dy.full_width, dy.vectors, self.dx_stored, dx.height,
                dx.width, dx.height, dx.width, 0, 0, dx.vectors,
            )  # fmt: skip
            return
        tape(
            run.blocks * dy.height * dy.width * dy.vectors * kernel_height * kernel_width * self.dx_stored,
            self._turned, dy.data, self.turned, self.no_bias, dx.data, run.blocks, dy.full_height, dy.full_width,
            *dy.margins, dy.vectors, kernel_height, kernel_width, 1, self.dx_stored, dx.height, dx.width, dx.height,
            dx.width, 0, 0, dx.vectors,
        )  # fmt: skip


def _convolution(
    source: Mode, target: Mode, activation: str, outputs: int, height: int, width: int, *, is_tiled: bool
) -> Kernel:
    """The kernel that multiplies out or the one that goes by tiles, for an output of this shape."""
    if is_tiled:
        tiles = math.ceil(height / 2) * math.ceil(width / 2)
        sizes = winograd.tiling(outputs, tiles, is_paired=target == "b")
        return winograd.convolution(source, target, activation, *sizes)
    return products.convolution(source, target, activation, *blocking(outputs, width, is_paired=target == "b"))


def _gradient_blocking(kernel_width: int, channels: int, outputs: int) -> tuple[int, int, int]:
    """Channels of x in a group, taps (a kernel row of that group) and outputs that are accumulated at once.

    A row of taps over few channels reads the same pixels again and again from the nearest cache, which measured best.
    """
    group = max(1, min(channels, round(5 / kernel_width)))
    taps = min(kernel_width * group, 8)
    # With the operands, what 32 registers hold; where there are fewer, loads weigh more than sums that leave them.
    most = max(1, min(8, outputs, 30 // taps - 1))
    columns = range(max(1, most - 1), most + 1)
    return group, taps, min(columns, key=lambda count: (math.ceil(outputs / count) * count, -count))
