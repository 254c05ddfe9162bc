"""The probes as Keras models, for every script that uses Keras. Import it when the backend has been chosen."""

from __future__ import annotations

from typing import Any

import keras
from probes import Probe, read


def model_of(probe: Probe) -> keras.Sequential:
    """The probe's network with Keras's own initial weights."""
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for layer in map(read, probe.layers):
        match layer.kind:
            case "conv":
                filters, kernel = layer.sizes
                model.add(keras.layers.Conv2D(filters, kernel, activation=layer.activation, padding=layer.padding))
            case "batchnorm":
                model.add(keras.layers.BatchNormalization())
            case "maxpool":
                model.add(keras.layers.MaxPooling2D(layer.sizes[0], padding=layer.padding))
            case "dropout":
                model.add(keras.layers.Dropout(layer.rate))
            case "flatten":
                model.add(keras.layers.Flatten())
            case "dense":
                # A softmax is computed in float32 under mixed precision, as Keras's guide says.
                dtype = "float32" if layer.activation == "softmax" else None
                model.add(keras.layers.Dense(layer.sizes[0], activation=layer.activation, dtype=dtype))
    return model


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
