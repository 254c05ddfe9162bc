"""An ONNX network whose kernels are stored in 4 bits, and computed with in float32."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..extras import needed
from .onnx_model import PREPARATION, onnx_model
from .own_module import refuse_own
from .portable import Portable

OPSET, IR_VERSION = 21, 10  # the first whose operators take whole numbers of 4 bits
_LARGEST = 7  # as many levels on either side of zero
_KERNELS = {"Conv": 0, "Gemm": 0, "MatMul": 1}  # the axis of outputs


def write_onnx_int4(network: Portable, path: Path) -> None:
    """Write an ``.onnx`` file whose kernels have 4 bits, two in a byte, and a factor for each output channel.

    A ``DequantizeLinear`` stands before each convolution and product; biases, normalizations and activations stay in
    float32. Input, output and metadata are as in ``write_onnx``.

    Args:
        network: What to quantize.
        path: The file.

    Raises:
        SpecError: It is a module of one's own, or the onnx package is not installed.
        DiskFull: There is no space left.
    """
    refuse_own(network, "no ONNX file with weights of 4 bits is written for it")
    onnx = needed("onnx", "ONNX files")
    model = onnx_model(network)
    graph = model.graph
    constants = {one.name: one for one in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        axis = _KERNELS.get(node.op_type)
        kernel = constants.get(node.input[1]) if axis is not None else None
        if axis is not None and kernel is not None and not node.name.startswith(PREPARATION):
            if node.op_type == "Gemm" and not any(one.name == "transB" and one.i for one in node.attribute):
                axis = 1
            nodes.append(_dequantized(onnx, graph, kernel, axis))
            node.input[1] = nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import[0].version, model.ir_version = OPSET, IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    disk.write(path, model.SerializeToString())


def _dequantized(onnx: Any, graph: Any, kernel: Any, axis: int) -> Any:
    """The operator that makes float32 of a kernel, which takes its place among the constants."""
    values = onnx.numpy_helper.to_array(kernel).astype(np.float64)
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    steps = scales_of(rows)
    whole = np.clip(np.rint(rows / steps[:, None]), -_LARGEST, _LARGEST).astype(np.int8)
    moved = np.moveaxis(values, axis, 0).shape
    whole = np.ascontiguousarray(np.moveaxis(whole.reshape(moved), 0, axis))
    name, helper = kernel.name, onnx.helper
    graph.initializer.remove(kernel)
    small = helper.make_tensor(f"{name}_int4", onnx.TensorProto.INT4, values.shape, _nibbles(whole), raw=True)
    graph.initializer.append(small)
    graph.initializer.append(onnx.numpy_helper.from_array(steps.astype(np.float32), f"{name}_scale"))
    sources = [f"{name}_int4", f"{name}_scale"]
    return helper.make_node("DequantizeLinear", sources, [f"{name}_float"], name=f"{name}_float", axis=axis)


def _nibbles(whole: NDArray[np.int8]) -> bytes:
    """Two numbers in a byte, the first in its lower half."""
    flat = np.append(whole.reshape(-1), np.zeros(whole.size % 2, np.int8)).astype(np.uint8) & 15
    return (flat[::2] | flat[1::2] << 4).astype(np.uint8).tobytes()


def scales_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """What 1 stands for in each row: of some scales up to that which cuts nothing, the one with least squared error."""
    widest = np.maximum(np.abs(rows).max(1), math.ulp(0.0)) / _LARGEST
    best: NDArray[np.float64] = widest.copy()
    least = np.full(len(rows), np.inf)
    for share in np.linspace(0.3, 1.0, 29):
        steps = np.maximum(widest * share, 1e-12)
        whole = np.clip(np.rint(rows / steps[:, None]), -_LARGEST, _LARGEST)
        error = ((whole * steps[:, None] - rows) ** 2).sum(1)
        best = np.where(error < least, steps, best)
        least = np.minimum(error, least)
    return best
