"""A network as an ONNX graph: stored pixel values in, probabilities out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..extras import needed
from ..nets import LayerSummary, Summary
from ..nets import layers as words
from ..nets.effects import Window
from ..nets.ensemble import member_name
from ..nets.layers.norms import EPSILON
from ..nets.translation import Translation
from .own_module import onnx_of
from .plain_files import base_of
from .portable import Portable

OPSET = 17  # every operator that is used, in every onnxruntime of the last years
PREPARATION = "resized"  # what the names of the operators that resize begin with
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Distance:
    """How unlike the data an image is, as the graph computes it: the output ``unlike``, refused above 1.

    Args:
        layers: The layers whose outputs are described; ``""`` is the prepared image.
        channels: Which channels or units of each.
        centre: What means, deviations and units are moved by [features], float32.
        whitening: What they are then multiplied by [features, features], float32.
        means: Of the classes, in that space [classes, features], float32.
        threshold: The largest squared distance that is not refused.
    """

    layers: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    centre: NDArray[np.float32]
    whitening: NDArray[np.float32]
    means: NDArray[np.float32]
    threshold: float


def write_onnx(
    network: Portable, path: Path, *, distance: Distance | None = None, about: Mapping[str, str] | None = None
) -> None:
    """Write an ``.onnx`` file. Input ``images`` [batch, height, width, channels], output ``probabilities``
    [batch, classes]; class names stand in the metadata as JSON under ``classes``.

    Args:
        network: The network.
        path: The file.
        distance: Adds the output ``unlike`` [batch]; not for a module of one's own.
        about: More metadata.

    Raises:
        SpecError: The onnx package is not installed.
        DiskFull: There is no space left.
    """
    model = onnx_model(network, distance)
    for key, value in (about or {}).items():
        model.metadata_props.add(key=key, value=value)
    disk.write(path, model.SerializeToString())


def onnx_model(network: Portable, distance: Distance | None = None) -> Any:
    """The graph as an ``onnx.ModelProto``, checked.

    Args:
        network: The network.
        distance: Adds the output ``unlike``.

    Raises:
        SpecError: The onnx package is not installed, or torch cannot trace a module of one's own.
    """
    if network.own is not None:
        return onnx_of(network, OPSET)
    onnx = needed("onnx", "ONNX files")
    graph = _Graph(onnx, network.weights)
    summary = network.summary
    pixels = graph.node("Cast", "images", to=onnx.TensorProto.FLOAT) if network.dtype == "uint8" else "images"
    prepared = _prepared(graph, network, graph.node("Transpose", pixels, perm=_TO_CHANNELS_FIRST))
    values_of = [_values(graph, network, prepared, member) for member in range(summary.members)]
    answers = [values[summary.layers[-1].name] for values in values_of]
    graph.node("Identity" if len(answers) == 1 else "Mean", *answers, output="probabilities")
    more = [] if distance is None else _unlike(graph, distance, values_of[0], summary, onnx)
    stored = onnx.TensorProto.UINT8 if network.dtype == "uint8" else onnx.TensorProto.FLOAT
    helper = onnx.helper
    network_graph = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("images", stored, ["batch", *network.shape])],
        [helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", summary.num_classes]), *more],
        graph.constants,
    )
    model = helper.make_model(
        network_graph, producer_name="assay", ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    about = {"classes": json.dumps(network.classes), "layers": json.dumps(network.lines)}
    if summary.base is not None:
        about["base"] = json.dumps(base_of(network))
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


def _values(graph: _Graph, network: Portable, prepared: str, member: int) -> dict[str, str]:
    """Add the layers of one network (of an ensemble a member, from 0); the names of their outputs by layer, ``""``
    being the prepared image."""
    values = {"": prepared}
    is_ensemble = network.summary.members > 1
    for row in network.summary.layers:
        own = replace(row, name=f"{member_name(member)}.{row.name}") if is_ensemble else row
        values[row.name] = _layer(graph, own, network, [values[name] for name in row.inputs])
    return values


class _Graph:
    """Nodes and constants as they are added, and the network's weights by name."""

    def __init__(self, onnx: Any, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._onnx = onnx
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator; the name of its output."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: NDArray[Any] | np.float32, name: str = "") -> str:
        """Add a constant; its name."""
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def scalar(self, value: float) -> str:
        """Add a number; its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self._onnx.helper.make_tensor(name, self._onnx.TensorProto.FLOAT, [], [value]))
        return name


def _prepared(graph: _Graph, network: Portable, pixels: str) -> str:
    """What the first layer sees. Resizing is a product along each axis: ours antialiases where images shrink, and the
    operator of ONNX from opset 18 on only."""
    if network.resizing is not None:
        rows, columns = network.resizing
        wide = graph.node("MatMul", pixels, graph.constant(columns.T), output=f"{PREPARATION}_columns")
        pixels = graph.node("MatMul", graph.constant(rows), wide, output=f"{PREPARATION}_rows")
    if network.channels is not None:
        pixels = graph.node("Gather", pixels, graph.constant(np.array(network.channels)), axis=1)
    if network.offset.any():
        pixels = graph.node("Sub", pixels, graph.constant(network.offset[:, None, None]))
    if (network.factor != 1).any():
        pixels = graph.node("Mul", pixels, graph.constant(network.factor[:, None, None]))
    return pixels


def _unlike(graph: _Graph, distance: Distance, values: Mapping[str, str], summary: Summary, onnx: Any) -> list[Any]:
    """The squared Mahalanobis distance to the nearest class over its threshold; the output's description."""
    shapes = {"": 3, **{row.name: len(row.output_shape) for row in summary.layers}}
    parts = []
    for name, channels in zip(distance.layers, distance.channels, strict=True):
        chosen = graph.node("Gather", values[name], graph.constant(np.array(channels)), axis=1)
        if shapes[name] == 1:
            parts.append(chosen)
            continue
        mean = graph.node("ReduceMean", chosen, axes=[2, 3], keepdims=1)
        off = graph.node("Sub", chosen, mean)
        variance = graph.node("ReduceMean", graph.node("Mul", off, off), axes=[2, 3], keepdims=1)
        parts += [graph.node("Flatten", value, axis=1) for value in (mean, graph.node("Sqrt", variance))]
    features = graph.node("Concat", *parts, axis=1)
    moved = graph.node("Sub", features, graph.constant(distance.centre))
    whitened = graph.node("MatMul", moved, graph.constant(distance.whitening))
    means = distance.means[None]
    apart = graph.node("Sub", graph.node("Unsqueeze", whitened, graph.constant(np.array([1]))), graph.constant(means))
    squares = graph.node("ReduceSum", graph.node("Mul", apart, apart), graph.constant(np.array([2])), keepdims=0)
    nearest = graph.node("ReduceMin", squares, axes=[1], keepdims=0)
    graph.node("Div", nearest, graph.constant(np.float32(distance.threshold)), output="unlike")
    return [onnx.helper.make_tensor_value_info("unlike", onnx.TensorProto.FLOAT, ["batch"])]


# The operators that a row is; each gives the name of its last output.
OPERATORS: Translation[Callable[[_Graph, LayerSummary, Any, list[str]], str]] = Translation(
    "ONNX operator", "export it as keras or torch"
)


def _layer(graph: _Graph, row: LayerSummary, network: Portable, inputs: list[str]) -> str:
    for key, value in network.of_layer(row.name).items():
        graph.constant(value, f"{row.name}.{key}")
    output = OPERATORS[row](graph, row, row.layer, inputs)
    return _activated(graph, output, getattr(row.layer, "activation", "linear"))


def _weights(row: LayerSummary, *names: str) -> list[str]:
    """The constants that hold these weights, as far as the layer has them."""
    return [f"{row.name}.{tensor.name}" for tensor in row.tensors if tensor.name in names]


@OPERATORS.of(words.Conv)
def _conv(graph: _Graph, row: LayerSummary, layer: words.Conv, inputs: list[str]) -> str:
    return _convolved(graph, row, layer, [*inputs, *_weights(row, "kernel", "bias")], layer.groups)


@OPERATORS.of(words.Depthwise)
def _depthwise(graph: _Graph, row: LayerSummary, layer: words.Depthwise, inputs: list[str]) -> str:
    return _convolved(graph, row, layer, [*inputs, *_weights(row, "kernel", "bias")], row.input_shape[-1])


@OPERATORS.of(words.Separable)
def _separable(graph: _Graph, row: LayerSummary, layer: words.Separable, inputs: list[str]) -> str:
    middle = _convolved(graph, row, layer, [*inputs, *_weights(row, "depthwise_kernel")], row.input_shape[-1])
    return graph.node("Conv", middle, *_weights(row, "pointwise_kernel", "bias"))


@OPERATORS.of(words.Dense)
def _dense(graph: _Graph, row: LayerSummary, layer: words.Dense, inputs: list[str]) -> str:
    return graph.node("Gemm", *inputs, *_weights(row, "kernel", "bias"), transB=1)


@OPERATORS.of(words.MaxPool)
def _maxpool(graph: _Graph, row: LayerSummary, layer: words.MaxPool, inputs: list[str]) -> str:
    return graph.node("MaxPool", *inputs, **_window(row, layer.window))


@OPERATORS.of(words.AvgPool)
def _avgpool(graph: _Graph, row: LayerSummary, layer: words.AvgPool, inputs: list[str]) -> str:
    return graph.node("AveragePool", *inputs, count_include_pad=0, **_window(row, layer.window))


@OPERATORS.of(words.GlobalMaxPool)
def _globalmaxpool(graph: _Graph, row: LayerSummary, layer: words.GlobalMaxPool, inputs: list[str]) -> str:
    return graph.node("Flatten", graph.node("GlobalMaxPool", *inputs), axis=1)


@OPERATORS.of(words.GlobalAvgPool)
def _globalavgpool(graph: _Graph, row: LayerSummary, layer: words.GlobalAvgPool, inputs: list[str]) -> str:
    return graph.node("Flatten", graph.node("GlobalAveragePool", *inputs), axis=1)


@OPERATORS.of(words.BatchNorm)
def _batchnorm(graph: _Graph, row: LayerSummary, layer: words.BatchNorm, inputs: list[str]) -> str:
    weights = _weights(row, "gamma", "beta", "moving_mean", "moving_variance")
    return graph.node("BatchNormalization", *inputs, *weights, epsilon=layer.epsilon)


@OPERATORS.of(words.LayerNorm)
def _layernorm(graph: _Graph, row: LayerSummary, layer: words.LayerNorm, inputs: list[str]) -> str:
    last = _channels_last(graph, row, *inputs)
    normal = graph.node("LayerNormalization", last, *_weights(row, "gamma", "beta"), epsilon=EPSILON)
    return graph.node("Transpose", normal, perm=_TO_CHANNELS_FIRST) if len(row.input_shape) == 3 else normal


@OPERATORS.of(words.GroupNorm)
def _groupnorm(graph: _Graph, row: LayerSummary, layer: words.GroupNorm, inputs: list[str]) -> str:
    return _grouped(graph, row, inputs[0], layer.groups)


@OPERATORS.of(words.InstanceNorm)
def _instancenorm(graph: _Graph, row: LayerSummary, layer: words.InstanceNorm, inputs: list[str]) -> str:
    return _grouped(graph, row, inputs[0], row.input_shape[-1])


@OPERATORS.of(words.Dropout, words.SpatialDropout, words.Activate)
def _unchanged(graph: _Graph, row: LayerSummary, layer: words.Layer, inputs: list[str]) -> str:
    return inputs[0]


@OPERATORS.of(words.Flatten)
def _flatten(graph: _Graph, row: LayerSummary, layer: words.Flatten, inputs: list[str]) -> str:
    return graph.node("Flatten", _channels_last(graph, row, *inputs), axis=1)


@OPERATORS.of(words.ZeroPad)
def _zeropad(graph: _Graph, row: LayerSummary, layer: words.ZeroPad, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    return graph.node("Pad", *inputs, graph.constant(np.array([0, 0, top, left, 0, 0, bottom, right])))


@OPERATORS.of(words.Reshape)
def _reshape(graph: _Graph, row: LayerSummary, layer: words.Reshape, inputs: list[str]) -> str:
    shape = graph.constant(np.array([0, *row.output_shape]))  # 0 is the batch's size
    shaped = graph.node("Reshape", _channels_last(graph, row, *inputs), shape)
    return graph.node("Transpose", shaped, perm=_TO_CHANNELS_FIRST) if len(row.output_shape) == 3 else shaped


@OPERATORS.of(words.PReLU)
def _prelu(graph: _Graph, row: LayerSummary, layer: words.PReLU, inputs: list[str]) -> str:
    return graph.node("PRelu", *inputs, *_weights(row, "alpha"))


@OPERATORS.of(words.Add)
def _add(graph: _Graph, row: LayerSummary, layer: words.Add, inputs: list[str]) -> str:
    total, *others = inputs
    for other in others:
        total = graph.node("Add", total, other)
    return total


@OPERATORS.of(words.Concatenate)
def _concatenate(graph: _Graph, row: LayerSummary, layer: words.Concatenate, inputs: list[str]) -> str:
    return graph.node("Concat", *inputs, axis=1)


def _channels_last(graph: _Graph, row: LayerSummary, source: str) -> str:
    """Images with their channels as the last axis; vectors as they are."""
    return graph.node("Transpose", source, perm=_TO_CHANNELS_LAST) if len(row.input_shape) == 3 else source


def _window(row: LayerSummary, window: Window) -> dict[str, Any]:
    sides = [window.padding(row.input_shape[axis], axis) for axis in (0, 1)]
    pads = [before for before, _ in sides] + [after for _, after in sides]
    return {"kernel_shape": window.size, "strides": [window.stride] * 2, "pads": pads}


def _convolved(
    graph: _Graph, row: LayerSummary, layer: words.Conv | words.Depthwise | words.Separable, inputs: list[str],
    groups: int,
) -> str:  # fmt: skip
    options = _window(row, layer.window)
    return graph.node("Conv", *inputs, group=groups, dilations=[layer.dilation] * 2, **options)


def _grouped(graph: _Graph, row: LayerSummary, source: str, groups: int) -> str:
    """Each group as one channel of an instance normalization; gamma and beta by channel after it."""
    *sides, channels = row.input_shape
    gathered = graph.node("Reshape", source, graph.constant(np.array([0, groups, -1])))
    plain = [graph.constant(fill(groups, np.float32)) for fill in (np.ones, np.zeros)]
    normal = graph.node("InstanceNormalization", gathered, *plain, epsilon=EPSILON)
    apart = graph.node("Reshape", normal, graph.constant(np.array([0, channels, *sides])))
    gamma, beta = (
        graph.constant(graph.weights[f"{row.name}.{key}"].reshape(-1, *(1 for _ in sides))) for key in ("gamma", "beta")
    )
    return graph.node("Add", graph.node("Mul", apart, gamma), beta)


def _clip(graph: _Graph, source: str) -> str:
    return graph.node("Clip", source, graph.scalar(0), graph.scalar(6))


def _gelu(graph: _Graph, source: str) -> str:
    inner = graph.node("Erf", graph.node("Mul", source, graph.constant(np.float32(math.sqrt(0.5)))))
    half = graph.node("Mul", source, graph.constant(np.float32(0.5)))
    return graph.node("Mul", half, graph.node("Add", inner, graph.constant(np.float32(1))))


_ACTIVATIONS: Mapping[str, Callable[[_Graph, str], str]] = {
    "relu": lambda graph, source: graph.node("Relu", source),
    "relu6": _clip,
    "leakyrelu": lambda graph, source: graph.node("LeakyRelu", source, alpha=0.2),
    "elu": lambda graph, source: graph.node("Elu", source),
    "gelu": _gelu,
    "silu": lambda graph, source: graph.node("Mul", source, graph.node("Sigmoid", source)),
    "sigmoid": lambda graph, source: graph.node("Sigmoid", source),
    "tanh": lambda graph, source: graph.node("Tanh", source),
    "softmax": lambda graph, source: graph.node("Softmax", source, axis=1),
    "linear": lambda graph, source: source,
}


def _activated(graph: _Graph, source: str, activation: str) -> str:
    return _ACTIVATIONS[activation](graph, source)
