"""Predictions of a LiteRT file, computed by its own runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...extras import needed
from .flat import PURPOSE

_BATCH = 100


def litert_answer(path: Path) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """A ``.tflite`` file in LiteRT's interpreter.

    Raises:
        SpecError: ai-edge-litert is not installed.
    """
    interpreter = needed("ai_edge_litert.interpreter", PURPOSE).Interpreter(model_path=str(path), num_threads=1)
    (images,), (probabilities,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(batch: NDArray[Any]) -> NDArray[np.float32]:
        interpreter.resize_tensor_input(images["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], np.ascontiguousarray(batch))
        interpreter.invoke()
        given: NDArray[np.float32] = interpreter.get_tensor(probabilities["index"])
        return given

    def whole(given: NDArray[Any]) -> NDArray[np.float32]:
        return np.concatenate([answer(given[start : start + _BATCH]) for start in range(0, len(given), _BATCH)])

    return whole
