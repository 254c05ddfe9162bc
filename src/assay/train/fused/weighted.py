"""Ops of convolutions and dense layers: which kernels they call, on which buffers, with which blocking.

A layer has three products: forward y = x * w, the kernel's gradient x * dy summed over images and positions, and the
input's gradient dy * w, which is a convolution of dy with the kernel flipped (rotated by half a circle, inputs and
outputs exchanged). Forward and input gradient of a convolution therefore share one kernel; a dense layer is a
convolution with a kernel as large as its input, except for its gradients, which have kernels of their own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import (
    elementwise,
    kernel_gradients,
    packing,
    products,
    reorders,
    tile_gradients,
    tile_products,
    tiles,
    vectors,
    winograd,
    winograd_gradient,
)  # fmt: skip
from .blocks import Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode
from .commands import CommandList
from .filtering import Filtering
from .input_gradients import convolution, dense_product, gradient_buffer, input_gradient
from .vectors import LANES


def record_penalty(commands: CommandList, plan: Weighted, weights: Floats, gradient: Floats) -> None:
    """Add the gradient of a layer's l1 and l2 penalties to its kernel's, if it has any."""
    if plan.l1 or plan.l2:
        commands.add(plan.size // LANES, elementwise.add_penalty(), weights, gradient, plan.l1, plan.l2)


class WeightedOp:
    """A convolution or dense layer: its packed weights, its buffers, its three products.

    Args:
        plan: The layer.
        precision: Mode of activations and gradients.
        source: Where the input lies, with the layer's margin; float32 for images in either precision.
        is_first: No gradient of the input is needed.
        is_last: The output is the logits, in float32.

    Attributes:
        x, y: Input and output.
        dy: Gradient of y, written by the next op; with the margin that the input gradient needs.
        dx: Gradient of x, without a margin; absent in the first layer.
        weights, gradient: float32 [kernel height, kernel width, inputs, outputs], flat: views of the network's vectors.
        trained: What training changes: the weights, or those that the weights are rounded from.
        bias, bias_gradient: float32 [outputs], likewise.
    """

    def __init__(self, plan: Weighted, precision: Mode, *, source: Buffer, is_first: bool, is_last: bool) -> None:
        self.plan = plan
        self.x = source
        self.is_first, self.is_last = is_first, is_last
        self.mode: Mode = source.mode
        kernel_height, kernel_width = plan.kernel
        height, width, outputs = plan.outputs
        self.y = Buffer(height, width, outputs, "f" if is_last else precision, source.num_blocks)
        self.precision: Mode = precision
        self.size = plan.size
        self.weights: Floats = np.empty(0, np.float32)  # replaced by views of the network's flat vectors
        self.trained: Floats = self.weights  # before they are rounded, where they are trained in whole numbers
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)  # likewise, where the layer has a bias; else zeros
        self.bias_gradient: Floats = np.zeros(outputs, np.float32)

        self.stored_outputs = outputs + outputs % 2 if self.y.mode == "b" or precision == "b" else outputs
        taps = kernel_height * kernel_width
        dtype = np.int32 if self.mode == "b" else np.float32
        is_simple = plan.stride == 1 and not plan.is_dense
        self.filtering = None
        depth = taps * source.vectors  # of a dense layer
        sizes = ((1, 1), depth, self.stored_outputs, source.num_blocks) if plan.is_dense else (
            plan.kernel, source.vectors, self.stored_outputs, width,
        )  # fmt: skip
        self.tiling = tile_products.tiling(*sizes, self.mode)
        # Transforms would round sums that are exact in whole numbers.
        if is_simple and plan.coding is None and not self.tiling:
            self.filtering = winograd.choice(
                plan.kernel, height, width, source.stored_channels, self.stored_outputs, plan.margin,
                is_paired="b" in (self.mode, precision),
            )  # fmt: skip
        products = self.filtering.products if self.filtering else taps
        self.packed = np.zeros(products * source.vectors * self.stored_outputs, dtype)
        self.packed_bias = np.zeros(self.stored_outputs, np.float32)
        # Kernels in bfloat16 write outputs in pairs; logits are float32, with a padding class where their number is
        # odd.
        if is_last and self.stored_outputs != outputs:
            self.y = Buffer(height, width, self.stored_outputs, "f", source.num_blocks)
        self.needs_dx = not is_first
        if is_first:
            self.dy = gradient_buffer(plan, precision, source.num_blocks, needs_dx=False)
        else:
            self.input_gradient = input_gradient(plan, precision, source.num_blocks)
            self.dy, self.dx = self.input_gradient.dy, self.input_gradient.dx
        self.gradient_filtering = None
        self.tiled_gradient = tile_gradients.gradient(plan, source, precision)
        if is_simple and self.mode == precision and not self.tiled_gradient:
            self.gradient_filtering = winograd_gradient.choice(
                plan.kernel, height, width, source.channels, self.stored_outputs, is_paired=precision == "b"
            )
        self._gradient_config: NDArray[np.int64] | None = None
        self._choose_gradient()
        if plan.is_dense:
            transposed_blocks = source.num_blocks
            if precision == "b":
                transposed_blocks = (source.num_blocks + 1) // 2
                pixels = source.full_height * source.full_width
                self.paired_x = np.zeros(transposed_blocks * pixels * source.stored_channels * LANES, np.int32)
                self.paired_dy = np.zeros(transposed_blocks * height * width * self.stored_outputs * LANES, np.int32)
            dtype = np.int32 if precision == "b" else np.float32
            self.transposed_dy = np.zeros(transposed_blocks * LANES * self._transposed_outputs, dtype)
        shape = self.stored_outputs, height, width
        if self.tiling:
            self._forward = self.tiling.kernel(self.y.mode, plan.activation)
        elif plan.is_dense:
            self._forward = dense_product(self.mode, self.y.mode, plan.activation, source.num_blocks, shape[0])
        else:
            self._forward = convolution(self.mode, self.y.mode, plan.activation, *shape, self.filtering)

    def _choose_gradient(self) -> None:
        """Choose the kernel of the kernel gradient, and how many of its elements are accumulated at once."""
        outputs = self.stored_outputs
        if self.plan.is_dense:
            # Lanes are outputs here: as many vectors of them as waste few lanes, times rows (inputs), fill the
            # registers.
            columns = min(vectors.ACCUMULATORS // 4, 5, math.ceil(outputs / LANES))
            columns = min(range(1, columns + 1), key=lambda c: (math.ceil(math.ceil(outputs / LANES) / c) * c, -c))
            self._transposed_outputs = math.ceil(math.ceil(outputs / LANES) / columns) * columns * LANES
            how = tiles.how()
            if how and self.precision == "b":
                total = math.prod(self.plan.kernel) * self.x.stored_channels
                self._gradient_config = tiles.configuration(min(tiles.ROWS, total), tiles.ROWS)
                self._gradient = tile_gradients.dense_gradient(how, *((2, 2) if outputs > LANES else (2, 1)))
                return
            self._gradient = products.dense_gradient(self.precision, min(4, vectors.ACCUMULATORS // columns), columns)
        elif self.tiled_gradient:
            pass
        elif self.gradient_filtering:
            self._gradient = winograd_gradient.kernel_gradient(self.gradient_filtering, self.precision)
        else:
            self._group, taps, columns = _gradient_blocking(self.plan.kernel[1], self.x.channels, outputs)
            self._gradient = kernel_gradients.kernel_gradient(self.precision, self.mode, taps, columns)

    def pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of weights for ``forward`` and, in training, for the input gradient."""
        kernel_height, kernel_width = self.plan.kernel
        inputs, outputs = self.plan.inputs[2], self.plan.outputs[2]
        shape = (kernel_height, kernel_width, inputs, outputs)
        weights, bits, work = self.weights, self.weights.view(np.uint32), self.size // 4
        commands.add(0, elementwise.copy(), self.bias, self.packed_bias)
        if self.filtering:
            sizes = inputs, outputs, self.stored_outputs, self.mode == "b", False
            winograd.record_packing(commands, self.filtering, weights, self.packed, *sizes)
        elif self.mode == "b":
            commands.add(work, packing.pack_pairs(), bits, self.packed, *shape, self.stored_outputs)
        else:
            commands.add(work, packing.pad_rows(), weights, self.packed, outputs, self.stored_outputs)
        if self.tiling:
            self.tiling.record_packing(commands, self.packed)
        if for_training and self.needs_dx:
            self.input_gradient.pack(commands, self.weights)

    def set_step(self, step: int) -> None:
        """Nothing here depends on it."""

    def forward(self, commands: CommandList, batch: BatchInfo) -> None:
        kernel_height, kernel_width = self.plan.kernel
        height, width, _ = self.plan.outputs
        x, y = self.x, self.y
        if self.plan.is_dense and self.tiling:
            tile_products.record_dense(
                commands, self._forward, self.tiling, x.data, self.packed_bias, y.data, batch.blocks, y.vectors
            )
            return
        if self.plan.is_dense:
            depth = x.height * x.width * x.vectors
            commands.add(
                batch.blocks * depth * self.stored_outputs, self._forward, x.data, self.packed, self.packed_bias,
                y.data, batch.blocks, depth, self.stored_outputs, y.vectors,
            )  # fmt: skip
            return
        if self.filtering:
            commands.add(
                batch.blocks * self._forward_work // 2, self._forward, x.data, self.packed, self.packed_bias, y.data,
                batch.blocks, x.full_height, x.full_width, x.vectors, self.stored_outputs, height, width, y.full_height,
                y.full_width, y.top, y.left, y.vectors,
            )  # fmt: skip
            return
        weights, more = (self.tiling.data, self.tiling.arguments) if self.tiling else (self.packed, ())
        commands.add(
            batch.blocks * self._forward_work, self._forward, self.x.data, weights, self.packed_bias, y.data,
            batch.blocks, self.x.full_height,
            self.x.full_width, *self.x.margins, self.x.vectors, kernel_height, kernel_width, self.plan.stride,
            self.stored_outputs, height, width, y.full_height, y.full_width, y.top, y.left, y.vectors, *more,
        )  # fmt: skip

    @property
    def _forward_work(self) -> int:
        height, width, _ = self.plan.outputs
        return height * width * math.prod(self.plan.kernel) * self.x.vectors * self.stored_outputs

    def backward(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``dy`` to the kernel's gradient, if it trains, and except in the first layer, to ``dx``.

        The bias's gradient is summed by the op that writes ``dy``.
        """
        if self.plan.is_fixed:
            pass
        elif self.plan.is_dense:
            self._dense_gradient(commands, batch)
        elif self.tiled_gradient:
            self.tiled_gradient.record(commands, batch, self.dy, self.gradient)
        elif self.gradient_filtering:
            self._winograd_gradient(commands, batch, self.gradient_filtering)
        else:
            self._direct_gradient(commands, batch)
        record_penalty(commands, self.plan, self.trained, self.gradient)
        if self.needs_dx:
            self.input_gradient.record(commands, batch)

    def _winograd_gradient(self, commands: CommandList, batch: BatchInfo, filtering: Filtering) -> None:
        x, dy = self.x, self.dy
        height, width, outputs = self.plan.outputs
        work = batch.blocks * height * width * filtering.products // filtering.outputs**2 * x.vectors * outputs
        commands.add(
            work, self._gradient, x.data, dy.data, self.gradient, batch.blocks, x.full_height, x.full_width, x.vectors,
            self.plan.inputs[2], outputs, height, width, dy.full_height, dy.full_width, dy.top, dy.left, dy.vectors,
            winograd_gradient.chunk_of(filtering, x.stored_channels, self.stored_outputs),
        )  # fmt: skip

    def _direct_gradient(self, commands: CommandList, batch: BatchInfo) -> None:
        x, dy = self.x, self.dy
        height, width, outputs = self.plan.outputs
        rows = kernel_gradients.band_rows(
            height, width, self.stored_outputs, channels=x.stored_channels, kernel_width=self.plan.kernel[1],
            kernel_height=self.plan.kernel[0], stride=self.plan.stride,
        )  # fmt: skip
        commands.add(
            batch.blocks * height * width * math.prod(self.plan.kernel) * x.channels * outputs, self._gradient, x.data,
            dy.data, self.gradient, batch.blocks, x.full_height, x.full_width, x.vectors, x.channels, self._group,
            *self.plan.kernel, self.plan.stride, outputs, height, width, dy.full_height, dy.full_width, dy.top, dy.left,
            dy.vectors, rows,
        )  # fmt: skip

    def _dense_gradient(self, commands: CommandList, batch: BatchInfo) -> None:
        x, dy, blocks = self.x, self.dy, batch.blocks
        inputs, outputs, group = self.plan.inputs[2], self.plan.outputs[2], x.channels
        x_data, d_data = x.data, dy.data
        if self.precision == "b":  # a sum over images wants pairs of blocks
            group = x.stored_channels if self.mode == "b" else x.channels
            self._record_pairs(commands, batch)
            x_data, d_data, blocks = self.paired_x, self.paired_dy, (blocks + 1) // 2
        commands.add(
            blocks * self.stored_outputs * LANES, reorders.transpose_lanes(), d_data, self.transposed_dy, blocks,
            self.stored_outputs, self._transposed_outputs,
        )  # fmt: skip
        sizes = x.height * x.width, group, inputs, outputs, self._transposed_outputs
        more = (*sizes, self._gradient_config) if self._gradient_config is not None else (batch.count, *sizes)
        commands.add(
            blocks * x.height * x.width * inputs * self._transposed_outputs, self._gradient, x_data,
            self.transposed_dy, self.gradient, blocks, *more,
        )  # fmt: skip

    def _record_pairs(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the reordering of x and dy to pairs of blocks."""
        x, dy = self.x, self.dy
        if self.mode == "b":
            commands.add(
                batch.blocks * x.pass_work, reorders.to_block_pairs(), x.data, self.paired_x, batch.blocks,
                x.full_height, x.full_width, 0, 0, x.full_height, x.full_width, x.vectors, x.stored_channels,
            )  # fmt: skip
        else:
            size = x.full_height, x.full_width
            commands.add(
                batch.blocks * x.pass_work, reorders.floats_to_block_pairs(), x.data, self.paired_x, batch.blocks,
                *size, *size, x.vectors,
            )  # fmt: skip
        commands.add(
            batch.blocks * dy.pass_work, reorders.to_block_pairs(), dy.data, self.paired_dy, batch.blocks,
            dy.full_height, dy.full_width, dy.top, dy.left, dy.height, dy.width, dy.vectors, self.stored_outputs,
        )  # fmt: skip


def _gradient_blocking(kernel_width: int, channels: int, outputs: int) -> tuple[int, int, int]:
    """Channels of x in a group, taps (of a kernel row of that group) and outputs that are accumulated at once.

    All taps of a kernel's row over about five channels divided by its width: neighbouring positions then read the same
    few cache lines again, which measured best. Kernels depend on taps and outputs alone, so few are compiled.
    """
    group = max(1, min(channels, round(5 / kernel_width)))
    row = kernel_width * group
    taps = math.ceil(row / math.ceil(row / (8 if vectors.PARTS == 1 else 6)))
    # taps * outputs accumulators, outputs operands and a tap for the registers.
    registers = vectors.REGISTERS * vectors.PARTS - 1
    most = max(1, min(8, outputs, registers // (taps + 1)))
    columns = range(max(1, most - 1), most + 1)
    return group, taps, min(columns, key=lambda count: (math.ceil(outputs / count) * count, -count))
