"""A trained network in whole numbers: ranges from training images, kernels by output channel.

Activations are 8 bits, symmetric around zero, and without a sign behind relu; a value's range is the largest that
training images reach. Kernels have a factor for each output channel. Values that an operation only chooses from or
copies (maxima, padding, activations that leave what is above zero alone) share one scale.

Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"; Krishnamoorthi (2018), "Quantizing deep convolutional networks for efficient inference"; for three levels
Li and Liu (2016), "Ternary weight networks".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import Problem, SpecError
from ...nets.fixed_point import (
    ELU_ENDS,
    ENDS,
    IMAGE,
    MOST_PARAMETERS,
    STEEP,
    Add,
    Coding,
    Concatenate,
    Convolve,
    Graph,
    Map,
    Normalize,
    Pad,
    Pool,
    classes_of,
    lower,
)
from ..portable import Portable
from .arithmetic import Rescale, factor_code
from .folded import Floats, is_shifted, kernel_and_bias, scaling_of
from .normalization import Normalizer, least_scale, normalized
from .program import (
    SLOPE_SHIFT,
    Constants,
    Cut,
    Kernel,
    Program,
    Slopes,
    Table,
    convolved,
    maxima,
    padded,
    window_sums,
)
from .trained import codes_of, scales_of_values

_BATCH = 64
_MOST_BIAS = 1 << 20  # in units of a sum
_LEAKY = 0.2


def quantize(
    network: Portable,
    images: NDArray[Any],
    coding: str | None = None,
    *,
    most_parameters: int | None = MOST_PARAMETERS,
) -> Program:
    """The network in whole numbers, calibrated on stored training images [n, height, width, channels].

    Of one that was trained in whole numbers these are the numbers and the scales; images say how large logits become.

    Args:
        network: The network.
        images: Stored training images; some hundreds will do.
        coding: How kernels are stored, of ``CODINGS``; if ``None`` as they were trained, or in whole bytes.
        most_parameters: As many as a program may have; any number if ``None``.

    Raises:
        SpecError: It has a layer without a fixed-point form, or sums beyond 32 bits; or it was trained in whole
            numbers, and a coding is given.
    """
    is_trained = network.summary.quantization is not None
    if is_trained and coding is not None:
        raise SpecError(
            Problem(f"the run was trained with weights of its own, not those of {coding}", "export it as c")
        )
    graph = lower(network.summary, coding, is_shifted=is_shifted(network), most_parameters=most_parameters)
    weights = {
        index: kernel_and_bias(network, operation)
        for index, operation in enumerate(graph.operations)
        if isinstance(operation, Convolve)
    }
    codes = {
        index: codes_of(network, operation)
        for index, operation in enumerate(graph.operations)
        if is_trained and isinstance(operation, Convolve) and operation.weights
    }
    for index, (whole, steps) in codes.items():
        weights[index] = (whole * steps[:, None, None, None], weights[index][1])
    lows, highs = _ranges(network, graph, weights, images)
    scales = _scales(network, graph, lows, highs)
    _let_logits_fit(graph, weights, codes, scales)
    tables = _Tables(graph, scales)
    constants = tuple(
        _constants(network, graph, index, weights.get(index), codes.get(index), scales, tables)
        for index in range(len(graph.operations))
    )
    return Program(network, graph, constants, tuple(scales))


def activations() -> Mapping[str, Callable[[Floats], Floats]]:
    """Activations in float64."""
    from scipy.special import erf, expit

    return {
        "relu": lambda x: np.maximum(x, 0),
        "relu6": lambda x: np.clip(x, 0, 6),
        "leakyrelu": lambda x: np.where(x < 0, _LEAKY * x, x),
        "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
        "gelu": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
        "silu": lambda x: x * expit(x),
        "sigmoid": expit,
        "tanh": np.tanh,
    }


def _ranges(
    network: Portable, graph: Graph, weights: Mapping[int, tuple[Floats, Floats]], images: NDArray[Any]
) -> tuple[list[float], list[float]]:
    """The least and the largest that each value is on these images, in float."""
    lows, highs = [0.0] * len(graph.values), [0.0] * len(graph.values)
    functions = activations()
    narrow = {index: (kernel.astype(np.float32), bias.astype(np.float32)) for index, (kernel, bias) in weights.items()}
    _, factor = scaling_of(network)
    first = 1.0 if is_shifted(network) else float(factor[0])
    scale = 255 if images.dtype != np.uint8 else 1
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH].astype(np.float32) * np.float32(scale * first)
        values: dict[int, NDArray[Any]] = {0: batch.reshape(len(batch), -1)}
        for index, operation in enumerate(graph.operations):
            sources = [values[source] for source in operation.sources]
            x = sources[0].reshape(len(batch), *operation.inputs)
            out: NDArray[Any]
            match operation:
                case Convolve():
                    kernel, bias = narrow[index]
                    out = convolved(x, kernel, operation) + bias
                    if not graph.values[operation.target].is_signed:
                        out = np.maximum(out, 0)
                    if operation.target in graph.sixes:
                        out = np.minimum(out, 6)
                case Pool() if operation.is_mean:
                    sums, counts = window_sums(x, operation)
                    out = sums / counts.astype(np.float32)
                case Pool():
                    out = maxima(x, operation, -np.inf)
                case Map() if operation.activation == "prelu":
                    slopes = _slopes(network, operation)
                    out = np.where(x < 0, x * np.resize(slopes, x[0].size).reshape(x.shape[1:]), x)
                case Map():
                    out = functions[operation.activation](x)
                case Add():
                    out = np.sum(sources, 0)
                    out = out if graph.values[operation.target].is_signed else np.maximum(out, 0)
                case Concatenate():
                    out = np.concatenate([
                        one.reshape(*x.shape[:3], channels)
                        for one, channels in zip(sources, operation.channels, strict=True)
                    ], 3)  # fmt: skip
                case Pad():
                    out = padded(x, operation)
                case Normalize():
                    gamma, beta = _gamma_and_beta(network, operation)
                    out = normalized(x, operation) * gamma.astype(np.float32) + beta.astype(np.float32)
                    out = out if graph.values[operation.target].is_signed else np.maximum(out, 0)
                    out = np.minimum(out, 6) if operation.target in graph.sixes else out
            flat = out.reshape(len(batch), -1)
            values[operation.target] = flat
            lows[operation.target] = min(lows[operation.target], float(flat.min()))
            highs[operation.target] = max(highs[operation.target], float(flat.max()))
            for source in operation.sources:
                if graph.readers[source] == index:
                    values.pop(source, None)
    highs[0] = 255 * first
    return lows, highs


def _scales(network: Portable, graph: Graph, lows: list[float], highs: list[float]) -> list[float]:
    """What 1 stands for in each value; values of one class share it."""
    factor = 1.0 if is_shifted(network) else float(scaling_of(network)[1][0])
    if network.summary.quantization is not None:
        known = scales_of_values(network, graph, factor)
        return [
            known[value] if value in known else _need(graph, value, lows[value], highs[value])
            for value in range(len(graph.values))
        ]
    classes = classes_of(graph)
    needs: dict[int, float] = {}
    for value, root in enumerate(classes):
        needs[root] = max(needs.get(root, 0), _need(graph, value, lows[value], highs[value]))
    for operation in graph.operations:
        if isinstance(operation, Normalize):
            root = classes[operation.sources[0]]
            needs[root] = max(needs[root], least_scale(operation))
    elus = {
        classes[operation.target]
        for operation in graph.operations
        if isinstance(operation, Map) and operation.activation == "elu"
    }
    if elus:
        base = _elu_base([needs[one] for one in elus])
        needs |= {one: math.ldexp(base, _doublings(needs[one], base)) for one in elus}
    needs[classes[IMAGE]] = factor
    return [needs[root] or 1.0 for root in classes]


def _let_logits_fit(
    graph: Graph,
    weights: Mapping[int, tuple[Floats, Floats]],
    codes: Mapping[int, tuple[NDArray[np.int8], Floats]],
    scales: list[float],
) -> None:
    """Let logits be no finer than the sums themselves."""
    for index, operation in enumerate(graph.operations):
        if isinstance(operation, Convolve) and operation.is_last:
            source = scales[operation.sources[0]]
            steps = codes[index][1] if index in codes else _kernel_scales(*weights[index], source, operation.coding)
            scales[operation.target] = max(scales[operation.target], source * float(steps.max()))


def _need(graph: Graph, value: int, low: float, high: float) -> float:
    """The least that 1 can stand for, so that what a value's readers tell apart is in its range."""
    about = graph.values[value]
    _, most = about.limits
    if any(one.target == value and isinstance(one, Map) and one.activation in ENDS for one in graph.operations):
        return 1 / most
    if about.bits == 16:
        return 1.25 * max(-low, high, 1e-6) / most  # other images go beyond
    if not about.is_signed:
        return max(high, 1e-6) / most
    readers = [operation for operation in graph.operations if value in operation.sources]
    kinds = {one.activation if isinstance(one, Map) else "" for one in readers}
    if len(kinds) == 1 and value != graph.last:
        (kind,) = kinds
        if kind in ENDS:
            return ENDS[kind] / most
        if kind in STEEP:
            return max(high, min(-low, STEEP[kind]), 1e-6) / most
        if kind in ("relu", "relu6"):
            return max(high if kind == "relu" else min(high, 6), 1e-6) / most
    return max(high, -low, 1e-6) / most


