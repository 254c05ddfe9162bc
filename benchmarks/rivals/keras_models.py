"""The probes as Keras models, for every script that uses Keras. Import it when the backend has been chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from probes import Layer, Probe, layers_of


def model_of(probe: Probe) -> keras.Model:
    """The probe's network with Keras's own initial weights: sequential, or functional where paths part and meet."""
    layers = layers_of(probe)
    if all(layer.kind != "residual" for layer in layers):
        return keras.Sequential([keras.Input(probe.shape), *map(_layer, layers)])
    inputs = keras.Input(probe.shape)
    return keras.Model(inputs, _applied(layers, inputs))


def _applied(layers: Iterable[Layer], values: Any) -> Any:
    for layer in layers:
        if layer.kind == "residual":
            branches = [_applied(layer.inside, values), _applied(layer.shortcut, values)]
            values = keras.layers.Activation(layer.activation)(keras.layers.Add()(branches))
        else:
            values = _layer(layer)(values)
    return values


def _layer(layer: Layer) -> keras.Layer:
    options = {"strides": layer.stride, "padding": layer.padding, "use_bias": layer.has_bias}
    match layer.kind:
        case "conv":
            return keras.layers.Conv2D(*layer.sizes, activation=layer.activation, **options)
        case "depthwise":
            return keras.layers.DepthwiseConv2D(*layer.sizes, activation=layer.activation, **options)
        case "batchnorm":
            return keras.layers.BatchNormalization()
        case "relu":
            return keras.layers.ReLU()
        case "maxpool":
            return keras.layers.MaxPooling2D(layer.sizes[0], padding=layer.padding)
        case "globalavgpool":
            return keras.layers.GlobalAveragePooling2D()
        case "dropout":
            return keras.layers.Dropout(layer.rate)
        case "flatten":
            return keras.layers.Flatten()
        case "dense":
            # A softmax is computed in float32 under mixed precision, as Keras's guide says.
            dtype = "float32" if layer.activation == "softmax" else None
            return keras.layers.Dense(layer.sizes[0], activation=layer.activation, dtype=dtype)
    raise ValueError(f"no Keras layer is known here for {layer.kind!r}")


def optimizer_of(probe: Probe) -> Any:
    """The probe's optimizer with Keras's defaults."""
    kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    return kinds[probe.optimizer](learning_rate=probe.learning_rate)


class Timed(keras.callbacks.Callback):
    """Lets a clock time the epochs of ``fit``, and ends it when the clock has what it wants."""

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock

    def on_train_begin(self, logs: Any = None) -> None:
        self.epochs = self.clock.epochs()
        next(self.epochs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.clock.about["loss"] = float(logs["loss"])
        if next(self.epochs, "over") == "over":
            self.model.stop_training = True
