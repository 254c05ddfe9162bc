"""Gradients of the inputs of convolutions and dense layers, dx from dy: packed weights, buffers and products.

They are products of dy with the kernel flipped (rotated by half a circle, inputs and outputs exchanged), so they share
the forward kernels.
"""

from __future__ import annotations

import math

import numpy as np

from . import elementwise, packing, products, reorders, tile_products, winograd
from .blocks import Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode, shifted
from .commands import CommandList
from .compiler import Kernel
from .filtering import Filtering
from .phases import margins_of, phases_of


def gradient_buffer(plan: Weighted, precision: Mode, num_blocks: int, *, needs_dx: bool) -> Buffer:
    """The buffer of y's gradient, with the margin that makes the input gradient a convolution as wide as the input.

    Its post-op writes the gradient straight into it. A strided layer needs zeros between pixels too
    (``dilated_buffer``).
    """
    height, width, outputs = plan.outputs
    stored = outputs + outputs % 2 if precision == "b" else outputs
    if not needs_dx or plan.is_dense or plan.stride > 1:
        return Buffer(height, width, stored, precision, num_blocks)
    return Buffer(height, width, stored, precision, num_blocks, *(max(0, side) for side in gradient_margins(plan)))


def gradient_margins(plan: Weighted) -> tuple[int, int, int, int]:
    """Zeros that the input gradient wants around the gradient of y, with its stride's zeros between pixels.

    Below 0 where the layer is padded by more than its kernel reaches: outer pixels saw padding alone.
    """
    (rows, columns), (above, _, before, _) = plan.extent, plan.margin
    height, width = ((size - 1) * plan.stride + 1 for size in plan.outputs[:2])
    below, behind = plan.inputs[0] + above - height, plan.inputs[1] + before - width
    return rows - 1 - above, below, columns - 1 - before, behind


def dilated_buffer(plan: Weighted, precision: Mode, num_blocks: int) -> Buffer:
    """The same with ``stride - 1`` zeros between pixels, which ``reorders.dilate`` fills."""
    rows, columns = ((size - 1) * plan.stride + 1 for size in plan.outputs[:2])
    outputs = plan.outputs[2]
    stored = outputs + outputs % 2 if precision == "b" else outputs
    return Buffer(rows, columns, stored, precision, num_blocks, *(max(0, side) for side in gradient_margins(plan)))


def convolution(
    source: Mode, target: Mode, activation: str, outputs: int, height: int, width: int,
    filtering: Filtering | None = None,
) -> Kernel:  # fmt: skip
    """The direct kernel, or that of a filtering, with its blocking for an output of this shape."""
    if filtering:
        tiles = math.ceil(height / filtering.outputs) * math.ceil(width / filtering.outputs)
        sizes = winograd.blocking(filtering, outputs, tiles, is_paired=target == "b")
        return winograd.convolution(filtering, source, target, activation, *sizes)
    sizes = products.blocking(outputs, width, is_paired=target == "b")
    return products.convolution(source, target, activation, *sizes)


def dense_product(
    source: Mode, target: Mode, activation: str, blocks: int, outputs: int, *, is_output_major: bool = False
) -> Kernel:
    """The kernel of a dense layer's products, with its blocking for so many blocks of images and outputs."""
    sizes = products.dense_blocking(blocks, outputs, is_paired=target == "b")
    return products.dense_product(source, target, activation, *sizes, is_output_major=is_output_major)


