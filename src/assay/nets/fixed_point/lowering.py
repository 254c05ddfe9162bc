"""From layer words to the operations of a fixed-point program, before anything is trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...errors import Problem, SpecError
from .. import layers as words
from ..effects import Image, Shape, Window
from ..layers.norms import EPSILON
from ..shapes import LayerSummary, Summary
from ..translation import Translation
from .codings import CODINGS, Coding, coding_for
from .operations import (
    IMAGE,
    Activation,
    Add,
    Concatenate,
    Convolve,
    Graph,
    Map,
    Normalize,
    Operation,
    Pad,
    Pool,
    Value,
)

MOST_PARAMETERS = 100_000  # of a header
MOST_TOGETHER = 1 << 15  # values whose mean and variance are taken together: their squares' sum fits 32 bits
SCALING = "scaling"  # the operation that subtracts an offset from images
_ONE = Window((1, 1), 1, 1, "valid")
_UNSIGNED = ("relu", "relu6", "sigmoid")
_SAME_ABOVE_ZERO = ("relu", "leakyrelu", "elu", "prelu")
_REMEDY = "export it as onnx or torch"


class _Lowering:
    """Operations so far.

    Args:
        summary: The network.
        coding: How kernels are stored; as they were trained if ``None``.
        is_shifted: Whether images are scaled by more than a factor.
        is_limited: Whether sums have 32 bits.
    """

    def __init__(self, summary: Summary, coding: Coding | None, *, is_shifted: bool, is_limited: bool) -> None:
        self._coding, self._quantization, self.is_limited = coding, summary.quantization, is_limited
        self._bits = summary.quantization.activations if summary.quantization is not None else 8
        self.values = [Value(math.prod(summary.input_shape), is_signed=False)]
        self.operations: list[Operation] = []
        self.places: dict[str, tuple[int, Image]] = {"": (IMAGE, summary.input_shape)}
        self.sixes: set[int] = set()  # values that are cut at 6
        self._readers = _readers(summary)
        self._names: dict[int, str] = {IMAGE: ""}  # the layer whose output a value is
        if is_shifted:
            shape = summary.input_shape
            self._names[self.affine(SCALING, IMAGE, shape, layer="", norms=())] = ""
            self.places[""] = (len(self.values) - 1, shape)

    def source(self, row: LayerSummary) -> tuple[int, Image]:
        """The value that a layer reads, and its shape."""
        value, shape = self.places[row.inputs[0]]
        return value, _image(row.input_shape) if math.prod(row.input_shape) == math.prod(shape) else shape

    def value(self, shape: Image, *, is_signed: bool) -> int:
        self.values.append(Value(math.prod(shape), is_signed, self._bits))
        return len(self.values) - 1

    def coding_of(self, layer: str) -> Coding:
        """How a layer's kernels are stored."""
        if self._coding is not None:
            return self._coding
        return CODINGS["int8"] if self._quantization is None else coding_for(self._quantization.bits_of(layer))

    def put(self, row: LayerSummary, value: int) -> None:
        """A value is the layer's output."""
        self.places[row.name] = (value, _image(row.output_shape))
        self._names[value] = row.name

    def convolve(
        self,
        row: LayerSummary,
        weights: str,
        source: int,
        inputs: Image,
        outputs: Image,
        window: Window,
        groups: int,
        *,
        has_bias: bool,
        suffix: str = "",
    ) -> int:
        target = self.value(outputs, is_signed=True)
        name = row.name + suffix
        self.operations.append(Convolve(
            name, (source,), target, inputs, outputs, window, groups, row.name, weights, (), has_bias,
            self.coding_of(row.name),
        ))  # fmt: skip
        return target

    def affine(self, name: str, source: int, shape: Image, *, layer: str, norms: tuple[str, ...]) -> int:
        """A factor and a shift for each channel: a depthwise convolution of single pixels."""
        target = self.value(shape, is_signed=True)
        fine = CODINGS["int8"]  # one factor a channel
        self.operations.append(
            Convolve(name, (source,), target, shape, shape, _ONE, shape[2], layer, "", norms, True, fine)
        )
        return target

    def activate(self, row: LayerSummary, value: int, shape: Image, name: str) -> int:
        """The activation of a value; relu of sums that nobody else reads costs nothing."""
        if name in ("linear", "softmax"):  # a softmax is the last layer's alone
            return value
        if not self.values[value].is_signed and name in _SAME_ABOVE_ZERO:
            return value
        # A scale that is a power of two cannot end at 6.
        if name == "relu" or (name == "relu6" and self._quantization is None):
            last = self.operations[-1] if self.operations else None
            if (
                isinstance(last, Convolve | Add | Normalize)
                and last.target == value
                and self.values[value].is_signed
                and (name == "relu" or isinstance(last, Convolve | Normalize))
                and self._is_read_once(value, row)
            ):
                self.values[value] = replace(self.values[value], is_signed=False)
                if name == "relu6":
                    self.sixes.add(value)
                return value
        is_signed = name not in _UNSIGNED
        target = self.value(shape, is_signed=is_signed)
        activation: Activation = name  # type: ignore[assignment]
        slopes = row.tensors[0].size if name == "prelu" else 0
        self.operations.append(Map(row.name, (value,), target, shape, shape, activation, slopes))
        return target

    def _is_read_once(self, value: int, row: LayerSummary) -> bool:
        """Whether only this layer reads a value, or the layer itself has just computed it."""
        name = self._names.get(value)
        return name is None or self._readers[name] == 1

    def fold(self, row: LayerSummary, value: int) -> bool:
        """Batch normalization in the convolution before it, where nobody else reads that and nothing is between."""
        last = self.operations[-1] if self.operations else None
        if not isinstance(last, Convolve) or last.target != value or not self.values[value].is_signed:
            return False
        if last.outputs[2] != row.input_shape[-1] or not self._is_read_once(value, row):
            return False
        self.operations[-1] = replace(last, norms=(*last.norms, row.name), has_bias=True)
        return True


