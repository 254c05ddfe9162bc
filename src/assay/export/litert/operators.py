"""A program's operations as LiteRT's operators.

Values are float32, or 8-bit numbers with the scales of the program: those without a sign are stored 128 lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nets.effects import Image, Window
from ...nets.fixed_point import IMAGE, Add, Concatenate, Convolve, Graph, Map, Normalize, Pad, Pool
from ..fixed_point import Program
from ..fixed_point.arithmetic import factor_of
from ..fixed_point.folded import Floats, is_shifted, kernel_and_bias, scaling_of
from ..fixed_point.program import Kernel
from ..portable import Portable
from .graph import LiteGraph, Scales, Tensor

_LEAKY = 0.2
_LOWEST = 128  # how much lower bytes without a sign are stored
_FIXED = {"tanh": Scales((1 / 128,)), "sigmoid": Scales((1 / 256,), -128)}  # LiteRT knows no other scales for them
_PLAIN = {"relu": "RELU", "relu6": "RELU6", "elu": "ELU", "tanh": "TANH", "sigmoid": "LOGISTIC"}


class Writer:
    """A model under construction.

    Args:
        network: What is written.
        operations: Its operations.
        program: The same in whole numbers; ``None`` for float32.
    """

    def __init__(self, network: Portable, operations: Graph, program: Program | None) -> None:
        self.graph = LiteGraph()
        self._network, self._operations, self._program = network, operations, program
        self._values: dict[int, Tensor] = {}

    def write(self) -> tuple[Tensor, Tensor]:
        """All operations; what goes in and what comes out."""
        images = self._images()
        for index, operation in enumerate(self._operations.operations):
            match operation:
                case Convolve():
                    self._convolve(operation, index)
                case Pool():
                    self._pool(operation)
                case Map():
                    self._map(operation)
                case Add():
                    self._add(operation)
                case Concatenate():
                    self._concatenate(operation)
                case Pad():
                    sides = [
                        (before, operation.outputs[axis] - operation.inputs[axis] - before)
                        for axis, before in enumerate((operation.top, operation.left))
                    ]
                    self._values[operation.target] = self._padded(self._source(operation), sides)
                case Normalize():
                    self._normalize(operation)
        last = self._operations.last
        logits = self._values[self._operations.operations[-1].target if last is None else last]
        logits = self._shaped(self._plain(logits), (self._operations.num_classes,))
        probabilities = self.graph.tensor(logits.shape, "float32", name="probabilities")
        return images, self.graph.operator("SOFTMAX", [logits], probabilities, beta=1.0)

    # Values

    def _scales(self, value: int) -> Scales | None:
        if self._program is None:
            return None
        about = self._operations.values[value]
        wide = 256.0 if about.bits == 16 else 1.0  # logits have 16 bits in C
        return Scales((self._program.scales[value] * wide,), 0 if about.is_signed else -_LOWEST)

    def _new(self, value: int, shape: tuple[int, ...]) -> Tensor:
        """The tensor of a value."""
        tensor = self.graph.tensor(shape, "float32" if self._program is None else "int8", self._scales(value))
        self._values[value] = tensor
        return tensor

    def _like(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A tensor with the numbers of another."""
        return self.graph.tensor(shape, tensor.dtype, tensor.scales)

    def _source(self, operation: Any) -> Tensor:
        """An operation's first source in its shape, with rows and columns."""
        return self._shaped(self._values[operation.sources[0]], operation.inputs)

    def _shaped(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        if tensor.shape == tuple(shape):
            return tensor
        wanted = [-1, *shape]
        sizes = self.graph.constant(np.array(wanted, np.int32))
        return self.graph.operator("RESHAPE", [tensor, sizes], self._like(tensor, tuple(shape)), shape=wanted)

    def _plain(self, tensor: Tensor) -> Tensor:
        """A value in float32."""
        if tensor.dtype == "float32":
            return tensor
        return self.graph.operator("DEQUANTIZE", [tensor], self.graph.tensor(tensor.shape, "float32"))

    def _as_value(self, tensor: Tensor, value: int) -> Tensor:
        """What was computed with other scales, or in float32, as a value has it."""
        if self._program is None or tensor.scales == self._scales(value):
            self._values[value] = tensor
            return tensor
        return self.graph.operator("QUANTIZE", [tensor], self._new(value, tensor.shape))

    def _number(self, value: float) -> Tensor:
        return self.graph.constant(np.array(value, np.float32))

    # Operations

    def _images(self) -> Tensor:
        """Stored images, and what they are in the first value: (value - offset) * factor, or as they are where the
        first operation scales them."""
        network, shape = self._network, self._network.shape
        factor = 1.0 if is_shifted(network) else float(scaling_of(network)[1][0])
        is_whole = self._program is not None and network.dtype == "uint8"
        images = self.graph.tensor(shape, network.dtype, Scales((factor,)) if is_whole else None, "images")
        if is_whole:
            self.graph.operator("QUANTIZE", [images], self._new(IMAGE, shape))
            return images
        values = images
        if network.dtype == "uint8":
            numbers = {"source": 3, "target": 0}
            values = self.graph.operator("CAST", [images], self.graph.tensor(shape, "float32"), **numbers)
        else:
            factor *= 255  # finer images are bytes of 1/255
        if factor != 1:
            values = self._binary("MUL", values, self._number(factor))
        self._as_value(values, IMAGE)
        return images

    def _binary(self, kind: str, one: Tensor, other: Tensor) -> Tensor:
        return self.graph.operator(kind, [one, other], self.graph.tensor(one.shape, "float32"))

    def _activation(self, target: int) -> str:
        """What a value is cut with behind the operation that computes it."""
        if self._operations.values[target].is_signed:
            return ""
        return "relu6" if target in self._operations.sixes else "relu"

    def _convolve(self, operation: Convolve, index: int) -> None:
        kernel, bias, scales, unit = self._kernel(operation, index)
        x, window = self._source(operation), operation.window
        activation = self._activation(operation.target)
        outputs = operation.outputs
        is_dense = operation.form == "dense" and outputs[:2] == (1, 1)
        if is_dense:
            x = self._shaped(x, (operation.inputs[2],))
            constants = [self._weights(kernel.reshape(len(kernel), -1), scales, 0)]
            shape: tuple[int, ...] = (outputs[2],)
        else:
            is_depthwise = operation.groups == operation.inputs[2] > 1
            if is_depthwise:
                kernel = kernel.transpose(3, 1, 2, 0)
            constants = [self._weights(kernel, scales, 3 if is_depthwise else 0)]
            shape = outputs
        constants.append(self._bias(bias, unit))
        if is_dense:
            out = self._new(operation.target, shape)
            self.graph.operator("FULLY_CONNECTED", [x, *constants], out, activation=activation)
            return
        x, is_same = self._windowed(x, window, operation.inputs)
        options: dict[str, Any] = {
            "same": is_same, "stride": window.stride, "stride_height": window.stride, "activation": activation,
            "dilation": window.dilation, "dilation_height": window.dilation,
        }  # fmt: skip
        if is_depthwise:
            options["multiplier"] = outputs[2] // operation.inputs[2]
        name = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
        self.graph.operator(name, [x, *constants], self._new(operation.target, shape), **options)

    def _kernel(
        self, operation: Convolve, index: int
    ) -> tuple[NDArray[Any], NDArray[Any], Floats | None, Floats | None]:
        """Kernel [outputs, height, width, inputs of one output], bias [outputs], and in whole numbers what 1 stands for
        in the kernels of each output and in its sum."""
        if self._program is None:
            kernel, bias = kernel_and_bias(self._network, operation)
            return kernel.astype(np.float32), bias.astype(np.float32), None, None
        constants = self._program.constants[index]
        assert isinstance(constants, Kernel)
        source, target = (self._program.scales[value] for value in (operation.sources[0], operation.target))
        sums = np.array([factor_of(code) for code in constants.factors.tolist()]) * target
        stored = np.zeros(len(sums), np.int16) if constants.bias is None else constants.bias
        whole = stored.astype(np.int32) << constants.bias_shift  # zeros too: LiteRT's depthwise kernel needs some
        return constants.values, whole, sums / source, sums

    def _weights(self, kernel: NDArray[Any], scales: Floats | None, axis: int) -> Tensor:
        return self.graph.constant(kernel, None if scales is None else Scales(tuple(scales.tolist()), 0, axis))

    def _bias(self, bias: NDArray[Any], unit: Floats | None) -> Tensor:
        return self.graph.constant(bias, None if unit is None else Scales(tuple(unit.tolist())))

    def _windowed(self, x: Tensor, window: Window, inputs: Image) -> tuple[Tensor, bool]:
        """What windows are taken from, and whether LiteRT pads it as this window does."""
        sides = [window.padding(inputs[axis], axis) for axis in (0, 1)]
        if not any(map(any, sides)):
            return x, False
        if all(side == _same(window, inputs, axis) for axis, side in enumerate(sides)):
            return x, True
        return self._padded(x, sides), False

    def _padded(self, x: Tensor, sides: Sequence[tuple[int, int]], least: float | None = None) -> Tensor:
        """An image among zeros, or among the least that there is."""
        (top, bottom), (left, right) = sides
        height, width, channels = x.shape
        pads = self.graph.constant(np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32))
        out = self._like(x, (height + top + bottom, width + left + right, channels))
        if least is None:
            return self.graph.operator("PAD", [x, pads], out)
        fill = np.array([least], np.float32) if x.dtype == "float32" else np.array([-_LOWEST], np.int8)
        return self.graph.operator("PADV2", [x, pads, self.graph.constant(fill, x.scales)], out)

    def _pool(self, operation: Pool) -> None:
        window, x = operation.window, self._source(operation)
        sides = [window.padding(operation.inputs[axis], axis) for axis in (0, 1)]
        is_same = all(side == _same(window, operation.inputs, axis) for axis, side in enumerate(sides))
        has_zeros = any(map(any, sides)) and not is_same
        if has_zeros:
            x = self._padded(x, sides, None if operation.is_mean else float(np.finfo(np.float32).min))
        options = {
            "same": is_same and any(map(any, sides)), "stride": window.stride, "stride_height": window.stride,
            "height": window.size[0], "width": window.size[1],
        }  # fmt: skip
        kind = "AVERAGE_POOL_2D" if operation.is_mean else "MAX_POOL_2D"
        out = self.graph.operator(kind, [x], self._like(x, operation.outputs), **options)
        if has_zeros and operation.is_mean:
            out = self._binary("MUL", self._plain(out), self.graph.constant(_shares(operation)))
        self._as_value(out, operation.target)

    def _map(self, operation: Map) -> None:
        x, value = self._source(operation), operation.target
        kind, shape = operation.activation, operation.outputs
        if kind in ("tanh", "sigmoid", "silu") and self._program is not None:
            fixed = _FIXED["tanh" if kind == "tanh" else "sigmoid"]
            out = self.graph.tensor(shape, "int8", fixed)
            self.graph.operator("TANH" if kind == "tanh" else "LOGISTIC", [x], out)
            if kind == "silu":
                self.graph.operator("MUL", [x, out], self._new(value, shape))
            else:
                self._as_value(out, value)
        elif kind == "silu":
            gate = self.graph.operator("LOGISTIC", [x], self._like(x, shape))
            self.graph.operator("MUL", [x, gate], self._new(value, shape))
        elif kind == "gelu":
            self.graph.operator("GELU", [x], self._new(value, shape), approximate=False)
        elif kind == "leakyrelu":
            self.graph.operator("LEAKY_RELU", [x], self._new(value, shape), alpha=_LEAKY)
        elif kind == "prelu":
            self._prelu(operation, x)
        else:
            self.graph.operator(_PLAIN[kind], [x], self._new(value, shape))

    def _prelu(self, operation: Map, x: Tensor) -> None:
        shape = operation.outputs
        slopes = self._network.of_layer(operation.name)["alpha"].astype(np.float64)
        slopes = slopes.transpose(1, 2, 0) if slopes.ndim == 3 else slopes.reshape(-1)
        slopes = np.broadcast_to(slopes, shape if slopes.size == math.prod(shape) else (1, 1, shape[2]))
        scales, alpha = None, slopes.astype(np.float32)
        if self._program is not None:
            step = max(float(np.abs(slopes).max()), 1e-9) / 127
            scales, alpha = Scales((step,)), np.rint(slopes / step).astype(np.int8)
        self.graph.operator("PRELU", [x, self.graph.constant(alpha, scales)], self._new(operation.target, shape))

    def _add(self, operation: Add) -> None:
        parts = [self._shaped(self._values[source], operation.outputs) for source in operation.sources]
        activation, shape = self._activation(operation.target), operation.outputs
        if len(parts) == 2:
            self.graph.operator("ADD", parts, self._new(operation.target, shape), activation=activation)
            return
        total = self._plain(parts[0])
        for place, part in enumerate(parts[1:], 2):
            last = activation if place == len(parts) else ""
            out = self.graph.tensor(shape, "float32")
            total = self.graph.operator("ADD", [total, self._plain(part)], out, activation=last)
        self._as_value(total, operation.target)

    def _concatenate(self, operation: Concatenate) -> None:
        parts, scales = [], self._scales(operation.target)
        for source, channels in zip(operation.sources, operation.channels, strict=True):
            part = self._shaped(self._values[source], (*operation.outputs[:2], channels))
            if part.scales != scales:
                part = self.graph.operator("QUANTIZE", [part], self.graph.tensor(part.shape, "int8", scales))
            parts.append(part)
        self.graph.operator("CONCATENATION", parts, self._new(operation.target, operation.outputs), axis=3)

    def _normalize(self, operation: Normalize) -> None:
        """Mean and variance in float32, of one set a row."""
        (height, width, channels), groups = operation.outputs, operation.groups
        pixels = 1 if operation.is_by_position else height * width
        x = self._plain(self._source(operation))
        sets = self._shaped(x, (pixels, groups, channels // groups))  # positions that stand alone join the batch
        axes = self.graph.constant(np.array([1, 3], np.int32))
        one = (1, groups, 1)

        def mean(of: Tensor) -> Tensor:
            return self.graph.operator("MEAN", [of, axes], self.graph.tensor(one, "float32"), keep=True)

        centre = mean(sets)
        variance = mean(self._binary("SQUARED_DIFFERENCE", sets, centre))
        enlarged = self._binary("ADD", variance, self._number(operation.epsilon))
        root = self.graph.operator("RSQRT", [enlarged], self.graph.tensor(one, "float32"))
        normal = self._shaped(self._binary("MUL", self._binary("SUB", sets, centre), root), operation.outputs)
        weights = self._network.of_layer(operation.name)
        out = self._binary("MUL", normal, self.graph.constant(weights["gamma"].astype(np.float32)))
        total = self.graph.tensor(operation.outputs, "float32")
        shift = self.graph.constant(weights["beta"].astype(np.float32))
        self.graph.operator("ADD", [out, shift], total, activation=self._activation(operation.target))
        self._as_value(total, operation.target)


def _same(window: Window, inputs: Image, axis: int) -> tuple[int, int]:
    """The padding that LiteRT's SAME is."""
    positions = -(-inputs[axis] // window.stride)
    reach = (window.size[axis] - 1) * window.dilation + 1
    total = max((positions - 1) * window.stride + reach - inputs[axis], 0)
    return total // 2, total - total // 2


def _shares(operation: Pool) -> NDArray[np.float32]:
    """By how much the mean over a window exceeds that over it and the zeros around the image [rows, columns, 1]."""
    from ..fixed_point.program import window_sums

    ones = np.ones((1, *operation.inputs), np.float32)
    _, counts = window_sums(ones, operation)
    shares: NDArray[np.float32] = (operation.window.size[0] * operation.window.size[1] / counts).astype(np.float32)
    return shares
