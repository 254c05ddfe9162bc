"""A network as a Keras 3 model, with its weights, and as a ``.keras`` file."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..errors import Problem, SpecError
from ..nets import AvgPool, LayerSummary
from ..nets import layers as words
from ..nets.effects import window_of
from .needed import needed
from .portable import Portable

EXTRA = "assay.json"  # a member of the file that Keras leaves alone


def write_keras(network: Portable, path: Path) -> None:
    """Write a ``.keras`` file: stored pixel values [n, height, width, channels] in, probabilities out.

    Class names stand in its member ``assay.json``.

    Raises:
        SpecError: Keras is not installed, or has no such layer.
        DiskFull: There is no space left.
    """
    model = keras_model(network)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "model.keras"
        with disk.telling(part, "written"):
            model.save(part)
            with zipfile.ZipFile(part, "a") as archive:
                archive.writestr(EXTRA, json.dumps({"classes": network.classes}))
            content = part.read_bytes()
    disk.write(path, content)


def keras_model(network: Portable) -> Any:
    """The network as a Keras model: Sequential, or functional where it has blocks.

    Raises:
        SpecError: Keras is not installed, or has no such layer.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")  # torch is here; Keras alone would look for TensorFlow
    keras = needed("keras")
    summary = network.summary
    last = summary.layers[-1]
    made: dict[str, list[Any]] = {row.name: _layers(keras, row) for row in summary.layers}
    images = keras.layers.Input(summary.input_shape, dtype="float32", name="images")
    before = []
    if network.is_scaled:
        before = [_rescaling(keras, network)]
    previous = ["", *(row.name for row in summary.layers)]
    if all(row.inputs == (name,) for row, name in zip(summary.layers, previous, strict=False)):
        model = keras.Sequential([images, *before, *(layer for row in summary.layers for layer in made[row.name])])
    else:
        values = {"": images}
        for layer in before:
            values[""] = layer(values[""])
        for row in summary.layers:
            inputs = [values[name] for name in row.inputs]
            value = inputs if len(inputs) > 1 else inputs[0]
            for layer in made[row.name]:
                value = layer(value)
            values[row.name] = value
        model = keras.Model(images, values[last.name])
    for row in summary.layers:
        (holder,) = (layer for layer in made[row.name] if layer.name == row.name)
        for name, weight in network.of_layer(row.name).items():
            getattr(holder, name).assign(_turned(row, name, weight))
    return model


def _rescaling(keras: Any, network: Portable) -> Any:
    scale, offset = network.factor, -network.offset * network.factor
    if (scale == scale[0]).all() and (offset == offset[0]).all():
        return keras.layers.Rescaling(float(scale[0]), float(offset[0]), name="scaling")
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="scaling")