def _elu_base(needs: list[float]) -> float:
    """The scale of elu's table: layers have it times powers of 2, and the least is lost where it is near theirs.

    A table of 256 entries must reach as far below zero as the widest layer does, or to where elu ends.
    """
    least = min(ELU_ENDS, 128 * max(needs)) / 255

    def lost(base: float) -> float:
        return sum(_doublings(need, base) - math.log2(need / base) for need in needs)

    bases = [max(math.ldexp(need, -_doublings(need, min(needs))), least) for need in needs]
    return min(bases, key=lost)


def _doublings(need: float, base: float) -> int:
    """How often a scale is doubled until it is as large as it needs to be."""
    return max(math.ceil(math.log2(need / base) - 1e-9), 0)


class _Tables:
    """Tables of activations.

    Args:
        graph: The program's operations.
        scales: By value.
    """

    def __init__(self, graph: Graph, scales: list[float]) -> None:
        self._graph, self._scales = graph, scales
        elus = [one for one in graph.operations if isinstance(one, Map) and one.activation == "elu"]
        self._base = min((scales[one.sources[0]] for one in elus), default=1.0)
        steps = np.arange(256)
        below = np.rint(-np.expm1(-steps * self._base) / self._base)
        reach = max((128 * scales[one.sources[0]] / self._base for one in elus), default=0.0)
        length = min(int(np.argmax(below == below[-1])) + 1, int(reach) + 1)
        self._elu = below[:length].astype(np.uint8)

    def of(self, operation: Map) -> Table:
        """The activation of a value, as bytes."""
        (source,), scales = operation.sources, self._scales
        if operation.activation == "elu":
            return Table(self._elu, round(math.log2(scales[source] / self._base)))
        numbers = np.arange(256, dtype=np.uint8)
        signed = numbers.view(np.int8) if self._graph.values[source].is_signed else numbers
        values = activations()[operation.activation](signed.astype(np.float64) * scales[source])
        limits = self._graph.values[operation.target].limits
        whole = np.clip(np.rint(values / scales[operation.target]), *limits)
        return Table(whole.astype(np.int64).astype(np.uint8))


