"""Every format's predictions are ours, to 1e-4 in float32, for every layer word and every shipped network."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from assay import api
from assay.errors import SpecError
from assay.export import Portable, write_keras, write_onnx, write_safetensors, write_torch
from assay.nets import parse
from assay.nets.build import build
from assay.seeds import Streams
from assay.spec import read_study
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, on saving
Floats = NDArray[np.float32]
Answer = Callable[[NDArray[Any]], Any]

CLASSES = [*map(str, range(8)), 'nine "9"', "zehn: \u00e4\\"]


def written_keras(network: Portable, folder: Path) -> tuple[Answer, Sequence[str]]:
    keras = pytest.importorskip("keras")
    path = folder / "model.keras"
    write_keras(network, path)
    model = keras.saving.load_model(path)
    classes = json.loads(zipfile.ZipFile(path).read("assay.json"))["classes"]
    return lambda images: model.predict(images, verbose=0, batch_size=250), classes


def written_onnx(network: Portable, folder: Path) -> tuple[Answer, Sequence[str]]:
    runtime = pytest.importorskip("onnxruntime")
    path = folder / "model.onnx"
    write_onnx(network, path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(path, options)
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    return lambda images: session.run(["probabilities"], {"images": images})[0], classes


def written_torch(network: Portable, folder: Path) -> tuple[Answer, Sequence[str]]:
    path = folder / "model.py"
    write_torch(network, path, 'A title with """quotes""" and \\ in it')
    assert "assay" not in path.read_text()
    found = importlib.util.spec_from_file_location("exported_model", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    model = module.load()

    def answer(images: NDArray[Any]) -> Any:
        with torch.no_grad():
            return model(torch.from_numpy(images)).numpy()

    return answer, module.CLASSES


def written_safetensors(network: Portable, folder: Path) -> tuple[Answer, Sequence[str]]:
    """Built again from what the JSON says alone."""
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    write_safetensors(network, path)
    spec = json.loads(path.with_suffix(".json").read_text())
    about = spec["input"]
    shape = about["height"], about["width"], about["channels"]
    scaling = Scaling(torch.tensor(about["offset"]), torch.tensor(about["factor"]))
    predictor = Predictor(build(parse(spec["layers"]), shape, len(spec["classes"]), Streams(9)), scaling)
    predictor.load_weights(load_file(path))
    return predictor.probabilities, spec["classes"]


FORMATS = {
    "keras": written_keras,
    "onnx": written_onnx,
    "torch": written_torch,
    "safetensors": written_safetensors,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network_of(
    lines: Sequence[Any], shape: tuple[int, int, int], *, dtype: str = "uint8", scaling: Scaling | None = None
) -> tuple[Portable, Predictor]:
    """A network as after some training: nothing but the kernels at the value that it starts from."""
    network = build(parse(lines), shape, 10, Streams(3))
    rng = np.random.default_rng(4)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not name.endswith("kernel"):
                values.copy_(torch.from_numpy(rng.uniform(0.2, 1.5, values.shape)))
    factor = 1 / 255 if dtype == "uint8" else 1.0
    channels = shape[2]
    unit = Scaling(torch.zeros(channels), torch.full((channels,), factor))
    predictor = Predictor(network, scaling or unit)
    with torch.no_grad():  # probabilities between 0 and 1, where differences would show
        chosen = np.arange(8)
        spread = network(predictor.scaling.apply(images_of(8, shape, dtype), chosen)).std()
        last = next(row.name for row in reversed(network.summary.layers) if row.trainable)
        network.get_submodule(last).kernel.mul_(2 / spread)
    return Portable.of(predictor, lines, CLASSES, dtype), predictor


def images_of(count: int, shape: tuple[int, int, int], dtype: str = "uint8") -> NDArray[Any]:
    values = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return values if dtype == "uint8" else (values / np.float32(255)).astype(np.float32)


def check(form: str, network: Portable, predictor: Predictor, folder: Path, count: int) -> None:
    answer, classes = FORMATS[form](network, folder)
    images = images_of(count, network.shape, network.dtype)
    expected = predictor.probabilities(images)
    assert list(classes) == CLASSES
    np.testing.assert_allclose(answer(images), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1e-3  # images differ, so that a constant would not pass
    np.testing.assert_allclose(answer(images[:1]), expected[:1], atol=1e-4)  # any batch


RESIDUAL = {
    "residual": ["conv 6 3x3 padding=same stride=2 bias=false", "batchnorm", "elu", "depthwise 3x3 padding=same"],
    "shortcut": ["avgpool 2 padding=same", "conv 6 1x1"],
    "activation": "relu",
}
INCEPTION = {
    "parallel": [
        *[["conv 3 1x1"], ["conv 2 1x1 relu", "conv 4 3x3 padding=same"]],
        *[["maxpool 3 stride=1 padding=same"], ["avgpool 3 stride=1 padding=same"], []],
    ]
}
END = ["flatten", "dense classes softmax"]
SUM = {"parallel": [["relu"], [], ["tanh"]], "join": "add"}
WORDS: dict[str, tuple[tuple[int, int, int], list[Any]]] = {
    "convolutions": (
        (17, 20, 2),
        [
            *["conv 4 2x2 leakyrelu", "conv 6 4x4 gelu padding=same", "conv 6 5x2 silu padding=same stride=3"],
            *["conv 6 3x2 sigmoid groups=3 bias=false padding=same", *END],
        ],
    ),
    "pixels of padding": (
        (13, 12, 2),
        ["conv 4 3x3 relu6 padding=1 stride=2", "avgpool 3 stride=2 padding=1", "depthwise 3x3 padding=2", *END],
    ),
    "dilation and groups": (
        (15, 18, 3),
        ["conv 4 3x3 dilation=2 tanh", "conv 8 3x2 dilation=3 padding=same groups=4 relu", "conv 3 3x3 stride=2", *END],
    ),
    "depthwise": (
        (15, 16, 2),
        ["depthwise 3x2 relu multiplier=3 padding=same stride=2 bias=false", "depthwise 2x2 dilation=3 elu", *END],
    ),
    "separable": (
        (16, 19, 3),
        ["separable 5 2x3 tanh multiplier=2 padding=same stride=2 bias=false", "separable 3 3x3 dilation=2 relu", *END],
    ),
    "maxima": (
        (27, 24, 1),
        [
            *["conv 4 3x3", "maxpool 2 padding=same", "maxpool 3 stride=2", "maxpool 3 stride=1 padding=same"],
            *["maxpool 4 stride=3 padding=same", *END],
        ],
    ),
    "means": (
        (27, 24, 1),
        [
            *["conv 4 3x3", "avgpool 2 padding=same", "avgpool 3 stride=2", "avgpool 3 stride=1 padding=same"],
            *["avgpool 4 stride=3 padding=same", *END],
        ],
    ),
    "image norms": (
        (9, 8, 2),
        [
            *[
                "conv 6 3x3",
                "batchnorm epsilon=0.01 momentum=0.9",
                "relu",
                "layernorm",
                "groupnorm 2",
                "dropout 0.3",
                "instancenorm",
            ],
            *["spatialdropout 0.3", "conv 4 3x3 relu", "globalavgpool", "dense classes softmax"],
        ],
    ),
    "vectors": (
        (5, 4, 2),
        [
            *["flatten", "dense 12 gelu", "batchnorm", "layernorm", "groupnorm 3", "silu", "dense 7 bias=false"],
            *["leakyrelu", "dense classes", "softmax"],
        ],
    ),
    "global maximum": ((8, 9, 1), ["conv 5 3x3 elu", "globalmaxpool", "batchnorm", "dense classes softmax"]),
    "residual": ((12, 11, 2), ["conv 4 2x2", RESIDUAL, *END]),
    "inception": (
        (8, 9, 2),
        ["conv 4 2x2", {"repeat": 2, "layers": [{"residual": [INCEPTION, "conv 4 1x1"]}]}, SUM, *END],
    ),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", WORDS)
def test_every_layer_word_means_the_same_elsewhere(form: str, name: str, tmp_path: Path) -> None:
    shape, layers = WORDS[name]
    check(form, *network_of(layers, shape), tmp_path, 40)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_scaling_travels_inside(form: str, dtype: str, tmp_path: Path) -> None:
    grow = 1 / 60 if dtype == "uint8" else 3.0
    scaling = Scaling(torch.tensor([0.2, 0.5, 0.4]), torch.tensor([1.0, 1.5, 0.7]) * grow)
    layers = ["conv 3 3x3 relu padding=same", *END]
    check(form, *network_of(layers, (6, 7, 3), dtype=dtype, scaling=scaling), tmp_path, 40)
    none = Scaling(torch.zeros(3), torch.ones(3))
    layers = ["batchnorm", "conv 3 3x3 relu", *END]
    check(form, *network_of(layers, (6, 7, 3), dtype=dtype, scaling=none), tmp_path, 40)


@pytest.mark.parametrize("form", FORMATS)
def test_maxima_with_pixels_of_padding(form: str, tmp_path: Path) -> None:
    made = network_of(["conv 4 3x3", "maxpool 3 stride=2 padding=1", *END], (13, 12, 2))
    if form == "keras":
        with pytest.raises(SpecError, match=r"maxpool1 .* Keras only with zeros"):
            check(form, *made, tmp_path, 40)
    else:
        check(form, *made, tmp_path, 40)


def shipped() -> dict[str, tuple[list[Any], int]]:
    """Every network of the shipped studies once, whatever its dropout rates, with its FLOPs an image."""
    found: dict[str, tuple[list[Any], int]] = {}
    seen: set[str] = set()
    for name, path in api.shipped().items():
        for arm in read_study(path).expand():
            if arm.base is not None:
                continue
            lines = [line for line in arm.layers if "dropout" not in str(line)]
            if str(lines) not in seen:
                seen.add(str(lines))
                summary = build_summary(arm.layers)
                found[f"{name} {arm.name}"] = (list(arm.layers), summary)
    return found


def build_summary(lines: Sequence[Any]) -> int:
    from assay.nets import summarize

    return summarize(parse(lines), (28, 28, 1), 10).flops


SHIPPED = shipped()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_leaves_as_onnx(name: str, tmp_path: Path) -> None:
    lines, flops = SHIPPED[name]
    check("onnx", *network_of(lines, (28, 28, 1)), tmp_path, max(2, min(1000, 500_000_000 // flops)))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_leaves_in_every_format(name: str, form: str, tmp_path: Path) -> None:
    lines, flops = SHIPPED[name]
    check(form, *network_of(lines, (28, 28, 1)), tmp_path, 1000 if flops < 100_000_000 else 50)


def test_a_keras_file_needs_keras_alone(tmp_path: Path) -> None:
    """In a Python that cannot import us, with blocks and scaling inside."""
    pytest.importorskip("keras")
    network, predictor = network_of(["conv 4 2x2", RESIDUAL, *END], (12, 11, 2))
    write_keras(network, tmp_path / "model.keras")
    images = images_of(20, network.shape)
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys; sys.modules['assay'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "np.save('found.npy', model.predict(np.load('images.npy'), verbose=0))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True, env={**environment, "KERAS_BACKEND": "torch"}, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), predictor.probabilities(images), atol=1e-4)
