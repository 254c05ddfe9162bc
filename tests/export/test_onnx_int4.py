"""ONNX files with weights of 4 bits, in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.export import write_onnx, write_onnx_int4
from assay.export.onnx_int4 import scales_of

from ..contracts.test_export import CLASSES, END, WORDS, images_of, named, network_of, network_on

runtime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("name", WORDS)
def test_kernels_of_four_bits_are_computed_with_as_they_are_stored(name: str, tmp_path: Path) -> None:
    """The file says what our network says once its kernels are rounded to the same levels."""
    shape, layers = WORDS[name]
    network, predictor = network_of(layers, shape)
    write_onnx_int4(network, tmp_path / "model.onnx")
    for row in network.summary.layers:
        for key in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            values = network.weights.get(f"{row.name}.{key}")
            if values is None:
                continue
            rows = values.reshape(len(values), -1).astype(np.float64)
            steps = scales_of(rows)[:, None]
            rounded = np.clip(np.rint(rows / steps), -7, 7).astype(np.float32) * steps.astype(np.float32)
            network.weights[f"{row.name}.{key}"] = rounded.reshape(values.shape)
    write_onnx(network, tmp_path / "plain.onnx")
    images = images_of(40, shape)
    given, expected = (
        runtime.InferenceSession(tmp_path / file).run(["probabilities"], {"images": images})[0]
        for file in ("model.onnx", "plain.onnx")
    )
    np.testing.assert_allclose(given, expected, atol=1e-4)
    assert np.abs(given - predictor.probabilities(images)).max() > 1e-4  # rounding is not nothing


def test_two_weights_share_a_byte(tmp_path: Path) -> None:
    network, _ = network_of(["flatten", "dense 99 relu", *END[1:]], (28, 28, 1))
    write_onnx(network, tmp_path / "plain.onnx")
    write_onnx_int4(network, tmp_path / "model.onnx")
    plain, small = ((tmp_path / name).stat().st_size for name in ("plain.onnx", "model.onnx"))
    kernels = 784 * 99 + 99 * 10
    assert plain - small == pytest.approx(3.5 * kernels, rel=0.01)
    model = onnx.load(tmp_path / "model.onnx")
    assert model.opset_import[0].version == 21
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["classes"]) == CLASSES


def test_images_are_still_prepared_in_float32(tmp_path: Path) -> None:
    network, predictor = network_on(named("squeezenet", "block1", (20, 18)), (14, 11, 1))
    write_onnx_int4(network, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert not any("resized" in node.name for node in graph.node if node.op_type == "DequantizeLinear")
    images = images_of(20, (14, 11, 1))
    given = runtime.InferenceSession(tmp_path / "model.onnx").run(["probabilities"], {"images": images})[0]
    assert np.abs(given - predictor.probabilities(images)).mean() < 0.1


def test_scales_lose_no_more_than_those_that_cut_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 50))

    def error(steps: np.ndarray) -> np.ndarray:
        whole = np.clip(np.rint(rows / steps[:, None]), -7, 7) * steps[:, None]
        return ((whole - rows) ** 2).sum(1)

    widest = np.abs(rows).max(1) / 7
    assert (error(scales_of(rows)) <= error(widest) + 1e-12).all()
    assert error(scales_of(rows)).mean() < 0.9 * error(widest).mean()
    assert (scales_of(np.zeros((2, 3))) > 0).all()
