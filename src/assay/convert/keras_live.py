"""Converts a Keras model in memory, with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from .configs import LayerConfig
from .converted import convert
from .weights import Imported, imported, weight_error


def from_keras(model: Any) -> Imported:
    """A Keras Sequential model as layer words, with its weights if it is built.

    Raises:
        SpecError: It is no Sequential model, or has layers without words here; a problem for each.
    """
    layers = _layers(model)
    converted = convert(layers)
    has_weights = converted.shape is not None and getattr(model, "built", False)
    return imported(converted, _read if has_weights else None)


def _layers(model: Any) -> list[LayerConfig]:
    kinds = [kind.__name__ for kind in type(model).__mro__ if kind.__module__.split(".")[0] in ("keras", "tf_keras")]
    if "Sequential" not in kinds:
        what = f"got a {type(model).__name__}"
        fix = "give a Keras Sequential model; write paths that part as residual or parallel blocks"
        raise SpecError(Problem(what, fix))
    configs = []
    shape = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    if isinstance(shape, tuple):
        configs.append(LayerConfig("InputLayer", {"batch_shape": list(shape)}))
    for layer in model.layers:
        name = str(layer.name)
        if type(layer).__module__.split(".")[0] not in ("keras", "tf_keras"):
            what = f"{type(layer).__name__} is no layer of Keras's own"
            raise SpecError(Problem(what, "use layers that have words (docs/study-file.md)", name))
        if type(layer).__name__ == "Sequential":
            configs += [inner for inner in _layers(layer) if inner.kind != "InputLayer"]
        else:
            configs.append(LayerConfig(type(layer).__name__, layer.get_config(), name, None, layer))
    return configs


def _read(layer: Any, shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    values = [np.asarray(value, np.float32) for value in layer.get_weights()]
    if [value.shape for value in values] != list(shapes):
        raise weight_error(f"weights of {[value.shape for value in values]} have no place here", str(layer.name))
    return values
