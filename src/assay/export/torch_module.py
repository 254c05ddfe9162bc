"""A network as one Python file that needs torch and safetensors alone, and its weights beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..nets import LayerSummary
from ..nets import layers as words
from ..nets.effects import Window
from ..nets.layers.norms import EPSILON
from ..nets.translation import Translation
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

_ENSEMBLE = '''class Network(nn.Module):
    """The mean of the probabilities of {count} networks."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList(Member() for _ in range({count}))

    def logits(self, images):
        """What the probabilities are the softmax of, for training on."""
        return torch.log(self(images))

    def forward(self, images):
        return torch.stack([member(images) for member in self.members]).mean(0)


'''

# What follows the layer's name in torch, for each of our weights.
_NAMES = {
    "kernel": ".weight",
    "depthwise_kernel": "_depthwise.weight",
    "pointwise_kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "alpha": "_alpha",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
}


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
    members = network.members
    if len(members) > 1:
        return {
            f"members.{index}.{name}": value
            for index, member in enumerate(members)
            for name, value in weights_of(member).items()
        }
    weights: dict[str, NDArray[Any]] = {}
    for row in network.summary.layers:
        for name, value in network.of_layer(row.name).items():
            weights[row.name + _NAMES[name]] = np.ascontiguousarray(value)
            if name == "moving_variance":
                weights[f"{row.name}.num_batches_tracked"] = np.array(0, np.int64)
    return weights


def source_of(network: Portable, module: str, title: str) -> str:
    """The module's source."""
    summary = network.summary
    if summary.members > 1:
        one = source_of(network.members[0], module, title)
        before, load = one.replace("class Network(nn.Module)", "class Member(nn.Module)").split("def load(")
        return before + _ENSEMBLE.format(count=summary.members) + "def load(" + load
    names = {"": "x"}
    last_use = {name: index for index, row in enumerate(summary.layers) for name in row.inputs}
    init: list[str] = []
    forward: list[str] = []
    for index, row in enumerate(summary.layers):
        inputs = [names[name] for name in row.inputs]
        is_chain = len(inputs) == 1 and last_use[row.inputs[0]] == index
        names[row.name] = inputs[0] if is_chain else row.name
        members, expression = CODE[row](row, row.layer, inputs)
        init += members
        expression = _ACTIVATIONS[getattr(row.layer, "activation", "linear")].format(expression)
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


# For each row the lines of ``__init__`` that make its layer, where it has weights or behaves otherwise in training, and
# what ``logits`` computes of its inputs, but for the activation.
CODE: Translation[Callable[[LayerSummary, Any, list[str]], tuple[list[str], str]]] = Translation(
    "torch layer", "export it as onnx or keras"
)


@CODE.of(words.Conv)
def _conv(row: LayerSummary, layer: words.Conv, inputs: list[str]) -> tuple[list[str], str]:
    groups = f", groups={layer.groups}" if layer.groups > 1 else ""
    sizes = f"{row.input_shape[-1]}, {layer.filters}, {layer.kernel}"
    member = f"self.{row.name} = nn.Conv2d({sizes}{_steps(layer)}{groups}{_bias(layer)})"
    return [member], f"self.{row.name}({_padded(row, layer.window, *inputs)})"


@CODE.of(words.Depthwise)
def _depthwise(row: LayerSummary, layer: words.Depthwise, inputs: list[str]) -> tuple[list[str], str]:
    channels = row.input_shape[-1]
    sizes = f"{channels}, {channels * layer.multiplier}, {layer.kernel}"
    member = f"self.{row.name} = nn.Conv2d({sizes}{_steps(layer)}, groups={channels}{_bias(layer)})"
    return [member], f"self.{row.name}({_padded(row, layer.window, *inputs)})"


@CODE.of(words.Separable)
def _separable(row: LayerSummary, layer: words.Separable, inputs: list[str]) -> tuple[list[str], str]:
    name, channels = row.name, row.input_shape[-1]
    middle = channels * layer.multiplier
    first = f"nn.Conv2d({channels}, {middle}, {layer.kernel}{_steps(layer)}, groups={channels}, bias=False)"
    second = f"nn.Conv2d({middle}, {layer.filters}, 1{_bias(layer)})"
    members = [f"self.{name}_depthwise = {first}", f"self.{name} = {second}"]
    return members, f"self.{name}(self.{name}_depthwise({_padded(row, layer.window, *inputs)}))"


@CODE.of(words.Dense)
def _dense(row: LayerSummary, layer: words.Dense, inputs: list[str]) -> tuple[list[str], str]:
    return _called(row, f"nn.Linear({row.input_shape[-1]}, {row.output_shape[0]}{_bias(layer)})", inputs)


@CODE.of(words.BatchNorm)
def _batchnorm(row: LayerSummary, layer: words.BatchNorm, inputs: list[str]) -> tuple[list[str], str]:
    kind = "BatchNorm2d" if len(row.input_shape) == 3 else "BatchNorm1d"
    constants = f"eps={layer.epsilon!r}, momentum={1 - layer.momentum:.6g}"
    return _called(row, f"nn.{kind}({row.input_shape[-1]}, {constants})", inputs)


@CODE.of(words.LayerNorm)
def _layernorm(row: LayerSummary, layer: words.LayerNorm, inputs: list[str]) -> tuple[list[str], str]:
    members, expression = _called(
        row, f"nn.LayerNorm({row.input_shape[-1]}, eps={EPSILON})", [_channels_last(row, *inputs)]
    )
    return members, f"{expression}.permute(0, 3, 1, 2)" if len(row.input_shape) == 3 else expression


@CODE.of(words.GroupNorm)
def _groupnorm(row: LayerSummary, layer: words.GroupNorm, inputs: list[str]) -> tuple[list[str], str]:
    return _called(row, f"nn.GroupNorm({layer.groups}, {row.input_shape[-1]}, eps={EPSILON})", inputs)


@CODE.of(words.InstanceNorm)
def _instancenorm(row: LayerSummary, layer: words.InstanceNorm, inputs: list[str]) -> tuple[list[str], str]:
    channels = row.input_shape[-1]
    return _called(row, f"nn.GroupNorm({channels}, {channels}, eps={EPSILON})", inputs)


@CODE.of(words.Dropout)
def _dropout(row: LayerSummary, layer: words.Dropout, inputs: list[str]) -> tuple[list[str], str]:
    return _called(row, f"nn.Dropout({layer.rate!r})", inputs)


@CODE.of(words.SpatialDropout)
def _spatialdropout(row: LayerSummary, layer: words.SpatialDropout, inputs: list[str]) -> tuple[list[str], str]:
    return _called(row, f"nn.Dropout2d({layer.rate!r})", inputs)


@CODE.of(words.MaxPool)
def _maxpool(row: LayerSummary, layer: words.MaxPool, inputs: list[str]) -> tuple[list[str], str]:
    padded = _padded(row, layer.window, inputs[0], ", value=-torch.inf")
    return [], f"F.max_pool2d({padded}, {layer.size}, {layer.stride})"


@CODE.of(words.AvgPool)
def _avgpool(row: LayerSummary, layer: words.AvgPool, inputs: list[str]) -> tuple[list[str], str]:
    (x,) = inputs
    sums = f"F.avg_pool2d({_padded(row, layer.window, x)}, {layer.size}, {layer.stride})"
    if layer.padding == "valid":
        return [], sums
    inside = _padded(row, layer.window, f"torch.ones_like({x}[:1, :1])")
    return [], f"{sums} / F.avg_pool2d({inside}, {layer.size}, {layer.stride})"


@CODE.of(words.GlobalMaxPool)
def _globalmaxpool(row: LayerSummary, layer: words.GlobalMaxPool, inputs: list[str]) -> tuple[list[str], str]:
    return [], f"{inputs[0]}.amax((2, 3))"


@CODE.of(words.GlobalAvgPool)
def _globalavgpool(row: LayerSummary, layer: words.GlobalAvgPool, inputs: list[str]) -> tuple[list[str], str]:
    return [], f"{inputs[0]}.mean((2, 3))"


@CODE.of(words.Flatten)
def _flatten(row: LayerSummary, layer: words.Flatten, inputs: list[str]) -> tuple[list[str], str]:
    return [], f"{_channels_last(row, *inputs)}.flatten(1)" if len(row.input_shape) == 3 else inputs[0]


@CODE.of(words.ZeroPad)
def _zeropad(row: LayerSummary, layer: words.ZeroPad, inputs: list[str]) -> tuple[list[str], str]:
    (top, bottom), (left, right) = layer.padding
    return [], f"F.pad({inputs[0]}, ({left}, {right}, {top}, {bottom}))"


@CODE.of(words.Reshape)
def _reshape(row: LayerSummary, layer: words.Reshape, inputs: list[str]) -> tuple[list[str], str]:
    shaped = f"{_channels_last(row, *inputs)}.reshape(-1, {', '.join(map(str, row.output_shape))})"
    return [], f"{shaped}.permute(0, 3, 1, 2)" if len(row.output_shape) == 3 else shaped


@CODE.of(words.Activate)
def _activate(row: LayerSummary, layer: words.Activate, inputs: list[str]) -> tuple[list[str], str]:
    return [], inputs[0]


@CODE.of(words.PReLU)
def _prelu(row: LayerSummary, layer: words.PReLU, inputs: list[str]) -> tuple[list[str], str]:
    (x,), (alpha,) = inputs, row.tensors
    member = f"self.{row.name}_alpha = nn.Parameter(torch.full({alpha.shape}, {layer.slope!r}))"
    return [member], f"torch.relu({x}) - self.{row.name}_alpha * torch.relu(-{x})"


@CODE.of(words.Add)
def _add(row: LayerSummary, layer: words.Add, inputs: list[str]) -> tuple[list[str], str]:
    return [], " + ".join(inputs)


@CODE.of(words.Concatenate)
def _concatenate(row: LayerSummary, layer: words.Concatenate, inputs: list[str]) -> tuple[list[str], str]:
    return [], f"torch.cat([{', '.join(inputs)}], 1)"


def _called(row: LayerSummary, module: str, inputs: list[str]) -> tuple[list[str], str]:
    """A module of torch's, called on what the row reads."""
    return [f"self.{row.name} = {module}"], f"self.{row.name}({inputs[0]})"


def _channels_last(row: LayerSummary, x: str) -> str:
    """Images with their channels as the last axis; vectors as they are."""
    return f"{x}.permute(0, 2, 3, 1)" if len(row.input_shape) == 3 else x


def _bias(layer: words.Conv | words.Depthwise | words.Separable | words.Dense) -> str:
    return "" if layer.bias else ", bias=False"


def _steps(layer: words.Conv | words.Depthwise | words.Separable) -> str:
    stride = f", stride={layer.stride}" if layer.stride > 1 else ""
    return stride + (f", dilation={layer.dilation}" if layer.dilation > 1 else "")


def _padded(row: LayerSummary, window: Window, x: str, fill: str = "") -> str:
    """Zeros (or ``fill``) around, the odd one below and to the right as in Keras."""
    (top, bottom), (left, right) = (window.padding(row.input_shape[axis], axis) for axis in (0, 1))
    if not top + bottom + left + right:
        return x
    return f"F.pad({x}, ({left}, {right}, {top}, {bottom}){fill})"


_ACTIVATIONS = {
    "relu": "torch.relu({})",
    "relu6": "F.relu6({})",
    "leakyrelu": "F.leaky_relu({}, 0.2)",
    "elu": "F.elu({})",
    "gelu": "F.gelu({})",
    "silu": "F.silu({})",
    "sigmoid": "torch.sigmoid({})",
    "tanh": "torch.tanh({})",
    "softmax": "{}",  # ``forward`` has it
    "linear": "{}",
}
