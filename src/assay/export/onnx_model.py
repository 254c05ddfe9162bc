"""A network as an ONNX graph: stored pixel values in, probabilities out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..nets import LayerSummary
from ..nets import layers as words
from ..nets.effects import window_of
from .needed import needed
from .plain_files import base_of
from .portable import Portable

OPSET = 17  # every operator that is used, in every onnxruntime of the last years
PREPARATION = "resized"  # what the names of the operators that resize begin with
_EPSILON = 0.001
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def write_onnx(network: Portable, path: Path) -> None:
    """Write an ``.onnx`` file. Input ``images`` [batch, height, width, channels], output ``probabilities``
    [batch, classes]; class names stand in the metadata as JSON under ``classes``.

    Raises:
        SpecError: The onnx package is not installed.
        DiskFull: There is no space left.
    """
    disk.write(path, onnx_model(network).SerializeToString())


def onnx_model(network: Portable) -> Any:
    """The graph as an ``onnx.ModelProto``, checked.

    Raises:
        SpecError: The onnx package is not installed.
    """
    onnx = needed("onnx")
    graph = _Graph(onnx)
    summary = network.summary
    pixels = graph.node("Cast", "images", to=onnx.TensorProto.FLOAT) if network.dtype == "uint8" else "images"
    values = {"": _prepared(graph, network, graph.node("Transpose", pixels, perm=_TO_CHANNELS_FIRST))}
    for row in summary.layers:
        values[row.name] = _layer(graph, row, network, [values[name] for name in row.inputs])
    graph.node("Identity", values[summary.layers[-1].name], output="probabilities")
    stored = onnx.TensorProto.UINT8 if network.dtype == "uint8" else onnx.TensorProto.FLOAT
    helper = onnx.helper
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("images", stored, ["batch", *network.shape])],
        [helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", summary.num_classes])],
        graph.constants,
    )
    model = helper.make_model(made, producer_name="assay", ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])
    about = {"classes": json.dumps(network.classes), "layers": json.dumps(network.lines)}
    if summary.base is not None:
        about["base"] = json.dumps(base_of(network))
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
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


def _layer(graph: _Graph, row: LayerSummary, network: Portable, inputs: list[str]) -> str:
    layer, name, source = row.layer, row.name, inputs[0]
    weights = {key: f"{name}.{key}" for key in network.of_layer(name)}
    for key, value in network.of_layer(name).items():
        graph.constant(value, f"{name}.{key}")
    bias = [weights["bias"]] if "bias" in weights else []
    match layer:
        case words.Conv():
            found = _convolved(graph, row, source, [weights["kernel"], *bias], layer.groups)
        case words.Depthwise():
            found = _convolved(graph, row, source, [weights["kernel"], *bias], row.input_shape[-1])
        case words.Separable():
            middle = _convolved(graph, row, source, [weights["depthwise_kernel"]], row.input_shape[-1])
            found = graph.node("Conv", middle, weights["pointwise_kernel"], *bias)
        case words.Dense():
            found = graph.node("Gemm", source, weights["kernel"], *bias, transB=1)
        case words.MaxPool():
            found = graph.node("MaxPool", source, **_window(row))
        case words.AvgPool():
            found = graph.node("AveragePool", source, count_include_pad=0, **_window(row))
        case words.GlobalMaxPool():
            found = graph.node("Flatten", graph.node("GlobalMaxPool", source), axis=1)
        case words.GlobalAvgPool():
            found = graph.node("Flatten", graph.node("GlobalAveragePool", source), axis=1)
        case words.BatchNorm():
            keys = ("gamma", "beta", "moving_mean", "moving_variance")
            found = graph.node("BatchNormalization", source, *(weights[key] for key in keys), epsilon=layer.epsilon)
        case words.LayerNorm():
            is_image = len(row.input_shape) == 3
            last = graph.node("Transpose", source, perm=_TO_CHANNELS_LAST) if is_image else source
            normal = graph.node("LayerNormalization", last, weights["gamma"], weights["beta"], epsilon=_EPSILON)
            found = graph.node("Transpose", normal, perm=_TO_CHANNELS_FIRST) if is_image else normal
        case words.GroupNorm():
            found = _grouped(graph, row, source, layer.groups, network)
        case words.InstanceNorm():
            found = _grouped(graph, row, source, row.input_shape[-1], network)
        case words.Dropout() | words.SpatialDropout():
            found = source
        case words.Flatten():
            is_image = len(row.input_shape) == 3
            last = graph.node("Transpose", source, perm=_TO_CHANNELS_LAST) if is_image else source
            found = graph.node("Flatten", last, axis=1)
        case words.Activate():
            found = source
        case words.Add():
            found = inputs[0]
            for other in inputs[1:]:
                found = graph.node("Add", found, other)
        case words.Concatenate():
            found = graph.node("Concat", *inputs, axis=1)
        case _:
            raise NotImplementedError(type(layer).__name__)
    return _activated(graph, found, getattr(layer, "activation", "linear"))


def _window(row: LayerSummary) -> dict[str, Any]:
    window = window_of(row.layer)
    if window is None:
        raise TypeError(row.name)
    sides = [window.padding(row.input_shape[axis], axis) for axis in (0, 1)]
    pads = [before for before, _ in sides] + [after for _, after in sides]
    return {"kernel_shape": window.size, "strides": [window.stride] * 2, "pads": pads}


def _convolved(graph: _Graph, row: LayerSummary, source: str, weights: list[str], groups: int) -> str:
    window = window_of(row.layer)
    dilation = window.dilation if window else 1
    return graph.node("Conv", source, *weights, group=groups, dilations=[dilation] * 2, **_window(row))


def _grouped(graph: _Graph, row: LayerSummary, source: str, groups: int, network: Portable) -> str:
    """Each group as one channel of an instance normalization; gamma and beta by channel after it."""
    *sides, channels = row.input_shape
    gathered = graph.node("Reshape", source, graph.constant(np.array([0, groups, -1])))
    plain = [graph.constant(make(groups, np.float32)) for make in (np.ones, np.zeros)]
    normal = graph.node("InstanceNormalization", gathered, *plain, epsilon=_EPSILON)
    apart = graph.node("Reshape", normal, graph.constant(np.array([0, channels, *sides])))
    gamma, beta = (
        graph.constant(network.weights[f"{row.name}.{key}"].reshape(-1, *(1 for _ in sides)))
        for key in ("gamma", "beta")
    )
    return graph.node("Add", graph.node("Mul", apart, gamma), beta)


def _activated(graph: _Graph, source: str, activation: str) -> str:
    match activation:
        case "relu":
            return graph.node("Relu", source)
        case "relu6":
            return graph.node("Clip", source, graph.scalar(0), graph.scalar(6))
        case "leakyrelu":
            return graph.node("LeakyRelu", source, alpha=0.2)
        case "elu":
            return graph.node("Elu", source)
        case "gelu":
            inner = graph.node("Erf", graph.node("Mul", source, graph.constant(np.float32(math.sqrt(0.5)))))
            half = graph.node("Mul", source, graph.constant(np.float32(0.5)))
            return graph.node("Mul", half, graph.node("Add", inner, graph.constant(np.float32(1))))
        case "silu":
            return graph.node("Mul", source, graph.node("Sigmoid", source))
        case "sigmoid":
            return graph.node("Sigmoid", source)
        case "tanh":
            return graph.node("Tanh", source)
        case "softmax":
            return graph.node("Softmax", source, axis=1)
    return source
