"""LiteRT files in their own runtime: float32 says what we say, 8 bits nearly, for every layer word."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import SpecError
from assay.export import Portable, litert_answer, write_litert, write_litert_int8
from assay.prediction.ensemble import softmax
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling

from ..contracts.test_export import CLASSES, END, WORDS, images_of, named, network_of, network_on
from .fixed_networks import NETWORKS, pictures

HAS_RUNTIME = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("ai_edge_litert") is None, reason="ai-edge-litert is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def check(network: Portable, predictor: Predictor, folder: Path, images: Any) -> None:
    write_litert(network, folder / "model.tflite")
    answer = litert_answer(folder / "model.tflite")
    expected = predictor.probabilities(images)
    np.testing.assert_allclose(answer(images), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1e-3  # images differ, so that a constant would not pass
    np.testing.assert_allclose(answer(images[:1]), expected[:1], atol=1e-4)  # any batch


@HAS_RUNTIME
@pytest.mark.parametrize("name", WORDS)
def test_every_layer_word_means_the_same_in_litert(name: str, tmp_path: Path) -> None:
    shape, layers = WORDS[name]
    check(*network_of(layers, shape), tmp_path, images_of(40, shape))


@HAS_RUNTIME
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_scaling_travels_inside(dtype: str, tmp_path: Path) -> None:
    grow = 1 / 60 if dtype == "uint8" else 3.0
    scaling = Scaling(torch.tensor([0.2, 0.5, 0.4]), torch.tensor([1.0, 1.5, 0.7]) * grow)
    layers = ["conv 3 3x3 relu padding=same", *END]
    network, predictor = network_of(layers, (6, 7, 3), dtype=dtype, scaling=scaling)
    check(network, predictor, tmp_path, images_of(40, (6, 7, 3), dtype))


@HAS_RUNTIME
def test_maxima_and_means_with_pixels_of_padding(tmp_path: Path) -> None:
    layers = ["conv 4 3x3", "maxpool 2 padding=1", "maxpool 3 stride=2 padding=1", "avgpool 3 stride=1 padding=1", *END]
    check(*network_of(layers, (13, 12, 2)), tmp_path, images_of(40, (13, 12, 2)))


@HAS_RUNTIME
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("name", ["record", "normed", "blocks", "norms", "normed first", "pooled"])
def test_eight_bits_say_what_the_program_says(name: str, shifted: bool, tmp_path: Path) -> None:
    """The weights and scales are those of the C header; LiteRT rounds in its own way, and has logits of 8 bits."""
    layers, shape, dtype = NETWORKS[name]
    scaling = None
    if shifted:
        bytes_ = 255 if dtype == "uint8" else 1
        scaling = Scaling(torch.full((shape[2],), 0.4) * bytes_, torch.full((shape[2],), 3.0) / bytes_)
    network, predictor = network_of(layers, shape, dtype=dtype, scaling=scaling)
    images = pictures(200, shape, dtype)
    program = write_litert_int8(network, tmp_path / "model.tflite", images[:100])
    given = litert_answer(tmp_path / "model.tflite")(images)
    expected, whole = predictor.probabilities(images), softmax(program.logits(images))
    assert np.abs(given - expected).mean() < 0.02
    assert (given.argmax(1) == whole.argmax(1)).mean() > 0.9
    assert (given.argmax(1) == expected.argmax(1)).mean() > 0.9


@HAS_RUNTIME
def test_eight_bits_take_a_quarter_of_the_weights(tmp_path: Path) -> None:
    network, _ = network_of(["flatten", "dense 200 relu", "dense classes softmax"], (28, 28, 1))
    write_litert(network, tmp_path / "model.tflite")
    write_litert_int8(network, tmp_path / "small.tflite", images_of(20, (28, 28, 1)))
    plain, small = ((tmp_path / name).stat().st_size for name in ("model.tflite", "small.tflite"))
    assert network.summary.parameters > 100_000  # more than a C header holds
    assert 4 * network.summary.parameters < plain < 4 * network.summary.parameters + 6000
    assert small < plain / 4 + 9000


@HAS_RUNTIME
def test_class_names_stand_in_the_metadata(tmp_path: Path) -> None:
    network, _ = network_of(END, (4, 4, 1))
    write_litert(network, tmp_path / "model.tflite")
    content = (tmp_path / "model.tflite").read_bytes()
    assert content[4:8] == b"TFL3"
    assert json.dumps(CLASSES).encode() in content


def test_what_litert_does_not_hold_is_refused(tmp_path: Path) -> None:
    network, _ = network_on(named("squeezenet", "block1"), (14, 11, 3))
    with pytest.raises(SpecError, match=r"stands on SqueezeNet .*LiteRT files hold no code that prepares images"):
        write_litert(network, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(SpecError, match="LiteRT files need ai_edge_litert, which is not installed") as caught:
        litert_answer(tmp_path / "model.tflite")
    assert 'pip install "assay[litert]"' in str(caught.value)
