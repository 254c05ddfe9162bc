"""A network as one Python file that needs torch and safetensors alone, and its weights beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..nets import LayerSummary
from ..nets import layers as words
from ..nets.effects import window_of
from .portable import Portable

_HEAD = '''"""{title}

Needs torch and safetensors, nothing else:

    from {module} import CLASSES, load
    probabilities = load()(images)  # {dtype} [n, {height}, {width}, {channels}], {values}

How a picture becomes such an image: ``read_picture`` in the model card beside this file.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

CLASSES = {classes}


class Network(nn.Module):
    """Stored pixel values [n, {height}, {width}, {channels}] in, probabilities [n, {num_classes}] out."""

    def __init__(self):
        super().__init__()
{init}
    def logits(self, images):
        """What the probabilities are the softmax of, for training on."""
{scaling}
{forward}
        return {last}

    def forward(self, images):
        return torch.softmax(self.logits(images), 1)


def load(weights=Path(__file__).with_suffix(".safetensors")):
    """The network with its weights, in evaluation mode."""
    network = Network()
    network.load_state_dict(load_file(weights))
    return network.eval()
'''


def write_torch(network: Portable, path: Path, title: str) -> None:
    """Write ``path``, a Python module, and a ``.safetensors`` file of the same name.

    Raises:
        DiskFull: There is no space left.
    """
    from safetensors.numpy import save

    disk.write(path.with_suffix(".safetensors"), save(weights_of(network)))
    disk.write(path, source_of(network, path.stem, title).encode())


def weights_of(network: Portable) -> dict[str, NDArray[Any]]:
    """The weights by the names and in the layouts of torch's own layers."""
    found: dict[str, NDArray[Any]] = {}
    for row in network.summary.layers:
        for name, value in network.of_layer(row.name).items():
            value = np.ascontiguousarray(value)
            match name:
                case "depthwise_kernel":
                    found[f"{row.name}_depthwise.weight"] = value
                case "kernel" | "pointwise_kernel" | "gamma":
                    found[f"{row.name}.weight"] = value
                case "bias" | "beta":
                    found[f"{row.name}.bias"] = value
                case "moving_mean":
                    found[f"{row.name}.running_mean"] = value
                case "moving_variance":
                    found[f"{row.name}.running_var"] = value
                    found[f"{row.name}.num_batches_tracked"] = np.array(0, np.int64)
                case _:
                    raise NotImplementedError(name)
    return found


def source_of(network: Portable, module: str, title: str) -> str:
    """The module's source."""
    summary = network.summary
    names = {"": "x"}
    last_use = {name: index for index, row in enumerate(summary.layers) for name in row.inputs}
    init: list[str] = []
    forward: list[str] = []
    for index, row in enumerate(summary.layers):
        init += _members(row)
        inputs = [names[name] for name in row.inputs]
        is_chain = len(inputs) == 1 and last_use[row.inputs[0]] == index
        names[row.name] = inputs[0] if is_chain else row.name
        expression = _expression(row, inputs)
        if expression != names[row.name]:
            forward.append(f"{names[row.name]} = {expression}")
    height, width, channels = network.shape
    values = "0 to 255" if network.dtype == "uint8" else "0 to 1"
    return _HEAD.format(
        title=title.replace("\\", "/").replace('"""', "'''"), module=module, dtype=network.dtype, values=values,
        height=height, width=width, channels=channels, num_classes=summary.num_classes,
        classes=_listed(network.classes), init="".join(f"        {line}\n" for line in init),
        scaling="\n".join(f"        {line}" for line in _scaling(network)),
        forward="\n".join(f"        {line}" for line in forward), last=names[summary.layers[-1].name],
    )  # fmt: skip


def _listed(classes: tuple[str, ...]) -> str:
    return "[" + ", ".join(json.dumps(name) for name in classes) + "]"


def _scaling(network: Portable) -> list[str]:
    lines = ["x = images.to(torch.float32)"]
    if network.resizing is not None:
        size = tuple(len(matrix) for matrix in network.resizing)
        shrinks = any(new < old for new, old in zip(size, network.shape, strict=False))
        smooth = ", antialias=True" if shrinks else ""
        lines.append(f'x = F.interpolate(x.permute(0, 3, 1, 2), {size}, mode="bilinear"{smooth}).permute(0, 2, 3, 1)')
    if network.channels is not None:
        lines.append(f"x = x[..., {list(network.channels)}]")
    if network.offset.any():
        lines.append(f"x = x - {_constant(network.offset)}")
    if (network.factor != 1).any():
        lines.append(f"x = x * {_constant(network.factor)}")
    return [*lines, "x = x.permute(0, 3, 1, 2)"]


def _constant(values: NDArray[np.float32]) -> str:
    texts = [repr(float(value)) for value in values]
    return texts[0] if len(set(texts)) == 1 else f"torch.tensor([{', '.join(texts)}], device=x.device)"


