"""A network in whole numbers, as NumPy computes it: C gives the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nets.effects import Window
from ...nets.fixed_point import Add, Arena, Concatenate, Convolve, Graph, Map, Normalize, Operation, Pad, Pool, plan
from ..portable import Portable
from .arithmetic import Ints, Rescale, scaled
from .normalization import Normalizer, whole_normalized

_BATCH = 100


@dataclass(frozen=True, eq=False)
class Kernel:
    """A convolution's constants.

    Args:
        values: int8 [outputs, height, width, inputs of one output].
        bias: int16 [outputs], in units of the sum times ``2**bias_shift``; ``None`` where nothing is added.
        bias_shift: Its shift.
        factors: uint16 [outputs]: what sums are multiplied by, as ``factor_code`` writes them.
    """

    values: NDArray[np.int8]
    bias: NDArray[np.int16] | None
    bias_shift: int
    factors: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Table:
    """An activation's values.

    Args:
        values: uint8 [256] by byte; of elu, by how far below 0, from 0 on.
        shift: Of elu: the layer's numbers are the table's times ``2**shift``.
    """

    values: NDArray[np.uint8]
    shift: int = 0


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes below 0 in units of ``2**-14``: one for each value, channel, or for all (int16)."""

    values: NDArray[np.int16]


@dataclass(frozen=True)
class Cut:
    """The largest number that is left."""

    most: int


Constants = Kernel | Rescale | Table | Slopes | Cut | Normalizer | None
SLOPE_SHIFT = 14


