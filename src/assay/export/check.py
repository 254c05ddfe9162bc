"""Predictions of an exported file, computed by the libraries that others will run it with."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import needed
from .own_module import CODE

Answer = Callable[[NDArray[Any]], NDArray[np.float32]]
_BATCH = 100


def onnx_answer(path: Path, output: str = "probabilities") -> Answer:
    """An ``.onnx`` file in onnxruntime.

    Args:
        path: The file.
        output: Which of its outputs.

    Raises:
        SpecError: onnxruntime is not installed.
    """
    session = needed("onnxruntime", "ONNX files").InferenceSession(path)
    return _in_parts(lambda images: session.run([output], {"images": images})[0])


def keras_answer(path: Path) -> Answer:
    """A ``.keras`` file in Keras.

    Raises:
        SpecError: Keras is not installed.
    """
    keras = needed("keras", "Keras files")
    model = keras.saving.load_model(path)
    return lambda images: np.asarray(model.predict(images, verbose=0, batch_size=_BATCH))


def torch_answer(path: Path) -> Answer:
    """A module that ``write_torch`` has just written."""
    import torch

    module_spec = importlib.util.spec_from_file_location("assay_exported", path)
    if module_spec is None or module_spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(module_spec)
    with _imports_undone(path.parent / CODE):
        module_spec.loader.exec_module(module)
        network = module.load()

    @torch.no_grad()
    def answer(images: NDArray[Any]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
        return probabilities

    return _in_parts(answer)


@contextlib.contextmanager
def _imports_undone(folder: Path) -> Iterator[None]:
    """Modules of a folder are imported anew, and ``sys.path`` and ``sys.modules`` are afterwards as they were."""
    tops = {place.stem for place in folder.glob("*")}
    path, held = list(sys.path), {name: sys.modules.pop(name) for name in list(sys.modules) if _top(name) in tops}
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if _top(name) in tops]:
            del sys.modules[name]
        sys.modules.update(held)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _in_parts(answer: Answer) -> Answer:
    def whole(images: NDArray[Any]) -> NDArray[np.float32]:
        return np.concatenate([answer(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)])

    return whole