def _layers(keras: Any, row: LayerSummary) -> list[Any]:
    """The row's layer, with padding and activations where Keras has them apart. The one with weights has its name."""
    layers, layer, name = keras.layers, row.layer, row.name
    activation = getattr(layer, "activation", "linear").replace("leakyrelu", "leaky_relu")
    weighted: dict[str, Any] = {"activation": activation, "use_bias": getattr(layer, "bias", True), "name": name}
    last = {"data_format": "channels_last", "name": name}
    padding = getattr(layer, "padding", "valid")
    before: list[Any] = []
    if isinstance(padding, int):
        before, padding = [layers.ZeroPadding2D(padding, data_format="channels_last", name=f"{name}_padding")], "valid"
    window = {"padding": padding, "strides": getattr(layer, "stride", 1), **last}

    def penalty() -> Any:
        l1, l2 = getattr(layer, "l1", 0.0), getattr(layer, "l2", 0.0)
        return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None

    match layer:
        case words.Conv():
            return [*before, layers.Conv2D(
                layer.filters, layer.kernel, groups=layer.groups, dilation_rate=layer.dilation,
                kernel_regularizer=penalty(), **window, **_without_name(weighted),
            )]  # fmt: skip
        case words.Depthwise():
            return [*before, layers.DepthwiseConv2D(
                layer.kernel, depth_multiplier=layer.multiplier, dilation_rate=layer.dilation,
                depthwise_regularizer=penalty(), **window, **_without_name(weighted),
            )]  # fmt: skip
        case words.Separable():
            return [*before, layers.SeparableConv2D(
                layer.filters, layer.kernel, depth_multiplier=layer.multiplier, dilation_rate=layer.dilation,
                depthwise_regularizer=penalty(), pointwise_regularizer=penalty(), **window, **_without_name(weighted),
            )]  # fmt: skip
        case words.Dense():
            return [layers.Dense(row.output_shape[0], kernel_regularizer=penalty(), **weighted)]
        case words.MaxPool() if before:
            what = f'{name} ("{row.word}") pads with what never wins a maximum, and Keras only with zeros'
            raise SpecError(Problem(what, "export it as onnx or torch"))
        case words.MaxPool():
            return [layers.MaxPooling2D(layer.size, **window)]
        case words.AvgPool() if layer.padding != "valid":
            return _average(keras, row, layer)
        case words.AvgPool():
            return [layers.AveragePooling2D(layer.size, **window)]
        case words.GlobalMaxPool():
            return [layers.GlobalMaxPooling2D(**last)]
        case words.GlobalAvgPool():
            return [layers.GlobalAveragePooling2D(**last)]
        case words.BatchNorm():
            return [layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, name=name)]
        case words.LayerNorm():
            return [layers.LayerNormalization(epsilon=0.001, name=name)]
        case words.GroupNorm():
            return [layers.GroupNormalization(layer.groups, epsilon=0.001, name=name)]
        case words.InstanceNorm():
            return [layers.GroupNormalization(-1, epsilon=0.001, name=name)]
        case words.Dropout():
            return [layers.Dropout(layer.rate, name=name)]
        case words.SpatialDropout():
            return [layers.SpatialDropout2D(layer.rate, **last)]
        case words.Flatten():
            return [layers.Flatten(**last)]
        case words.Activate():
            return [layers.Activation(activation, name=name)]
        case words.Concatenate():
            return [layers.Concatenate(name=name)]
        case words.Add():
            after = [] if activation == "linear" else [layers.Activation(activation, name=f"{name}_activation")]
            return [layers.Add(name=name), *after]
    raise NotImplementedError(type(layer).__name__)


def _without_name(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "name"}


def _average(keras: Any, row: LayerSummary, layer: AvgPool) -> list[Any]:
    """Means that leave padding out, made of zeros, plain means and a factor for each position.

    Keras's own ``padding="same"`` means this too, but on its torch backend one-sided padding counts as pixels.
    """
    height, width, _ = row.input_shape  # type: ignore[misc]
    window = window_of(layer)
    if window is None:
        raise TypeError(row.name)
    sides = [window.padding(side, axis) for axis, side in enumerate((height, width))]
    counts = []
    for side, (before, after) in zip((height, width), sides, strict=True):
        inside = np.pad(np.ones(side), (before, after))
        starts = range(0, len(inside) - layer.size + 1, layer.stride)
        counts.append(np.array([inside[start : start + layer.size].sum() for start in starts]))
    factors = layer.size**2 / np.outer(*counts)
    layers = keras.layers
    return [
        layers.ZeroPadding2D(sides, data_format="channels_last", name=f"{row.name}_padding"),
        layers.AveragePooling2D(layer.size, layer.stride, data_format="channels_last", name=row.name),
        layers.Rescaling(factors[:, :, None].tolist(), name=f"{row.name}_counts"),
    ]


def _turned(row: LayerSummary, name: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """A weight in the order of Keras's."""
    if weight.ndim == 2:
        return weight.T
    if weight.ndim != 4:
        return weight
    if isinstance(row.layer, words.Depthwise) or name == "depthwise_kernel":
        channels = row.input_shape[-1]
        return weight.reshape(channels, -1, *weight.shape[2:]).transpose(2, 3, 0, 1)
    return weight.transpose(2, 3, 1, 0)