def lower(
    summary: Summary,
    coding: str | None = None,
    *,
    is_shifted: bool = False,
    most_parameters: int | None = MOST_PARAMETERS,
) -> Graph:
    """A network as the operations of a fixed-point program.

    Args:
        summary: The network, trained or not.
        coding: How its kernels are stored, of ``CODINGS``; if ``None`` as they were trained, or in whole bytes.
        is_shifted: Whether images are scaled by more than a factor, as ``scaling = "standard"`` does.
        most_parameters: As many as a program may have; with ``None`` nothing is limited to what C takes.

    Raises:
        SpecError: It stands on a base, is a module of one's own, has more than 100,000 parameters, or normalizes more
            than 32,768 values at once.
    """
    if summary.members > 1:
        what = f"it is an ensemble of {summary.members} networks, and a C header or LiteRT file holds one"
        raise SpecError(Problem(what, "export it as onnx or torch, or distil it into one network"))
    if summary.own is not None:
        raise SpecError(Problem("the network is a module of one's own, and no C code is written for it", _REMEDY))
    if summary.base is not None:
        what = f"it stands on {summary.base.title}, and a C header has no code that prepares images for a base"
        raise SpecError(Problem(what, "export it as onnx or keras, or a run without a base as c"))
    if most_parameters is not None and summary.parameters > most_parameters:
        what = f"it has {summary.parameters:,} parameters, and a C header holds {most_parameters:,} at most"
        raise SpecError(Problem(what, "export a smaller network, or another format"))
    chosen = None if coding is None else CODINGS[coding]
    state = _Lowering(summary, chosen, is_shifted=is_shifted, is_limited=most_parameters is not None)
    for row in summary.layers:
        FIXED_POINT[row](state, row, row.layer)
    last, _ = state.places[summary.layers[-1].name]
    end = state.operations[-1] if state.operations else None
    is_wide = isinstance(end, Convolve) and end.target == last and end.form == "dense"
    if is_wide and isinstance(end, Convolve):
        state.operations[-1] = replace(end, is_last=True)
        state.values[last] = Value(summary.num_classes, is_signed=True, bits=16)
    return Graph(
        tuple(state.values),
        tuple(state.operations),
        None if is_wide else last,
        summary.num_classes,
        frozenset(state.sixes),
        {name: value for name, (value, _) in state.places.items()},
    )


