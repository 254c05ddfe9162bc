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
from torch.nn.functional import interpolate

from assay import api
from assay.errors import SpecError
from assay.export import Portable, write_c, write_keras, write_onnx, write_onnx_int8, write_safetensors, write_torch
from assay.nets import parse, summary_of
from assay.nets.bases import DEFINITIONS, Blueprint, coding
from assay.nets.build import Network, build
from assay.nets.norms import BatchNorm
from assay.seeds import Streams
from assay.spec import Arm, read_study
from assay.train.predictor import Predictor
from assay.train.prepared import Prepared
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
    before = [line for lines in spec.get("base", {}).get("blocks", {}).values() for line in lines]
    told = about.get("preparation", {"size": shape[:2], "channels": range(shape[2])})
    seen = (*told["size"], len(told["channels"]))
    predictor = Predictor(build(parse([*before, *spec["layers"]]), seen, len(spec["classes"]), Streams(9)), scaling)
    rows, weights = predictor.network.summary.layers, load_file(path)
    names = dict(zip((step["name"] for step in spec["steps"]), (row.name for row in rows), strict=True))
    renamed = {f"{names[name.split('.')[0]]}.{name.split('.')[1]}": value for name, value in weights.items()}
    predictor.load_weights(renamed)

    def answer(images: NDArray[Any]) -> Any:
        values = torch.from_numpy(images).float().permute(0, 3, 1, 2)
        if tuple(told["size"]) != shape[:2]:
            smooth = told["interpolation"].endswith("antialiased")
            values = interpolate(values, tuple(told["size"]), mode="bilinear", antialias=smooth)
        return predictor.probabilities(values[:, list(told["channels"])].permute(0, 2, 3, 1).numpy())

    return answer, spec["classes"]


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
    channels, factor = shape[2], 1 / 255 if dtype == "uint8" else 1.0
    unit = Scaling(torch.zeros(channels), torch.full((channels,), factor))
    predictor = trained(build(parse(lines), shape, 10, Streams(3)), scaling or unit, images_of(8, shape, dtype))
    return Portable.of(predictor, lines, CLASSES, dtype), predictor


def network_on(
    base: dict[str, Any], shape: tuple[int, int, int], *, dtype: str = "uint8", head: Sequence[Any] | None = None
) -> tuple[Portable, Predictor]:
    """The same on a base with made-up weights."""
    lines = HEAD if head is None else head
    summary = summary_of(Arm(name="a", layers=lines, base=base), shape, 10)
    assert summary.base is not None
    predictor = trained(Network(summary, Streams(3)), Prepared(summary.base.preparation), images_of(8, shape, dtype))
    return Portable.of(predictor, lines, CLASSES, dtype), predictor