class InputGradient:
    """What all have. Attributes:

    dy: Gradient of y, written by the next op; with the margin that the input gradient needs.
    dx: Gradient of x, without a margin.
    """

    dy: Buffer

    def __init__(self, plan: Weighted, precision: Mode, num_blocks: int) -> None:
        self.plan, self.precision = plan, precision
        self.dx = Buffer(*plan.inputs, precision, num_blocks)
        self.dtype = np.int32 if precision == "b" else np.float32

    def pack(self, commands: CommandList, weights: Floats) -> None:
        """Record the packing of the layer's weights, [kernel height, kernel width, inputs, outputs], flat."""
        raise NotImplementedError

    def record(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the way from ``dy`` to ``dx``."""
        raise NotImplementedError


class DenseInputGradient(InputGradient):
    """Of a dense layer: all channels of all input pixels are the outputs of one product."""

    def __init__(self, plan: Weighted, precision: Mode, num_blocks: int) -> None:
        super().__init__(plan, precision, num_blocks)
        self.dy = gradient_buffer(plan, precision, num_blocks, needs_dx=True)
        taps, stored = math.prod(plan.kernel), self.dx.stored_channels
        self.packed = np.zeros(taps * self.dy.vectors * stored, self.dtype)
        self.zero_bias = np.zeros(taps * stored, np.float32)
        # Without channel padding the optimizer's own layout [inputs, outputs] is what the kernel can read, so that
        # packing is a copy instead of a transposition.
        self.is_output_major = stored == plan.inputs[2] and self.dy.channels == plan.outputs[2]
        self.tiling = tile_products.tiling((1, 1), self.dy.vectors, taps * stored, num_blocks, precision)
        if self.tiling:
            self._kernel = self.tiling.kernel(precision, "linear")
        else:
            self._kernel = dense_product(
                precision, precision, "linear", num_blocks, taps * stored, is_output_major=self.is_output_major
            )

    def pack(self, commands: CommandList, weights: Floats) -> None:
        plan, bits, work = self.plan, weights.view(np.uint32), self.plan.size // 4
        taps, inputs, outputs = math.prod(plan.kernel), plan.inputs[2], plan.outputs[2]
        if self.is_output_major and self.precision == "b":
            commands.add(work, packing.pack_flat_pairs(), bits, self.packed)
        elif self.is_output_major:
            commands.add(work, elementwise.copy(), weights, self.packed)
        elif self.precision == "b":
            sizes = taps, inputs, outputs, self.dx.stored_channels
            commands.add(work, packing.pack_transposed_pairs(), bits, self.packed, *sizes)
        else:
            commands.add(work, packing.transpose(), weights, self.packed, taps * inputs, outputs)
        if self.tiling:
            self.tiling.record_packing(commands, self.packed, is_output_major=self.is_output_major)

    def record(self, commands: CommandList, batch: BatchInfo) -> None:
        dx, dy, outputs = self.dx, self.dy, len(self.zero_bias)
        if self.tiling:
            y_vectors = dx.height * dx.width * dx.vectors
            tile_products.record_dense(
                commands, self._kernel, self.tiling, dy.data, self.zero_bias, dx.data, batch.blocks, y_vectors
            )
            return
        commands.add(
            batch.blocks * dy.vectors * outputs, self._kernel, dy.data, self.packed, self.zero_bias, dx.data,
            batch.blocks, dy.vectors, outputs, dx.height * dx.width * dx.vectors,
        )  # fmt: skip


class ConvolvedInputGradient(InputGradient):
    """Of a convolution, with zeros between the pixels of dy where it has a stride."""

    def __init__(self, plan: Weighted, precision: Mode, num_blocks: int) -> None:
        super().__init__(plan, precision, num_blocks)
        self.dy = self._read = gradient_buffer(plan, precision, num_blocks, needs_dx=True)
        if plan.stride > 1:
            self._read = dilated_buffer(plan, precision, num_blocks)
        stored = self.dx.stored_channels
        self.filtering = None
        self.tiling = tile_products.tiling(plan.kernel, self.dy.vectors, stored, plan.inputs[1], precision)
        if plan.stride == 1 and not self.tiling:
            self.filtering = winograd.choice(
                plan.kernel, *plan.inputs[:2], self.dy.stored_channels, stored, self.dy.margins,
                is_paired=precision == "b",
            )  # fmt: skip
        products = self.filtering.products if self.filtering else math.prod(plan.kernel)
        self.packed = np.zeros(products * self.dy.vectors * stored, self.dtype)
        self.zero_bias = np.zeros(stored, np.float32)
        if self.tiling:
            self._kernel = self.tiling.kernel(precision, "linear")
        else:
            self._kernel = convolution(precision, precision, "linear", stored, *plan.inputs[:2], self.filtering)

    def pack(self, commands: CommandList, weights: Floats) -> None:
        if self.filtering:
            sizes = self.plan.inputs[2], self.plan.outputs[2], self.dx.stored_channels, self.precision == "b", True
            winograd.record_packing(commands, self.filtering, weights, self.packed, *sizes)
        else:
            _pack_flipped(commands, self.plan, weights, self.packed, self.dx.stored_channels)
        if self.tiling:
            self.tiling.record_packing(commands, self.packed)

    def record(self, commands: CommandList, batch: BatchInfo) -> None:
        dx, dy, plan = self.dx, self._read, self.plan
        if plan.stride > 1:
            reorders.record_dilation(commands, batch, self.dy, dy, plan.stride)
        dy = shifted(dy, gradient_margins(plan))
        if self.filtering:
            work = dx.height * dx.width * dy.vectors * self.filtering.products // self.filtering.outputs**2
            commands.add(
                batch.blocks * work * dx.stored_channels, self._kernel, dy.data,
                self.packed, self.zero_bias, dx.data, batch.blocks, dy.full_height, dy.full_width, dy.vectors,
                dx.stored_channels, dx.height, dx.width, dx.height, dx.width, 0, 0, dx.vectors,
            )  # fmt: skip
            return
        weights, more = (self.tiling.data, self.tiling.arguments) if self.tiling else (self.packed, ())
        commands.add(
            batch.blocks * dy.height * dy.width * dy.vectors * math.prod(plan.kernel) * dx.stored_channels,
            self._kernel, dy.data, weights, self.zero_bias, dx.data, batch.blocks, dy.full_height, dy.full_width,
            *dy.margins, dy.vectors, *plan.kernel, 1, dx.stored_channels, dx.height, dx.width, dx.height, dx.width, 0,
            0, dx.vectors, *more,
        )  # fmt: skip


class PhasedInputGradient(InputGradient):
    """Of a convolution with a stride that divides its input: see ``phases``."""

    def __init__(self, plan: Weighted, precision: Mode, num_blocks: int) -> None:
        super().__init__(plan, precision, num_blocks)
        self.phases = phases_of(plan)
        height, width, outputs = plan.outputs
        stored = outputs + outputs % 2 if precision == "b" else outputs
        self.dy = Buffer(height, width, stored, precision, num_blocks, *margins_of(plan, self.phases))
        # All taps of the flipped kernel, and the same in the order of phases.
        size = math.prod(plan.kernel) * self.dy.vectors * self.dx.stored_channels
        self._flipped, self.packed = np.zeros((2, size), self.dtype)
        self.zero_bias = np.zeros(self.dx.stored_channels, np.float32)
        self._height, self._width = (side // plan.stride for side in plan.inputs[:2])
        shape = self.dx.stored_channels, self._width
        self._tilings = [
            tile_products.tiling(phase.kernel, self.dy.vectors, *shape, precision) for phase in self.phases
        ]
        direct = convolution(precision, precision, "linear", self.dx.stored_channels, self._height, self._width)
        self._kernels = [tiling.kernel(precision, "linear") if tiling else direct for tiling in self._tilings]

    def pack(self, commands: CommandList, weights: Floats) -> None:
        _pack_flipped(commands, self.plan, weights, self._flipped, self.dx.stored_channels)
        size, place = self.dy.vectors * self.dx.stored_channels, 0
        for phase, tiling in zip(self.phases, self._tilings, strict=True):
            start = place * size
            for tap in phase.taps(self.plan.kernel[1]):
                source, target = self._flipped[tap * size :][:size], self.packed[place * size :][:size]
                commands.add(0, elementwise.copy(), source, target)
                place += 1
            if tiling:
                tiling.record_packing(commands, self.packed[start : place * size])

    def record(self, commands: CommandList, batch: BatchInfo) -> None:
        dx, stride, start = self.dx, self.plan.stride, 0
        for phase, tiling, kernel in zip(self.phases, self._tilings, self._kernels, strict=True):
            dy = phase.source(self.dy)
            size = math.prod(phase.kernel) * dy.vectors * dx.stored_channels
            packed, more = (tiling.data, tiling.arguments) if tiling else (self.packed[start:], ())
            # A pixel of dx as wide as ``stride`` pixels: so the kernel writes every one of them.
            commands.add(
                batch.blocks * self._height * self._width * size, kernel, dy.data, packed, self.zero_bias,
                dx.data[phase.target(dx) :], batch.blocks, dy.full_height, dy.full_width, *dy.margins,
                dy.vectors, *phase.kernel, 1, dx.stored_channels, self._height, self._width, self._height, dx.width, 0,
                0, stride * dx.vectors, *more,
            )  # fmt: skip
            start += size


def input_gradient(plan: Weighted, precision: Mode, num_blocks: int) -> InputGradient:
    """The input gradient that multiplies least."""
    if plan.is_dense:
        return DenseInputGradient(plan, precision, num_blocks)
    return (PhasedInputGradient if phases_of(plan) else ConvolvedInputGradient)(plan, precision, num_blocks)


def _pack_flipped(
    commands: CommandList, plan: Weighted, weights: Floats, packed: np.ndarray, stored_inputs: int
) -> None:
    shape = *plan.kernel, plan.inputs[2], plan.outputs[2]
    if packed.dtype == np.int32:
        commands.add(
            plan.size // 4, packing.pack_flipped_pairs(), weights.view(np.uint32), packed, *shape, stored_inputs
        )
    else:
        commands.add(plan.size // 4, packing.flip(), weights, packed, *shape)