def _members(row: LayerSummary) -> list[str]:
    """Lines of ``__init__`` that make the row's layer, where it has weights or behaves otherwise in training."""
    layer, name, channels = row.layer, row.name, row.input_shape[-1]
    bias = "" if getattr(layer, "bias", True) else ", bias=False"
    match layer:
        case words.Conv():
            groups = f", groups={layer.groups}" if layer.groups > 1 else ""
            return [
                f"self.{name} = nn.Conv2d({channels}, {layer.filters}, {layer.kernel}{_steps(layer)}{groups}{bias})"
            ]
        case words.Depthwise():
            outputs = channels * layer.multiplier
            groups = f", groups={channels}"
            return [f"self.{name} = nn.Conv2d({channels}, {outputs}, {layer.kernel}{_steps(layer)}{groups}{bias})"]
        case words.Separable():
            middle = channels * layer.multiplier
            first = f"nn.Conv2d({channels}, {middle}, {layer.kernel}{_steps(layer)}, groups={channels}, bias=False)"
            return [
                f"self.{name}_depthwise = {first}",
                f"self.{name} = nn.Conv2d({middle}, {layer.filters}, 1{bias})",
            ]
        case words.Dense():
            return [f"self.{name} = nn.Linear({channels}, {row.output_shape[0]}{bias})"]
        case words.BatchNorm():
            kind = "BatchNorm2d" if len(row.input_shape) == 3 else "BatchNorm1d"
            return [f"self.{name} = nn.{kind}({channels}, eps={layer.epsilon!r}, momentum={1 - layer.momentum:.6g})"]
        case words.LayerNorm():
            return [f"self.{name} = nn.LayerNorm({channels}, eps=0.001)"]
        case words.GroupNorm():
            return [f"self.{name} = nn.GroupNorm({layer.groups}, {channels}, eps=0.001)"]
        case words.InstanceNorm():
            return [f"self.{name} = nn.GroupNorm({channels}, {channels}, eps=0.001)"]
        case words.Dropout():
            return [f"self.{name} = nn.Dropout({layer.rate!r})"]
        case words.SpatialDropout():
            return [f"self.{name} = nn.Dropout2d({layer.rate!r})"]
    return []


def _steps(layer: words.Conv | words.Depthwise | words.Separable) -> str:
    stride = f", stride={layer.stride}" if layer.stride > 1 else ""
    return stride + (f", dilation={layer.dilation}" if layer.dilation > 1 else "")


def _expression(row: LayerSummary, inputs: list[str]) -> str:
    layer, name, x = row.layer, row.name, inputs[0]
    is_image = len(row.input_shape) == 3
    match layer:
        case words.Conv() | words.Depthwise():
            found = f"self.{name}({_padded(row, x)})"
        case words.Separable():
            found = f"self.{name}(self.{name}_depthwise({_padded(row, x)}))"
        case words.Dense() | words.BatchNorm() | words.GroupNorm() | words.InstanceNorm():
            found = f"self.{name}({x})"
        case words.Dropout() | words.SpatialDropout():
            found = f"self.{name}({x})"
        case words.LayerNorm():
            found = f"self.{name}({x}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)" if is_image else f"self.{name}({x})"
        case words.MaxPool():
            found = f"F.max_pool2d({_padded(row, x, ', value=-torch.inf')}, {layer.size}, {layer.stride})"
        case words.AvgPool():
            found = f"F.avg_pool2d({_padded(row, x)}, {layer.size}, {layer.stride})"
            if layer.padding != "valid":
                inside = _padded(row, f"torch.ones_like({x}[:1, :1])")
                found += f" / F.avg_pool2d({inside}, {layer.size}, {layer.stride})"
        case words.GlobalMaxPool():
            found = f"{x}.amax((2, 3))"
        case words.GlobalAvgPool():
            found = f"{x}.mean((2, 3))"
        case words.Flatten():
            found = f"{x}.permute(0, 2, 3, 1).flatten(1)" if is_image else x
        case words.Activate():
            found = x
        case words.Add():
            found = " + ".join(inputs)
            found = f"({found})" if layer.activation != "linear" else found
        case words.Concatenate():
            found = f"torch.cat([{', '.join(inputs)}], 1)"
        case _:
            raise NotImplementedError(type(layer).__name__)
    return _activated(found, getattr(layer, "activation", "linear"))


def _padded(row: LayerSummary, x: str, fill: str = "") -> str:
    """Zeros (or ``fill``) around, the odd one below and to the right as in Keras."""
    window = window_of(row.layer)
    if window is None:
        raise TypeError(row.name)
    (top, bottom), (left, right) = (window.padding(row.input_shape[axis], axis) for axis in (0, 1))
    if not top + bottom + left + right:
        return x
    return f"F.pad({x}, ({left}, {right}, {top}, {bottom}){fill})"


_ACTIVATIONS: dict[str, Any] = {
    "relu": "torch.relu({})",
    "relu6": "F.relu6({})",
    "leakyrelu": "F.leaky_relu({}, 0.2)",
    "elu": "F.elu({})",
    "gelu": "F.gelu({})",
    "silu": "F.silu({})",
    "sigmoid": "torch.sigmoid({})",
    "tanh": "torch.tanh({})",
}


def _activated(expression: str, activation: str) -> str:
    inner = expression[1:-1] if expression.startswith("(") and activation in _ACTIVATIONS else expression
    return _ACTIVATIONS[activation].format(inner) if activation in _ACTIVATIONS else expression