FIXED_POINT: Translation[Callable[[_Lowering, LayerSummary, Any], None]] = Translation("fixed-point C code", _REMEDY)


@FIXED_POINT.of(words.Conv)
def _conv(state: _Lowering, row: LayerSummary, layer: words.Conv) -> None:
    source, inputs = state.source(row)
    outputs = _image(row.output_shape)
    value = state.convolve(row, "kernel", source, inputs, outputs, layer.window, layer.groups, has_bias=layer.bias)
    state.put(row, state.activate(row, value, outputs, layer.activation))


@FIXED_POINT.of(words.Depthwise)
def _depthwise(state: _Lowering, row: LayerSummary, layer: words.Depthwise) -> None:
    source, inputs = state.source(row)
    outputs = _image(row.output_shape)
    value = state.convolve(row, "kernel", source, inputs, outputs, layer.window, inputs[2], has_bias=layer.bias)
    state.put(row, state.activate(row, value, outputs, layer.activation))


@FIXED_POINT.of(words.Separable)
def _separable(state: _Lowering, row: LayerSummary, layer: words.Separable) -> None:
    source, inputs = state.source(row)
    outputs = _image(row.output_shape)
    middle = (*outputs[:2], inputs[2] * layer.multiplier)
    value = state.convolve(
        row, "depthwise_kernel", source, inputs, middle, layer.window, inputs[2], has_bias=False, suffix="_depthwise"
    )
    value = state.convolve(row, "pointwise_kernel", value, middle, outputs, _ONE, 1, has_bias=layer.bias)
    state.put(row, state.activate(row, value, outputs, layer.activation))


@FIXED_POINT.of(words.Dense)
def _dense(state: _Lowering, row: LayerSummary, layer: words.Dense) -> None:
    source, inputs = state.source(row)
    outputs = _image(row.output_shape)
    value = state.convolve(row, "kernel", source, inputs, outputs, _ONE, 1, has_bias=layer.bias)
    state.put(row, state.activate(row, value, outputs, layer.activation))


@FIXED_POINT.of(words.BatchNorm)
def _batchnorm(state: _Lowering, row: LayerSummary, layer: words.BatchNorm) -> None:
    source, shape = state.source(row)
    value = source if state.fold(row, source) else state.affine(row.name, source, shape, layer="", norms=(row.name,))
    state.put(row, value)


@FIXED_POINT.of(words.LayerNorm)
def _layernorm(state: _Lowering, row: LayerSummary, layer: words.LayerNorm) -> None:
    _normalize(state, row, groups=1, is_by_position=True)


@FIXED_POINT.of(words.GroupNorm)
def _groupnorm(state: _Lowering, row: LayerSummary, layer: words.GroupNorm) -> None:
    _normalize(state, row, groups=layer.groups, is_by_position=False)


@FIXED_POINT.of(words.InstanceNorm)
def _instancenorm(state: _Lowering, row: LayerSummary, layer: words.InstanceNorm) -> None:
    _normalize(state, row, groups=row.input_shape[-1], is_by_position=False)


@FIXED_POINT.of(words.Activate)
def _activate(state: _Lowering, row: LayerSummary, layer: words.Activate) -> None:
    source, shape = state.source(row)
    state.put(row, state.activate(row, source, shape, layer.activation))


@FIXED_POINT.of(words.PReLU)
def _prelu(state: _Lowering, row: LayerSummary, layer: words.PReLU) -> None:
    source, shape = state.source(row)
    state.put(row, state.activate(row, source, shape, "prelu"))


@FIXED_POINT.of(words.MaxPool, words.AvgPool)
def _pool(state: _Lowering, row: LayerSummary, layer: words.MaxPool | words.AvgPool) -> None:
    _pooled(state, row, layer.window, is_mean=isinstance(layer, words.AvgPool))


