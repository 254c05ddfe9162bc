"""A network as calls of kernels on buffers that are made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...nets.masks import halves, threshold
from ...seeds import Streams
from . import edges, kernels
from .compiler import Kernel
from .kernels import Mode, blocking
from .plan import Block, Tail, Weighted
from .vectors import LANES

EPSILON, MOMENTUM = 1e-3, 0.99
Floats = NDArray[np.float32]


@dataclass
class Grid:
    """A buffer of activations: [block, height, width, vectors of a pixel, lane], with a margin of zeros."""

    height: int
    width: int
    channels: int
    mode: Mode
    num_blocks: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    data: NDArray[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = self.num_blocks * self.full_height * self.full_width * self.vectors * LANES
        self.data = np.zeros(size, np.float32 if self.mode == "f" else np.int32)

    @property
    def full_height(self) -> int:
        return self.top + self.height + self.bottom

    @property
    def full_width(self) -> int:
        return self.left + self.width + self.right

    @property
    def margins(self) -> tuple[int, int, int, int]:
        return self.top, self.bottom, self.left, self.right

    @property
    def vectors(self) -> int:
        return self.channels if self.mode == "f" else (self.channels + 1) // 2

    @property
    def stored(self) -> int:
        """Channels with their padding."""
        return self.vectors * (1 if self.mode == "f" else 2)


class Team:
    """Shares every kernel call among threads; results are the same bits for any number of them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        if threads > 1:
            import numba

            numba.set_num_threads(min(threads, numba.get_num_threads()))

    def __call__(self, kernel: Kernel, *arguments: Any) -> None:
        kernel(self.threads, *arguments)