def _constants(
    network: Portable,
    graph: Graph,
    index: int,
    weights: tuple[Floats, Floats] | None,
    codes: tuple[NDArray[np.int8], Floats] | None,
    scales: list[float],
    tables: _Tables,
) -> Constants:
    operation = graph.operations[index]
    source, target = scales[operation.sources[0]], scales[operation.target]
    match operation:
        case Convolve():
            assert weights is not None
            whole, steps = _rounded(operation, *weights, source, target) if codes is None else codes
            return _kernel(operation, whole, steps, weights[1], source, target)
        case Pool() if operation.is_mean:
            count = operation.window.size[0] * operation.window.size[1]
            return Rescale.of([source / target / count], min(15, 22 - math.ceil(math.log2(count))))
        case Map(activation="relu6"):
            return Cut(round(6 / source))
        case Map(activation="leakyrelu"):
            return Slopes(np.array([round(_LEAKY * 2**SLOPE_SHIFT)], np.int16))
        case Map(activation="prelu"):
            slopes = np.rint(_slopes(network, operation) * 2**SLOPE_SHIFT)
            return Slopes(np.clip(slopes, -(2**15), 2**15 - 1).astype(np.int16))
        case Map() if operation.activation != "relu":
            return tables.of(operation)
        case Add() | Concatenate():
            return Rescale.of([scales[one] / target for one in operation.sources])
        case Normalize():
            return Normalizer.of(operation, *_gamma_and_beta(network, operation), source, target)
    return None


