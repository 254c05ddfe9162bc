"""A network as a Keras 3 model, with its weights, and as a ``.keras`` file."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..errors import Problem, SpecError
from ..extras import needed
from ..nets import AvgPool, LayerSummary, MaxPool
from ..nets import layers as words
from ..nets.layers.norms import EPSILON
from ..nets.translation import Translation
from .own_module import refuse_own
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
        with disk.disk_errors(part, "written"):
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
    refuse_own(network, "Keras has no layers for it")
    os.environ.setdefault("KERAS_BACKEND", "torch")  # torch is here; Keras alone would look for TensorFlow
    keras = needed("keras", "Keras files")
    summary = network.summary
    if summary.members > 1:
        what = f"it is an ensemble of {summary.members} networks, and a Keras file is written of one"
        raise SpecError(Problem(what, "export it as onnx or torch, or distil it into one network"))
    last = summary.layers[-1]
    translated: dict[str, list[Any]] = {row.name: LAYERS[row](keras, row, row.layer) for row in summary.layers}
    images = keras.layers.Input(network.shape, dtype="float32", name="images")
    products = _products(network)
    before = _preparation(keras, network, products)
    if summary.is_chain:
        model = keras.Sequential(
            [images, *before, *(layer for row in summary.layers for layer in translated[row.name])]
        )
    else:
        values = {"": images}
        for layer in before:
            values[""] = layer(values[""])
        for row in summary.layers:
            inputs = [values[name] for name in row.inputs]
            value = inputs if len(inputs) > 1 else inputs[0]
            for layer in translated[row.name]:
                value = layer(value)
            values[row.name] = value
        model = keras.Model(images, values[last.name])
    for row in summary.layers:
        (holder,) = (layer for layer in translated[row.name] if layer.name == row.name)
        weights = network.of_layer(row.name)
        for tensor in row.tensors:
            getattr(holder, tensor.name).assign(tensor.to_keras(weights[tensor.name]))
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
    products = {}
    if network.resizing is not None:
        rows, columns = network.resizing
        products = {"resize_columns": columns.T, "resize_rows": rows.T}
    if network.channels is not None:
        products["channels"] = np.eye(network.shape[2], dtype=np.float32)[:, list(network.channels)]
    return products


def _preparation(keras: Any, network: Portable, products: dict[str, NDArray[np.float32]]) -> list[Any]:
    """Layers that make of stored values what the first layer sees."""
    layers = keras.layers
    dense = {name: layers.Dense(kernel.shape[1], use_bias=False, name=name) for name, kernel in products.items()}
    stack = []
    if network.resizing is not None:
        turns = [layers.Permute(axes, name=f"resize_turn{n}") for n, axes in enumerate(_TURNS, start=1)]
        stack = [turns[0], dense["resize_columns"], turns[1], dense["resize_rows"], turns[2]]
    if network.channels is not None:
        stack.append(dense["channels"])
    return [*stack, _rescaling(keras, network)] if network.is_scaled else stack


def _rescaling(keras: Any, network: Portable) -> Any:
    scale, offset = network.factor, -network.offset * network.factor
    if (scale == scale[0]).all() and (offset == offset[0]).all():
        return keras.layers.Rescaling(float(scale[0]), float(offset[0]), name="scaling")
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="scaling")


# The layers of Keras that a row is, with padding and activations where Keras has them apart; the one with weights has
# the row's name.
LAYERS: Translation[Callable[[Any, LayerSummary, Any], list[Any]]] = Translation(
    "Keras layer", "export it as onnx or torch"
)


@LAYERS.of(words.Conv)
def _conv(keras: Any, row: LayerSummary, layer: words.Conv) -> list[Any]:
    padding, options = _windowed(keras, row, layer)
    return [*padding, keras.layers.Conv2D(
        layer.filters, layer.kernel, groups=layer.groups, dilation_rate=layer.dilation,
        kernel_regularizer=_penalty(keras, layer), **options, **_weighted(layer),
    )]  # fmt: skip


@LAYERS.of(words.Depthwise)
def _depthwise(keras: Any, row: LayerSummary, layer: words.Depthwise) -> list[Any]:
    padding, options = _windowed(keras, row, layer)
    return [*padding, keras.layers.DepthwiseConv2D(
        layer.kernel, depth_multiplier=layer.multiplier, dilation_rate=layer.dilation,
        depthwise_regularizer=_penalty(keras, layer), **options, **_weighted(layer),
    )]  # fmt: skip


@LAYERS.of(words.Separable)
def _separable(keras: Any, row: LayerSummary, layer: words.Separable) -> list[Any]:
    padding, options = _windowed(keras, row, layer)
    return [*padding, keras.layers.SeparableConv2D(
        layer.filters, layer.kernel, depth_multiplier=layer.multiplier, dilation_rate=layer.dilation,
        depthwise_regularizer=_penalty(keras, layer), pointwise_regularizer=_penalty(keras, layer), **options,
        **_weighted(layer),
    )]  # fmt: skip


@LAYERS.of(words.Dense)
def _dense(keras: Any, row: LayerSummary, layer: words.Dense) -> list[Any]:
    options = {"kernel_regularizer": _penalty(keras, layer), **_weighted(layer)}
    return [keras.layers.Dense(row.output_shape[0], name=row.name, **options)]


@LAYERS.of(words.MaxPool)
def _maxpool(keras: Any, row: LayerSummary, layer: words.MaxPool) -> list[Any]:
    if isinstance(layer.padding, int):
        return _maximum(keras, row, layer)
    return [keras.layers.MaxPooling2D(layer.size, **_windowed(keras, row, layer)[1])]


@LAYERS.of(words.AvgPool)
def _avgpool(keras: Any, row: LayerSummary, layer: words.AvgPool) -> list[Any]:
    if layer.padding != "valid":
        return _average(keras, row, layer)
    return [keras.layers.AveragePooling2D(layer.size, **_windowed(keras, row, layer)[1])]


@LAYERS.of(words.GlobalMaxPool)
def _globalmaxpool(keras: Any, row: LayerSummary, layer: words.GlobalMaxPool) -> list[Any]:
    return [keras.layers.GlobalMaxPooling2D(**_last(row))]


@LAYERS.of(words.GlobalAvgPool)
def _globalavgpool(keras: Any, row: LayerSummary, layer: words.GlobalAvgPool) -> list[Any]:
    return [keras.layers.GlobalAveragePooling2D(**_last(row))]


@LAYERS.of(words.BatchNorm)
def _batchnorm(keras: Any, row: LayerSummary, layer: words.BatchNorm) -> list[Any]:
    return [keras.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, name=row.name)]


@LAYERS.of(words.LayerNorm)
def _layernorm(keras: Any, row: LayerSummary, layer: words.LayerNorm) -> list[Any]:
    return [keras.layers.LayerNormalization(epsilon=EPSILON, name=row.name)]


@LAYERS.of(words.GroupNorm)
def _groupnorm(keras: Any, row: LayerSummary, layer: words.GroupNorm) -> list[Any]:
    return [keras.layers.GroupNormalization(layer.groups, epsilon=EPSILON, name=row.name)]


@LAYERS.of(words.InstanceNorm)
def _instancenorm(keras: Any, row: LayerSummary, layer: words.InstanceNorm) -> list[Any]:
    return [keras.layers.GroupNormalization(-1, epsilon=EPSILON, name=row.name)]


@LAYERS.of(words.Dropout)
def _dropout(keras: Any, row: LayerSummary, layer: words.Dropout) -> list[Any]:
    return [keras.layers.Dropout(layer.rate, name=row.name)]


@LAYERS.of(words.SpatialDropout)
def _spatialdropout(keras: Any, row: LayerSummary, layer: words.SpatialDropout) -> list[Any]:
    return [keras.layers.SpatialDropout2D(layer.rate, **_last(row))]


@LAYERS.of(words.Flatten)
def _flatten(keras: Any, row: LayerSummary, layer: words.Flatten) -> list[Any]:
    return [keras.layers.Flatten(**_last(row))]


@LAYERS.of(words.ZeroPad)
def _zeropad(keras: Any, row: LayerSummary, layer: words.ZeroPad) -> list[Any]:
    return [keras.layers.ZeroPadding2D(layer.padding, **_last(row))]


@LAYERS.of(words.Reshape)
def _reshape(keras: Any, row: LayerSummary, layer: words.Reshape) -> list[Any]:
    return [keras.layers.Reshape(layer.target, name=row.name)]


@LAYERS.of(words.Activate)
def _activate(keras: Any, row: LayerSummary, layer: words.Activate) -> list[Any]:
    return [keras.layers.Activation(_activation(layer), name=row.name)]


@LAYERS.of(words.PReLU)
def _prelu(keras: Any, row: LayerSummary, layer: words.PReLU) -> list[Any]:
    (alpha,) = row.tensors
    shared = [axis for axis, size in enumerate(alpha.keras_shape, start=1) if layer.per != "value" and size == 1]
    start = keras.initializers.Constant(layer.slope) if layer.slope else "zeros"
    return [keras.layers.PReLU(alpha_initializer=start, shared_axes=shared or None, name=row.name)]


@LAYERS.of(words.Concatenate)
def _concatenate(keras: Any, row: LayerSummary, layer: words.Concatenate) -> list[Any]:
    return [keras.layers.Concatenate(name=row.name)]


@LAYERS.of(words.Add)
def _add(keras: Any, row: LayerSummary, layer: words.Add) -> list[Any]:
    after = keras.layers.Activation(_activation(layer), name=f"{row.name}_activation")
    return [keras.layers.Add(name=row.name), *([] if layer.activation == "linear" else [after])]


def _last(row: LayerSummary) -> dict[str, Any]:
    """Channels come last, whatever Keras's settings on this machine are."""
    return {"data_format": "channels_last", "name": row.name}


def _windowed(keras: Any, row: LayerSummary, layer: Any) -> tuple[list[Any], dict[str, Any]]:
    """A layer that pads by a number of pixels, where there is one, and the options of a layer with a window."""
    before, padding = [], layer.padding
    if isinstance(padding, int):
        zeros = keras.layers.ZeroPadding2D(padding, data_format="channels_last", name=f"{row.name}_padding")
        before, padding = [zeros], "valid"
    return before, {"padding": padding, "strides": layer.stride, **_last(row)}


def _weighted(layer: words.Conv | words.Depthwise | words.Separable | words.Dense) -> dict[str, Any]:
    return {"activation": _activation(layer), "use_bias": layer.bias}


def _activation(layer: Any) -> str:
    """An activation by Keras's name."""
    name: str = layer.activation
    return name.replace("leakyrelu", "leaky_relu")


def _penalty(keras: Any, layer: words.Conv | words.Depthwise | words.Separable | words.Dense) -> Any:
    return keras.regularizers.L1L2(layer.l1, layer.l2) if layer.l1 or layer.l2 else None


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
    sides = [layer.window.padding(side, axis) for axis, side in enumerate((height, width))]
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
