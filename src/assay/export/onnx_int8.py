"""An ONNX network in 8 bits: weights by channel, activations calibrated on training images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..extras import needed
from .onnx_model import PREPARATION, onnx_model
from .portable import Portable

CALIBRATION_IMAGES = 512
_BATCH = 64


def write_onnx_int8(network: Portable, path: Path, images: NDArray[Any]) -> None:
    """Write an ``.onnx`` file whose convolutions and products take 8-bit numbers.

    Static quantization: the range of every activation is that of these images. Kernels have a factor for each output
    channel. Input, output and metadata are as in ``write_onnx``.

    Args:
        network: What to quantize.
        path: The file.
        images: Stored training images [n, height, width, channels]; some hundreds will do.

    Raises:
        SpecError: onnx or onnxruntime is not installed.
        DiskFull: There is no space left.

    Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference"; onnxruntime's ``quantize_static``.
    """
    quantization = needed("onnxruntime.quantization", "ONNX files")
    onnx = needed("onnx", "ONNX files")
    preprocess = needed("onnxruntime.quantization.shape_inference", "ONNX files").quant_pre_process
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, ready, small = (folder / file for file in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(onnx_model(network).SerializeToString())
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # its advice on how to call it
        try:
            preprocess(plain, ready, skip_symbolic_shape=True)
            nodes = onnx.load(ready).graph.node
            quantization.quantize_static(
                ready,
                small,
                _reader(quantization, images),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=[
                    node.name
                    for node in nodes
                    if node.op_type == "Softmax" or node.name.startswith(PREPARATION)  # weights of pixels, not learned
                ],
            )
        finally:
            root.setLevel(level)
        model = onnx.load(small)
        known = {entry.key for entry in model.metadata_props}
        model.metadata_props.extend(entry for entry in onnx.load(plain).metadata_props if entry.key not in known)
        disk.write(path, model.SerializeToString())


def _reader(quantization: Any, images: NDArray[Any]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[Any]] = (
                np.ascontiguousarray(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)
            )

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    return Reader()