def _slopes(network: Portable, operation: Map) -> Floats:
    """PReLU's slopes in the order of an image's values; fewer, where they repeat."""
    alpha = network.of_layer(operation.name)["alpha"].astype(np.float64)
    return (alpha.transpose(1, 2, 0) if alpha.ndim == 3 else alpha).reshape(-1)


def _gamma_and_beta(network: Portable, operation: Normalize) -> tuple[Floats, Floats]:
    weights = network.of_layer(operation.name)
    return weights["gamma"].astype(np.float64), weights["beta"].astype(np.float64)


def _rounded(
    operation: Convolve, kernel: Floats, bias: Floats, source: float, target: float
) -> tuple[NDArray[np.int8], Floats]:
    """A kernel in whole numbers, and what 1 stands for in those of each output."""
    steps = _kernel_scales(kernel, bias, source, operation.coding)
    is_empty = ~kernel.any((1, 2, 3))
    steps = np.where(is_empty, target / source, steps)
    return _levels(kernel / steps[:, None, None, None], operation.coding), steps


def _kernel(
    operation: Convolve, whole: NDArray[np.int8], steps: Floats, bias: Floats, source: float, target: float
) -> Kernel:
    is_empty = ~whole.any((1, 2, 3))
    steps = np.maximum(np.where(is_empty, target / source, steps), np.abs(bias) / (source * _MOST_BIAS))
    biases = np.rint(bias / (source * steps))
    shift = max(math.ceil(math.log2(max(float(np.abs(biases).max()), 1.0) / (2**15 - 1))), 0)
    stored = np.rint(biases / 2**shift).astype(np.int16) if operation.has_bias else None
    reach = np.abs(whole.astype(np.int64)).sum((1, 2, 3)).max() * 255 + (1 << 15 << shift)
    if reach >= 2**31:
        what = f"{operation.name} has {whole[0].size:,} inputs for each output, whose sums can exceed 32 bits"
        raise SpecError(Problem(what, "export a smaller network, or another format"))
    codes = np.array([factor_code(min(float(source * step / target), 15.9)) for step in steps], np.uint16)
    return Kernel(whole, stored, shift, codes)


def _kernel_scales(kernel: Floats, bias: Floats, source: float, coding: Coding) -> Floats:
    """What 1 stands for in the kernel of each output channel."""
    flat = kernel.reshape(len(kernel), -1)
    largest = np.abs(flat).max(1)
    if coding.base == 3:
        steps = _ternary_scales(flat)
    elif not coding.is_packed:
        steps = largest / coding.largest
    else:
        steps = _closest_scales(flat, largest / coding.largest, coding)
    return np.maximum(np.where(steps > 0, steps, 1e-12), np.abs(bias) / (source * _MOST_BIAS))


def _closest_scales(flat: Floats, widest: Floats, coding: Coding) -> Floats:
    """Scales with the least squared error, of some up to that which cuts nothing."""
    best, least = widest.copy(), np.full(len(flat), np.inf)
    for share in np.linspace(0.3, 1.0, 29):
        steps = np.where(widest > 0, widest * share, 1.0)
        error = ((_levels(flat / steps[:, None], coding) * steps[:, None] - flat) ** 2).sum(1)
        best, least = np.where(error < least, steps, best), np.minimum(error, least)
    return best


def _ternary_scales(flat: Floats) -> Floats:
    """The mean of what lies above 0.7 times the mean (Li and Liu 2016)."""
    sizes = np.abs(flat)
    is_large = sizes > 0.7 * sizes.mean(1, keepdims=True)
    mean: Floats = np.where(is_large, sizes, 0).sum(1) / np.maximum(is_large.sum(1), 1)
    return mean


def _levels(values: Floats, coding: Coding) -> NDArray[np.int8]:
    """The nearest whole numbers that have a code."""
    codes = np.rint((values - coding.first) / coding.step)
    low = 1 if coding.largest < -coding.first else 0  # as many below zero as above
    return (np.clip(codes, low, coding.base - 1) * coding.step + coding.first).astype(np.int8)
