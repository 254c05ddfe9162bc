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
from ..nets import AvgPool, LayerSummary, MaxPool
from ..nets import layers as words
from ..nets.effects import window_of
from .needed import needed
from .portable import Portable

EXTRA = "assay.json"  # a member of the file that Keras leaves alone
_TURNS = (3, 1, 2), (1, 3, 2), (3, 2, 1)  # height, width, channels so that the width is last, then the height, and back


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
    images = keras.layers.Input(network.shape, dtype="float32", name="images")
    products = _products(network)
    before = _preparation(keras, network, products)
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
        if row.name in network.frozen:
            holder.trainable = False
    for layer in before:
        if layer.name in products:
            layer.kernel.assign(products[layer.name])
            layer.trainable = False
    return model


def _products(network: Portable) -> dict[str, NDArray[np.float32]]:
    """What the last axis is multiplied by, by the name of the dense layer that does it.

    Keras has a layer that resizes, but only late versions of it antialias, as ours does where images shrink.
    """
    found = {}
    if network.resizing is not None:
        rows, columns = network.resizing
        found = {"resize_columns": columns.T, "resize_rows": rows.T}
    if network.channels is not None:
        found["channels"] = np.eye(network.shape[2], dtype=np.float32)[:, list(network.channels)]
    return found


def _preparation(keras: Any, network: Portable, products: dict[str, NDArray[np.float32]]) -> list[Any]:
    """Layers that make of stored values what the first layer sees."""
    layers = keras.layers
    dense = {name: layers.Dense(kernel.shape[1], use_bias=False, name=name) for name, kernel in products.items()}
    found = []
    if network.resizing is not None:
        turns = [layers.Permute(axes, name=f"resize_turn{n}") for n, axes in enumerate(_TURNS, start=1)]
        found = [turns[0], dense["resize_columns"], turns[1], dense["resize_rows"], turns[2]]
    if network.channels is not None:
        found.append(dense["channels"])
    return [*found, _rescaling(keras, network)] if network.is_scaled else found


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
        case words.MaxPool() if isinstance(layer.padding, int):
            return _maximum(keras, row, layer)
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


def _maximum(keras: Any, row: LayerSummary, layer: MaxPool) -> list[Any]:
    """Maxima whose padding never wins, as Keras has it with ``padding="same"`` alone: at every position, of which
    those are kept that the stride and the padding name.

    Raises:
        SpecError: The padding is more than ``same`` has on the first side.
    """
    height, width, _ = row.input_shape  # type: ignore[misc]
    first = (layer.size - 1) // 2 - int(layer.padding)
    if first < 0:
        what = f'{row.name} ("{row.word}") pads with what never wins a maximum, and Keras only with zeros'
        raise SpecError(Problem(what, "give an odd size, or export it as onnx or torch"))
    rows, columns, _ = row.output_shape  # type: ignore[misc]
    reach = [first + (count - 1) * layer.stride + 1 for count in (rows, columns)]
    cut = [(first, side - end) for side, end in zip((height, width), reach, strict=True)]
    layers, last = keras.layers, {"data_format": "channels_last"}
    return [
        layers.MaxPooling2D(layer.size, 1, "same", name=f"{row.name}_everywhere", **last),
        layers.Cropping2D(cut, name=f"{row.name}_crop", **last),
        layers.MaxPooling2D(1, layer.stride, name=row.name, **last),
    ]


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