def trained(network: Network, scaling: Scaling, images: NDArray[Any]) -> Predictor:
    rng = np.random.default_rng(4)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not name.endswith("kernel"):
                values.copy_(torch.from_numpy(rng.uniform(0.2, 1.5, values.shape)))
            elif not values.any():  # init=zeros
                values.copy_(torch.from_numpy(rng.normal(0, 0.1, values.shape)))

    def settle(module: Any, inputs: tuple[torch.Tensor]) -> None:
        """Moving statistics near those of what comes in, so that no depth loses what tells images apart."""
        (values,) = inputs
        module.moving_mean.copy_(values.mean([0, 2, 3] if values.dim() == 4 else 0) + 0.1)
        module.moving_variance.copy_(values.var([0, 2, 3] if values.dim() == 4 else 0) + 0.05)

    hooks = [norm.register_forward_pre_hook(settle) for norm in network.modules() if isinstance(norm, BatchNorm)]
    predictor = Predictor(network, scaling)
    with torch.no_grad():  # probabilities between 0 and 1, where differences would show
        spread = network(scaling.apply(images, np.arange(len(images)))).std()
        for hook in hooks:
            hook.remove()
        last = next(row.name for row in reversed(network.summary.layers) if row.trainable)
        network.get_submodule(last).kernel.mul_(2 / spread)
    return predictor


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
            *[
                "conv 4 2x2 leakyrelu init=whitening fixed=true",
                "conv 6 4x4 gelu padding=same init=identity",
                "conv 6 5x2 silu padding=same stride=3",
            ],
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
    "zeros around": (
        (9, 8, 2),
        ["zeropad 0+1x2+1", "conv 4 3x3", "zeropad", "conv 4 3x3 stride=2 elu", "zeropad 2x0", *END],
    ),
    "other shapes": (
        (9, 8, 2),
        [
            *["reshape 8x6x3", "conv 4 3x3 relu", "reshape 96", "dense 36", "reshape 3x-1x4", "relu", "conv 5 2x2"],
            *["maxpool 2 stride=1", "reshape -1", "dense classes softmax"],
        ],
    ),
    "learned slopes": (
        (9, 8, 2),
        [
            *["conv 4 3x3", "prelu", "conv 4 3x3", "prelu per=channel slope=0.25", "conv 4 2x2", "prelu per=layer"],
            *["flatten", "dense 9", "prelu", "dense 8", "prelu per=layer", "dense classes softmax"],
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


@pytest.mark.parametrize("name", ["convolutions", "zeros around", "other shapes", "learned slopes"])
def test_a_network_in_eight_bits_answers_nearly_the_same(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    shape, layers = WORDS[name]
    network, predictor = network_of(layers, shape)
    images, path = images_of(60, shape), tmp_path / "model.onnx"
    write_onnx_int8(network, path, images)
    answers = runtime.InferenceSession(path).run(None, {"images": images})[0]
    np.testing.assert_allclose(answers, predictor.probabilities(images), atol=0.2)


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
    maxima = ["maxpool 3 stride=2 padding=1", "maxpool 5 stride=2 padding=1", "maxpool 3 stride=1 padding=1"]
    check(form, *network_of(["conv 4 3x3", *maxima, *END], (29, 32, 2)), tmp_path, 40)
    even = network_of(["conv 4 3x3", "maxpool 2 padding=1", *END], (13, 12, 2))
    if form == "keras":
        with pytest.raises(SpecError, match=r"maxpool1 .* Keras only with zeros"):
            check(form, *even, tmp_path, 40)
    else:
        check(form, *even, tmp_path, 40)


HEAD = ["flatten", "dropout 0.2", "dense 7 relu", "dense classes softmax"]
GREY, COLOUR = (14, 11, 1), (12, 13, 3)


def run_of(coded: str, size: tuple[int, int], channels: int) -> dict[str, Any]:
    """A run's network as a base, as it is written in when the run is looked up."""
    blocks = (("block1", ("conv 4 3x3 relu", "batchnorm")), ("block2", ("conv 6 3x3 tanh",)))
    network = Blueprint("run 1234", blocks, channels, coding(coded, channels), size).record()
    return {"weights": "run:1234", "network": network}


def named(name: str, until: str, size: int | tuple[int, int] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "weights": "random", "until": until, **({"size": size} if size else {}), **more}


# Each family cut early, each preparation and each direction of resizing once.
BASES: dict[str, tuple[dict[str, Any], tuple[int, int, int], str]] = {
    "vgg16 enlarged": (named("vgg16", "block1", 17), GREY, "uint8"),
    "vgg19 in colours": (named("vgg19", "block1"), COLOUR, "uint8"),
    "squeezenet enlarged": (named("squeezenet", "block2", (31, 28), train="all"), GREY, "uint8"),
    "resnet18 enlarged": (named("resnet18", "block2", 22, train="last 1 block"), GREY, "uint8"),
    "mobilenetv2 in shares": (named("mobilenetv2", "block2", 18, statistics="moving", train="all"), GREY, "float32"),
    "vgg16 shrunk": (named("vgg16", "block1", 9), (21, 16, 1), "uint8"),
    "squeezenet shrunk and enlarged": (named("squeezenet", "block1", (13, 18)), (20, 12, 3), "float32"),
    "raw bytes": (named("vgg16", "block1", preprocessing="none"), GREY, "uint8"),
    "a run": (run_of("unit", GREY[:2], 1), GREY, "uint8"),
    "a run of another size": (run_of("none", (9, 15), 3) | {"size": (9, 15), "train": "all"}, GREY, "uint8"),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", BASES)
def test_a_base_leaves_with_its_preparation(form: str, name: str, tmp_path: Path) -> None:
    base, shape, dtype = BASES[name]
    check(form, *network_on(base, shape, dtype=dtype), tmp_path, 20)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_whole_base_leaves_in_every_format(form: str, name: str, tmp_path: Path) -> None:
    base = {"name": name, "weights": "random", "size": 48, "train": "last 1 block"}
    check(form, *network_on(base, (28, 28, 1), head=["globalavgpool", *HEAD[1:]]), tmp_path, 100)


def test_what_is_frozen_here_is_frozen_in_keras(tmp_path: Path) -> None:
    """So that training goes on with the layers that trained, and never changes how images are prepared."""
    keras = pytest.importorskip("keras")
    network, _ = network_on(named("resnet18", "block2", 22, train="last 1 block"), GREY)
    write_keras(network, tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert trainable == {row.name for row in network.summary.layers if row.trainable}
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == network.summary.trainable
    before = model.predict(images_of(8, GREY), verbose=0)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.fit(images_of(8, GREY), np.arange(8), verbose=0)
    assert np.abs(model.predict(images_of(8, GREY), verbose=0) - before).max() > 1e-3
    kept = {layer.name: layer.get_weights() for layer in model.layers if layer.name not in trainable}
    for name in ("resize_rows", "resize_columns", "channels"):
        np.testing.assert_array_equal(np.sum(kept[name][0], axis=0), pytest.approx(1))
    np.testing.assert_array_equal(kept["base_conv1"][0], network.weights["base_conv1.kernel"].transpose(2, 3, 1, 0))


def test_in_eight_bits_images_are_still_prepared_in_float32(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network, predictor = network_on(named("squeezenet", "block2", (31, 28)), GREY)
    images, path = images_of(60, GREY), tmp_path / "model.onnx"
    write_onnx_int8(network, path, images)
    graph = onnx.load(path).graph
    products = {node.output[0]: node for node in graph.node if node.op_type == "MatMul" and "resized" in node.name}
    assert len(products) == 2
    quantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    assert not quantized & {name for node in products.values() for name in node.input}
    assert any(quantized & set(node.input) for node in graph.node if node.op_type == "Conv")
    found = runtime.InferenceSession(path).run(None, {"images": images})[0]
    np.testing.assert_allclose(found, predictor.probabilities(images), atol=0.2)


def test_a_c_header_has_no_base(tmp_path: Path) -> None:
    network, _ = network_on(run_of("unit", GREY[:2], 1), GREY)
    with pytest.raises(SpecError, match=r"stands on run 1234, and a C header has no code that prepares images"):
        write_c(network, tmp_path / "model.h", images_of(8, GREY), "a title")
    assert not list(tmp_path.iterdir())


def shipped() -> dict[str, tuple[list[Any], tuple[int, int, int], int]]:
    """Every network of the shipped studies once, whatever its dropout rates, with an image's shape and its FLOPs."""
    found: dict[str, tuple[list[Any], tuple[int, int, int], int]] = {}
    seen: set[str] = set()
    for name, path in api.shipped().items():
        study = read_study(path)
        shape = (32, 32, 3) if study.data.name == "cifar10" else (28, 28, 1)
        for arm in study.expand():
            if arm.base is not None:
                continue
            lines = [line for line in arm.layers if "dropout" not in str(line)]
            if str(lines) not in seen:
                seen.add(str(lines))
                found[f"{name} {arm.name}"] = (list(arm.layers), shape, flops_of(arm.layers, shape))
    return found


def flops_of(lines: Sequence[Any], shape: tuple[int, int, int]) -> int:
    from assay.nets import summarize

    return summarize(parse(lines), shape, 10).flops


SHIPPED = shipped()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_leaves_as_onnx(name: str, tmp_path: Path) -> None:
    lines, shape, flops = SHIPPED[name]
    check("onnx", *network_of(lines, shape), tmp_path, max(2, min(1000, 500_000_000 // flops)))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_leaves_in_every_format(name: str, form: str, tmp_path: Path) -> None:
    lines, shape, flops = SHIPPED[name]
    check(form, *network_of(lines, shape), tmp_path, 1000 if flops < 100_000_000 else 50)


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
