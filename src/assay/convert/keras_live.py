"""Converts a Keras model in memory, with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .live import graph_of
from .network import words_of
from .weights import Imported, imported, weight_error


def from_keras(model: Any) -> Imported:
    """A Keras model as layer words, with its weights if it is built.

    Raises:
        SpecError: It is neither Sequential nor functional, has layers without words here (a problem for each), or
            paths that no block can express.
    """
    graph = graph_of(model)
    has_weights = graph.shape is not None and getattr(model, "built", False)
    return imported(words_of(graph), graph.shape, _read if has_weights else None)


def _read(layer: Any, shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    values = [np.asarray(value, np.float32) for value in layer.get_weights()]
    if [value.shape for value in values] != list(shapes):
        raise weight_error(f"weights of {[value.shape for value in values]} have no place here", str(layer.name))
    return values