@dataclass(frozen=True, eq=False)
class Program:
    """A network in whole numbers.

    Args:
        network: What was quantized.
        graph: Its operations.
        constants: Of each operation.
        scales: What 1 stands for in each value.
    """

    network: Portable
    graph: Graph
    constants: tuple[Constants, ...]
    scales: tuple[float, ...]

    @cached_property
    def arena(self) -> Arena:
        """Where its values lie."""
        return plan(self.graph)

    @property
    def unit(self) -> float:
        """What 1 stands for in a logit."""
        last = self.graph.operations[-1].target if self.graph.last is None else self.graph.last
        return self.scales[last]

    @property
    def num_bytes(self) -> int:
        """Bytes of its constants as stored: packed kernels, biases, factors, tables; one that is used twice counts
        once."""
        tables = {one.values.tobytes() for one in self.constants if isinstance(one, Table)}
        total = sum(map(len, tables))
        for operation, one in zip(self.graph.operations, self.constants, strict=True):
            if isinstance(one, Kernel) and isinstance(operation, Convolve):
                total += operation.coding.num_bytes(one.values.size) + one.factors.nbytes
                total += 0 if one.bias is None else one.bias.nbytes
            elif isinstance(one, Slopes):
                total += one.values.nbytes
            elif isinstance(one, Normalizer):
                total += one.factors.nbytes + one.biases.nbytes
        return total

    @property
    def bit_lengths(self) -> dict[str, float]:
        """Mean bits of the absolute weights of each convolution, by its name."""
        return {
            operation.name: float(np.ceil(np.log2(np.abs(one.values.astype(np.float64)) + 1)).mean())
            for operation, one in zip(self.graph.operations, self.constants, strict=True)
            if isinstance(one, Kernel)
        }

    def stored(self, images: NDArray[Any]) -> NDArray[np.uint8]:
        """Images as the program takes them: bytes; finer ones, 0 to 1, are rounded to them."""
        if images.dtype == np.uint8:
            return images
        finer: NDArray[np.uint8] = np.clip(np.rint(images.astype(np.float64) * 255), 0, 255).astype(np.uint8)
        return finer

    def whole_logits(self, images: NDArray[Any]) -> NDArray[np.int16]:
        """Logits [n, classes] in 16 bits of stored images [n, height, width, channels]."""
        parts = [self._run(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(parts)

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [n, classes] of stored images [n, height, width, channels]."""
        return (self.whole_logits(images) * self.unit).astype(np.float32)

    def _run(self, images: NDArray[Any]) -> NDArray[np.int16]:
        values: dict[int, Ints] = {0: self.stored(images).reshape(len(images), -1).astype(np.int64)}
        for index, operation in enumerate(self.graph.operations):
            sources = [values[source] for source in operation.sources]
            target = self.graph.values[operation.target]
            shaped = sources[0].reshape(len(images), *operation.inputs)
            out = compute(operation, self.constants[index], shaped, sources, self.graph, target.limits)
            values[operation.target] = out.reshape(len(images), -1)
            for source in operation.sources:
                if self.graph.readers[source] == index:
                    values.pop(source, None)
        last = self.graph.operations[-1].target if self.graph.last is None else self.graph.last
        return values[last].astype(np.int16)


def compute(
    operation: Operation, constants: Any, x: Ints, sources: list[Ints], graph: Graph, limits: tuple[int, int]
) -> Ints:
    """What an operation puts out, of its first source in its shape and of all its sources as they lie."""
    match operation:
        case Convolve():
            assert isinstance(constants, Kernel)
            sums = convolved(x.astype(np.float64), constants.values.astype(np.float64), operation).astype(np.int64)
            if constants.bias is not None:
                sums = sums + (constants.bias.astype(np.int64) << constants.bias_shift)
            return scaled(sums, constants.factors, 16 if operation.is_last else 8, limits)
        case Pool():
            if not operation.is_mean:
                most: Ints = maxima(x, operation, -(2**31))
                return most
            sums, counts = window_sums(x, operation)
            multiplier, full = constants.multipliers[0], operation.window.size[0] * operation.window.size[1]
            return _of_sum(constants, sums * (multiplier * full // counts), limits)
        case Map():
            return mapped(operation, constants, x, graph, limits)
        case Add():
            shaped = (one * multiplier for one, multiplier in zip(sources, constants.multipliers, strict=True))
            return _of_sum(constants, sum(shaped), limits)
        case Concatenate():
            parts = (
                _of_sum(constants, one.reshape(*x.shape[:3], channels) * multiplier, limits)
                for one, channels, multiplier in zip(sources, operation.channels, constants.multipliers, strict=True)
            )
            return np.concatenate(list(parts), 3)
        case Pad():
            return padded(x, operation)
        case Normalize():
            return whole_normalized(x, operation, constants, limits)


def _of_sum(rescale: Rescale, values: Any, limits: tuple[int, int]) -> Ints:
    return rescale.of_sum(values, limits)


def mapped(operation: Map, constants: Any, x: Ints, graph: Graph, limits: tuple[int, int]) -> Ints:
    """An activation in whole numbers."""
    match operation.activation:
        case "relu":
            return np.maximum(x, 0)
        case "relu6":
            return np.clip(x, 0, int(constants.most))
        case "elu":
            at = np.minimum(np.maximum(-x, 0) << constants.shift, len(constants.values) - 1)
            half = 1 << constants.shift >> 1
            return np.where(x < 0, -((constants.values.astype(np.int64)[at] + half) >> constants.shift), x)
        case "leakyrelu" | "prelu":
            count = len(constants.values)
            slopes = constants.values.astype(np.int64)[np.arange(x[0].size) % count].reshape(x.shape[1:])
            below = (x * slopes + (1 << (SLOPE_SHIFT - 1))) >> SLOPE_SHIFT
            return np.clip(np.where(x < 0, below, x), *limits)
        case _:
            out = constants.values[x & 255]
            whole: Ints = (out.view(np.int8) if limits[0] < 0 else out).astype(np.int64)
            return whole


def convolved(x: NDArray[Any], kernel: NDArray[Any], operation: Convolve) -> NDArray[Any]:
    """Sums [n, rows, columns, outputs] of products, tap by tap; of whole numbers in float64 they are exact."""
    window, groups = operation.window, operation.groups
    rows, columns, outputs = operation.outputs
    wide = _padded(x, window, 0)
    sums = np.zeros((len(x), rows, columns, outputs), x.dtype)
    for u in range(window.size[0]):
        for v in range(window.size[1]):
            seen = _tap(wide, window, u, v, rows, columns)
            taps = kernel[:, u, v]
            if groups == 1:
                sums += seen @ taps.T
            elif kernel.shape[3] == 1:
                sums += np.repeat(seen, outputs // groups, 3) * taps[:, 0]
            else:
                parts = seen.reshape(*seen.shape[:3], groups, -1)
                by_group = taps.reshape(groups, outputs // groups, -1)
                sums += np.einsum("nijgc,goc->nijgo", parts, by_group).reshape(sums.shape)
    return sums


def maxima(x: NDArray[Any], operation: Pool, least: Any) -> NDArray[Any]:
    """The maximum of each window [n, rows, columns, channels]; padding never wins."""
    wide = _padded(x, operation.window, least)
    most = np.full((len(x), *operation.outputs), least, x.dtype)
    for u in range(operation.window.size[0]):
        for v in range(operation.window.size[1]):
            np.maximum(most, _tap(wide, operation.window, u, v, *operation.outputs[:2]), out=most)
    return most


def window_sums(x: NDArray[Any], operation: Pool) -> tuple[NDArray[Any], Ints]:
    """Sums of windows [n, rows, columns, channels], and how many elements lie in the image [rows, columns, 1]."""
    window, (rows, columns, _) = operation.window, operation.outputs
    wide = _padded(x, window, 0)
    inside = _padded(np.ones((1, *x.shape[1:3], 1), np.int64), window, 0)
    sums, counts = np.zeros((len(x), *operation.outputs), x.dtype), np.zeros((1, rows, columns, 1), np.int64)
    for u in range(window.size[0]):
        for v in range(window.size[1]):
            sums += _tap(wide, window, u, v, rows, columns)
            counts += _tap(inside, window, u, v, rows, columns)
    return sums, counts[0]


def padded(x: NDArray[Any], operation: Pad) -> NDArray[Any]:
    """An image among zeros."""
    height, width, _ = operation.inputs
    wide = np.zeros((len(x), *operation.outputs), x.dtype)
    wide[:, operation.top : operation.top + height, operation.left : operation.left + width] = x
    return wide


def _padded(x: NDArray[Any], window: Window, fill: Any) -> NDArray[Any]:
    pads = [window.padding(x.shape[axis + 1], axis) for axis in (0, 1)]
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)


def _tap(wide: NDArray[Any], window: Window, u: int, v: int, rows: int, columns: int) -> NDArray[Any]:
    stride, top, left = window.stride, u * window.dilation, v * window.dilation
    return wide[:, top : top + (rows - 1) * stride + 1 : stride, left : left + (columns - 1) * stride + 1 : stride]