@dataclass
class Run:
    """What one pass over a batch needs to know."""

    count: int  # images
    blocks: int
    valid: Floats  # 1 for an image, 0 for an empty lane
    step: int = 0
    is_training: bool = False


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
        self.size = kernel_height * kernel_width * inputs * outputs
        self.weights: Floats = np.empty(0, np.float32)  # views of the flat vectors, given by the network
        self.bias: Floats = np.empty(0, np.float32)
        self.gradient: Floats = np.empty(0, np.float32)
        self.bias_gradient: Floats = np.empty(0, np.float32)

        self.stored_outputs = outputs + outputs % 2 if self.y.mode == "b" or precision == "b" else outputs
        taps = kernel_height * kernel_width
        run_channels = source.vectors
        dtype = np.int32 if self.mode == "b" else np.float32
        self.packed = np.zeros(taps * run_channels * self.stored_outputs, dtype)
        self.packed_bias = np.zeros(self.stored_outputs, np.float32)
        if is_last and self.stored_outputs != outputs:
            self.y = Grid(height, width, self.stored_outputs, "f", source.num_blocks)
        # The gradient of y, with the margin that the turned convolution needs.
        above, below, before, after = plan.margin
        self.needs_dx = not is_first
        margins = {}
        if self.needs_dx:
            margins = {
                "top": kernel_height - 1 - above, "bottom": kernel_height - 1 - below,
                "left": kernel_width - 1 - before, "right": kernel_width - 1 - after,
            }  # fmt: skip
            if plan.is_dense:
                margins = {}
        self.dy = Grid(height, width, self.stored_outputs, precision, source.num_blocks, **margins)
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
            self.turned = np.zeros(
                taps * self.dy.vectors * self.dx.stored, np.int32 if precision == "b" else np.float32
            )
            self.dx_stored = self.dx.stored * (taps if plan.is_dense else 1)
            # A dense kernel without padding lies as its turned form needs it: [inputs, outputs].
            self.is_by_output = plan.is_dense and self.dx.stored == inputs and self.stored_outputs == outputs
            self.no_bias = np.zeros(self.dx_stored, np.float32)

        outputs_at_once, positions = blocking(self.stored_outputs, width, is_paired=self.y.mode == "b")
        self._forward = kernels.convolution(self.mode, self.y.mode, plan.activation, outputs_at_once, positions)
        if self.needs_dx:
            dx_outputs, dx_positions = blocking(self.dx_stored, self._dx_size[1], is_paired=precision == "b")
            self._turned = kernels.convolution(
                precision, precision, "linear", dx_outputs, dx_positions, is_by_output=self.is_by_output
            )

    def _choose_groups(self) -> None:
        """How the operands of the kernel gradient lie, and how much of it is accumulated at once."""
        outputs = self.stored_outputs
        self._x_group, self._d_group = self.x.channels, outputs
        if self.plan.is_dense:
            columns = min(5, math.ceil(outputs / LANES))
            columns = min(range(1, columns + 1), key=lambda c: (math.ceil(math.ceil(outputs / LANES) / c) * c, -c))
            self._turned_outputs = math.ceil(math.ceil(outputs / LANES) / columns) * columns * LANES
            self._x_group = self.x.stored if self.mode == "b" else self.x.channels
            self._dense_gradient = kernels.dense_gradient(self.precision, max(1, min(4, 24 // columns)), columns)
        else:
            group, taps, columns = _gradient_blocking(self.plan.kernel[1], self.x.channels, outputs)
            if self.mode == "b":
                self._x_group, self._d_group = group, columns
            self._gradient = kernels.kernel_gradient(self.precision, taps, columns)
        self._x_stored = math.ceil(self.x.stored / self._x_group) * self._x_group
        self._d_stored = math.ceil(outputs / self._d_group) * self._d_group

    @property
    def _dx_size(self) -> tuple[int, int]:
        return (1, 1) if self.plan.is_dense else (self.plan.inputs[0], self.plan.inputs[1])

    def pack(self, *, for_training: bool) -> None:
        """The weights as the kernels read them."""
        kernel_height, kernel_width = self.plan.kernel
        inputs, outputs = self.plan.inputs[2], self.plan.outputs[2]
        bits = self.weights.view(np.uint32)
        self.packed_bias[:outputs] = self.bias
        if self.mode == "b":
            edges.pack_pairs(bits, self.packed, kernel_height, kernel_width, inputs, outputs, self.stored_outputs)
        elif self.stored_outputs == outputs:
            self.packed[:] = self.weights
        else:
            self.packed.reshape(-1, self.stored_outputs)[:, :outputs] = self.weights.reshape(-1, outputs)
        if not (for_training and self.needs_dx):
            return
        taps = kernel_height * kernel_width
        if self.is_by_output and self.precision == "b":
            edges.pack_rows(bits, self.turned)
        elif self.is_by_output:
            self.turned[:] = self.weights
        elif self.plan.is_dense and self.precision == "b":
            edges.pack_exchanged(bits, self.turned, taps, inputs, outputs, self.dx.stored)
        elif self.plan.is_dense:
            edges.exchange(self.weights, self.turned, taps, inputs, outputs)
        elif self.precision == "b":
            edges.pack_turned_pairs(bits, self.turned, kernel_height, kernel_width, inputs, outputs, self.dx.stored)
        else:
            edges.turn(self.weights, self.turned, kernel_height, kernel_width, inputs, outputs)

    def forward(self, team: Team, run: Run) -> None:
        kernel_height, kernel_width = self.plan.kernel
        height, width, _ = self.plan.outputs
        y = self.y
        team(
            self._forward, self.x.data, self.packed, self.packed_bias, y.data, run.blocks, self.x.full_height,
            self.x.full_width, *self.x.margins, self.x.vectors, kernel_height, kernel_width, self.plan.stride,
            self.stored_outputs, height, width, y.full_height, y.full_width, y.top, y.left, y.vectors,
        )  # fmt: skip

    @property
    def takes_pairs(self) -> bool:
        """Whether the gradient of y is wanted in pairs of blocks alone.

        Not behind batch normalization: two blocks at once would then need more registers than there are.
        """
        return self.precision == "b" and self.is_first and not self.is_last and not self.is_normed

    def backward(self, team: Team, run: Run) -> None:
        """From the gradient of y to the kernel's and, except in the first layer, to ``dx``."""
        blocks, x_data, d_data, d_place = self._operands(team, run)
        height, width, outputs = self.plan.outputs
        x, inputs = self.x, self.plan.inputs[2]
        if self.plan.is_dense:
            edges.turn_lanes(d_data, self.turned_dy, blocks, self.stored_outputs, outputs, self._turned_outputs)
            team(
                self._dense_gradient, x_data, self.turned_dy, self.gradient, blocks, x.height * x.width, self._x_group,
                inputs, outputs, self._turned_outputs,
            )  # fmt: skip
        else:
            self.gradient[:] = 0
            team(
                self._gradient, x_data, d_data, self.gradient, blocks, x.full_height, x.full_width, inputs,
                self._x_group, *self.plan.kernel, self.plan.stride, outputs, self._d_group, height, width, *d_place,
            )  # fmt: skip
        if self.plan.l2:
            self.gradient += np.float32(2 * self.plan.l2) * self.weights
        if self.needs_dx:
            self._input_gradient(team, run)

    def _operands(self, team: Team, run: Run) -> tuple[int, NDArray[Any], NDArray[Any], tuple[int, int, int, int]]:
        """What the kernel gradient multiplies: number of blocks, x, dy, and the shape and margins of dy."""
        x, dy = self.x, self.dy
        if self.precision == "f":
            return run.blocks, x.data, dy.data, (dy.full_height, dy.full_width, dy.top, dy.left)
        if self.mode == "b":
            team(kernels.repair(), x.data, self.paired_x, run.blocks, x.full_height, x.full_width, 0, 0, x.full_height,
                 x.full_width, x.vectors, self._x_group)  # fmt: skip
        else:
            team(kernels.pair_blocks(), x.data, self.paired_x, run.blocks, x.full_height * x.full_width * x.vectors)
        if not self.takes_pairs:
            team(kernels.repair(), dy.data, self.paired_dy, run.blocks, dy.full_height, dy.full_width, dy.top, dy.left,
                 dy.height, dy.width, dy.vectors, self._d_group)  # fmt: skip
        return (run.blocks + 1) // 2, self.paired_x, self.paired_dy, (dy.height, dy.width, 0, 0)

    def _input_gradient(self, team: Team, run: Run) -> None:
        dx, dy = self.dx, self.dy
        height, width = self._dx_size
        kernel_height, kernel_width = (1, 1) if self.plan.is_dense else self.plan.kernel
        vectors = dx.vectors
        if self.plan.is_dense:  # one position, with every input pixel's channels as outputs
            vectors *= dx.height * dx.width
        team(
            self._turned, dy.data, self.turned, self.no_bias, dx.data, run.blocks, dy.full_height, dy.full_width,
            *dy.margins, dy.vectors, kernel_height, kernel_width, 1, self.dx_stored, height, width, height, width, 0, 0,
            vectors,
        )  # fmt: skip


def _gradient_blocking(kernel_width: int, channels: int, outputs: int) -> tuple[int, int, int]:
    """Channels of x in a group, taps (a kernel row of that group) and outputs that are accumulated at once.

    A row of taps over few channels reads the same pixels again and again from the nearest cache, which measured best.
    """
    group = max(1, min(channels, round(5 / kernel_width)))
    taps = min(kernel_width * group, 8)
    most = max(1, min(8, outputs, 30 // taps - 1))  # with the operands, what 32 registers hold
    columns = range(max(1, most - 1), most + 1)
    return group, taps, min(columns, key=lambda count: (math.ceil(outputs / count) * count, -count))


class TailOp:
    """Batch normalization, max pooling and dropout as one pass there and two passes back."""

    def __init__(self, plan: Tail, *, source: Grid, target: Grid, dz: Grid, streams: Streams) -> None:
        self.plan, self.y, self.z, self.dz = plan, source, target, dz
        self.streams = streams
        self.mode: Mode = source.mode
        height, width, _ = plan.outputs
        self.is_pooled = plan.window > 1
        self.m = Grid(height, width, source.channels, source.mode, source.num_blocks) if self.is_pooled else source
        stored = source.stored
        self.scale, self.shift = np.ones(stored, np.float32), np.zeros(stored, np.float32)
        self.factor = np.ones(stored, np.float32)
        self.slope, self.level = np.zeros(stored, np.float32), np.zeros(stored, np.float32)
        if plan.norm is not None:
            self.mean, self.inverse = np.zeros(stored, np.float64), np.zeros(stored, np.float64)
            self.gamma = self.beta = self.gamma_gradient = self.beta_gradient = np.empty(0, np.float32)
            self.moving_mean = np.zeros(source.channels, np.float32)
            self.moving_variance = np.ones(source.channels, np.float32)
        self._kernel = kernels.tail(self.mode, window=plan.window, has_dropout=False)
        self._dropping = kernels.tail(self.mode, window=plan.window, has_dropout=True) if plan.rate else self._kernel
        self._gather = kernels.gather(self.mode, has_dropout=plan.rate > 0, has_sums=plan.norm is not None)
        if plan.norm is not None:
            self._moments = kernels.moments(self.mode)

    @property
    def passes_through(self) -> bool:
        """Whether y is z: nothing is to be computed."""
        return self.plan.is_empty and self.y is self.z

    def forward(self, team: Team, run: Run) -> None:
        plan, y, z = self.plan, self.y, self.z
        if plan.norm is not None:
            self._normalize(team, run)
        if self.passes_through:
            return
        kernel = self._dropping if run.is_training else self._kernel
        height, width, channels = plan.outputs
        team(
            kernel, y.data, self.m.data, z.data, self.scale, self.shift, run.blocks, y.height, y.width, y.vectors,
            *plan.margin, height, width, z.full_height, z.full_width, z.top, z.left, channels,
            *self._mask(run),
        )  # fmt: skip

    def _normalize(self, team: Team, run: Run) -> None:
        if run.is_training:
            sums = np.zeros(2 * self.y.stored)
            pixels = self.y.height * self.y.width
            team(self._moments, self.y.data, run.valid, sums, run.blocks, pixels, self.y.vectors)
            edges.norm_from_batch(
                sums, run.count * pixels, self.gamma, self.beta, self.moving_mean, self.moving_variance, MOMENTUM,
                EPSILON, self.mean, self.inverse, self.scale, self.shift,
            )  # fmt: skip
        else:
            channels = self.y.channels
            inverse = 1 / np.sqrt(self.moving_variance.astype(np.float64) + EPSILON)
            self.scale[:channels] = self.gamma * inverse
            self.shift[:channels] = self.beta - self.moving_mean * self.scale[:channels]

    def _mask(self, run: Run) -> tuple[int, int, int, float]:
        plan = self.plan
        if not plan.rate:
            return 0, 0, 0, 1.0
        low, high = halves(self.streams.key("dropout", plan.dropout, run.step))
        return low, high, threshold(plan.rate), 1 / (1 - plan.rate)

    def backward(
        self,
        team: Team,
        run: Run,
        *,
        dy: Grid,
        activation: str,
        bias_gradient: Floats | None,
        paired: NDArray[np.int32] | None = None,
    ) -> None:
        """From ``dz`` to ``dy``, or to ``paired`` instead, through the activation of the layer before."""
        plan, y = self.plan, self.y
        dy = _reshaped(dy, (y.height, y.width, y.channels))
        height, width, channels = plan.outputs
        stored = y.stored
        if plan.rate or plan.norm is not None:
            sums = np.empty(run.blocks * 2 * stored)
            team(
                self._gather, self.dz.data, self.m.data, run.valid, sums, run.blocks, height, width, y.vectors,
                channels, *self._mask(run),
            )  # fmt: skip
            if plan.norm is not None:
                edges.norm_gradient(
                    sums, run.blocks, run.count * y.height * y.width, self.gamma, self.mean, self.inverse,
                    self.gamma_gradient, self.beta_gradient, self.factor, self.slope, self.level,
                )  # fmt: skip
        kernel = kernels.scatter(
            self.mode, window=plan.window, has_norm=plan.norm is not None, activation=activation,
            is_paired=paired is not None,
        )  # fmt: skip
        shares = run.blocks if paired is None else (run.blocks + 1) // 2
        sums = np.empty(shares * stored)
        target = dy.data
        if paired is not None:
            target, dy = paired, Grid(y.height, y.width, y.channels, self.mode, 0)
        team(
            kernel, y.data, self.m.data, self.dz.data, target, run.valid, self.factor, self.slope, self.level, sums,
            run.blocks, y.height, y.width, y.vectors, *plan.margin, height, width, dy.full_height,
            dy.full_width, dy.top, dy.left,
        )  # fmt: skip
        if bias_gradient is not None:
            edges.add_parts(sums, shares, bias_gradient)


class Program:
    """A network's forward and backward passes.

    Args:
        blocks: As ``plan.blocks_of`` returns them.
        precision: "bfloat16" (activations and products; sums, statistics and weights stay float32) or "float32".
        max_batch: The largest batch.
        streams: Of the run; ``dropout`` draws the masks.
        threads: How many threads share each kernel.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        precision: Literal["float32", "bfloat16"],
        max_batch: int,
        streams: Streams,
        threads: int = 1,
    ) -> None:
        mode: Mode = "b" if precision == "bfloat16" else "f"
        num_blocks = math.ceil(max_batch / LANES)
        self.team = Team(threads)
        self.weighted: list[WeightedOp] = []
        self.tails: list[list[TailOp]] = []
        first = blocks[0].weighted
        source = Grid(*first.inputs, "f", num_blocks, *first.margin)
        self.images = source
        pending: list[tuple[Block, WeightedOp]] = []
        for index, block in enumerate(blocks):
            is_last = index == len(blocks) - 1
            op = WeightedOp(
                block.weighted, mode, source=source, is_first=index == 0, is_last=is_last,
                is_normed=bool(block.tails) and block.tails[0].norm is not None,
            )  # fmt: skip
            self.weighted.append(op)
            pending.append((block, op))
            if is_last:
                break
            source = self._outlet(block, op, blocks[index + 1].weighted, mode, num_blocks)
        for index, (block, op) in enumerate(pending[:-1]):
            self.tails.append(self._tail_ops(block, op, self.weighted[index + 1], streams, num_blocks, mode))
        last = self.weighted[-1]
        self.classes = last.plan.outputs[2]
        self.logit_gradient = np.zeros(num_blocks * last.stored_outputs * LANES, np.float32)
        self._valid = np.zeros(num_blocks * LANES, np.float32)

    @staticmethod
    def _outlet(block: Block, op: WeightedOp, following: Weighted, mode: Mode, num_blocks: int) -> Grid:
        """The buffer between a block and the next: y itself where nothing happens between."""
        if len(block.tails) == 1 and block.tails[0].is_empty and not any(following.margin):
            return op.y
        height, width, channels = block.tails[-1].outputs
        return Grid(height, width, channels, mode, num_blocks, *following.margin)

    @staticmethod
    def _tail_ops(
        block: Block, op: WeightedOp, following: WeightedOp, streams: Streams, num_blocks: int, mode: Mode
    ) -> list[TailOp]:
        ops = []
        source, tails = op.y, block.tails
        for index, tail in enumerate(tails):
            source = _reshaped(source, tail.inputs)
            is_last = index == len(tails) - 1
            target = following.x if is_last else Grid(*tail.outputs, mode, num_blocks)
            dz = following.dx if is_last else Grid(*tail.outputs, mode, num_blocks)
            ops.append(TailOp(tail, source=source, target=target, dz=dz, streams=streams))
            source = target
        return ops

    def run(self, count: int, *, step: int = 0, is_training: bool = False) -> Run:
        """The description of a batch of ``count`` images."""
        blocks = math.ceil(count / LANES)
        self._valid[:count] = 1
        self._valid[count:] = 0
        return Run(count, blocks, self._valid, step, is_training)

    def forward(self, run: Run) -> Floats:
        """Logits, float32 [blocks, stored classes, 16], from ``self.images``."""
        for index, op in enumerate(self.weighted):
            op.forward(self.team, run)
            if index < len(self.tails):
                for tail in self.tails[index]:
                    tail.forward(self.team, run)
        logits: Floats = self.weighted[-1].y.data
        return logits

    def backward(self, run: Run) -> None:
        """Every gradient, from ``self.logit_gradient``."""
        last = self.weighted[-1]
        stored = last.stored_outputs
        gradient = self.logit_gradient[: run.blocks * stored * LANES]
        last.bias_gradient[:] = gradient.reshape(run.blocks, stored, LANES).sum((0, 2))[: self.classes]
        if last.precision == "b":
            self.team(kernels.pair_channels(), gradient, last.dy.data, run.blocks, stored)
        else:
            last.dy.data[: len(gradient)] = gradient
        last.backward(self.team, run)
        for index in range(len(self.tails) - 1, -1, -1):
            op, tails = self.weighted[index], self.tails[index]
            for position in range(len(tails) - 1, -1, -1):
                is_first = position == 0
                tails[position].backward(
                    self.team,
                    run,
                    dy=op.dy if is_first else tails[position - 1].dz,
                    activation=op.plan.activation if is_first else "linear",
                    bias_gradient=op.bias_gradient if is_first else None,
                    paired=op.paired_dy if is_first and op.takes_pairs else None,
                )
            op.backward(self.team, run)


def _reshaped(grid: Grid, shape: tuple[int, int, int]) -> Grid:
    """The same numbers as another shape, where flatten stands between."""
    if (grid.height, grid.width) == shape[:2]:
        return grid
    view = Grid(*shape, grid.mode, 0)
    view.num_blocks, view.data = grid.num_blocks, grid.data
    return view