@FIXED_POINT.of(words.GlobalMaxPool, words.GlobalAvgPool)
def _global_pool(state: _Lowering, row: LayerSummary, layer: words.Layer) -> None:
    _, inputs = state.source(row)
    _pooled(state, row, Window(inputs[:2], 1, 1, "valid"), is_mean=isinstance(layer, words.GlobalAvgPool))


@FIXED_POINT.of(words.Add)
def _add(state: _Lowering, row: LayerSummary, layer: words.Add) -> None:
    sources = tuple(state.places[name][0] for name in row.inputs)
    shape = _image(row.output_shape)
    target = state.value(shape, is_signed=any(state.values[source].is_signed for source in sources))
    state.operations.append(Add(row.name, sources, target, shape, shape))
    state.put(row, state.activate(row, target, shape, layer.activation))


@FIXED_POINT.of(words.Concatenate)
def _concatenate(state: _Lowering, row: LayerSummary, layer: words.Concatenate) -> None:
    places = [state.places[name] for name in row.inputs]
    sources, shape = tuple(value for value, _ in places), _image(row.output_shape)
    target = state.value(shape, is_signed=any(state.values[source].is_signed for source in sources))
    channels = tuple(image[2] for _, image in places)
    state.operations.append(Concatenate(row.name, sources, target, places[0][1], shape, channels))
    state.put(row, target)


@FIXED_POINT.of(words.ZeroPad)
def _pad(state: _Lowering, row: LayerSummary, layer: words.ZeroPad) -> None:
    source, inputs = state.source(row)
    (top, _), (left, _) = layer.padding
    outputs = _image(row.output_shape)
    target = state.value(outputs, is_signed=state.values[source].is_signed)
    state.operations.append(Pad(row.name, (source,), target, inputs, outputs, top, left))
    state.put(row, target)


@FIXED_POINT.of(words.Flatten, words.Reshape, words.Dropout, words.SpatialDropout)
def _view(state: _Lowering, row: LayerSummary, layer: words.Layer) -> None:
    """The same bytes, in another shape."""
    source, _ = state.source(row)
    state.places[row.name] = (source, _image(row.output_shape))


def _pooled(state: _Lowering, row: LayerSummary, window: Window, *, is_mean: bool) -> None:
    source, inputs = state.source(row)
    positions = (window.positions(inputs[0], 0), window.positions(inputs[1], 1))
    outputs = (*positions, inputs[2])
    target = state.value(outputs, is_signed=state.values[source].is_signed)
    state.operations.append(Pool(row.name, (source,), target, inputs, outputs, window, is_mean))
    state.put(row, target)


def _normalize(state: _Lowering, row: LayerSummary, *, groups: int, is_by_position: bool) -> None:
    source, shape = state.source(row)
    target = state.value(shape, is_signed=True)
    operation = Normalize(row.name, (source,), target, shape, shape, groups, is_by_position, EPSILON)
    if state.is_limited and operation.together > MOST_TOGETHER:
        reason = f"normalizes {operation.together:,} values at once, and C takes {MOST_TOGETHER:,} at most"
        raise FIXED_POINT.refusal(row, reason)
    state.operations.append(operation)
    state.put(row, target)


def _image(shape: Shape) -> Image:
    return shape if len(shape) == 3 else (1, 1, shape[0])


def _readers(summary: Summary) -> Counter[str]:
    """How many layers read each layer's output; those that read it in another form are readers of its own."""
    views = {row.name: row.inputs[0] for row in summary.layers if _is_view(row)}
    counts: Counter[str] = Counter()
    for row in summary.layers:
        if row.name in views:
            continue
        for name in row.inputs:
            while name in views:
                name = views[name]
            counts[name] += 1
    return counts


def _is_view(row: LayerSummary) -> bool:
    return isinstance(row.layer, words.Flatten | words.Reshape | words.Dropout | words.SpatialDropout)
