"""Every network of the five documents, written in Keras, comes back as the words that it was written from."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay.convert import Imported, from_keras, read_keras, read_source
from assay.errors import SpecError
from assay.export import Portable
from assay.export.keras_model import keras_model
from assay.nets import Conv, Dense, Dropout, Flatten, MaxPool, parse, summarize
from assay.nets.build import build
from assay.seeds import Streams
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, on saving

_FILE = Path(__file__).parent.parent / "nets" / "published.toml"
PUBLISHED = {
    network["key"]: network
    for network in tomllib.loads(_FILE.read_text())["network"]
    if "base_parameters" not in network  # a pretrained network stands before the layers
}
HEAD = """
from keras import Input, Sequential
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.regularizers import l2
"""


def call_of(layer: Any) -> str:
    """A layer as people write it in a notebook."""
    match layer:
        case Conv():
            penalty = f", kernel_regularizer=l2({layer.l2})" if layer.l2 else ""
            padding = f", padding='{layer.padding}'" if layer.padding != "valid" else ""
            return f"Conv2D({layer.filters}, {layer.kernel}, activation='{layer.activation}'{padding}{penalty})"
        case Dense():
            return f"Dense({layer.units}, activation='{layer.activation}')"
        case MaxPool():
            return f"MaxPooling2D({layer.size}, strides={layer.stride}, padding='{layer.padding}')"
        case Dropout():
            return f"Dropout({layer.rate})"
        case Flatten():
            return "Flatten()"
    return "BatchNormalization()"


def code_of(lines: list[str], style: str) -> str:
    calls = [call_of(layer) for layer in parse(lines)]
    if style == "list":
        return f"{HEAD}model = Sequential([Input((28, 28, 1)), {', '.join(calls)}])\n"
    added = "".join(f"model.add({call})\n" for call in calls)
    return f"{HEAD}model = Sequential()\nmodel.add(Input(shape=(28, 28, 1)))\n{added}"


def words(lines: Any) -> list[str]:
    """Published lines as they are written here: the last layer has as many units as there are classes."""
    return [line.replace("dense 10 softmax", "dense classes softmax") for line in lines]


@pytest.mark.parametrize("style", ["list", "add"])
@pytest.mark.parametrize("key", PUBLISHED)
def test_code_of_every_document_becomes_its_words(key: str, style: str, tmp_path: Path) -> None:
    published = PUBLISHED[key]
    path = tmp_path / "notebook.py"
    path.write_text(code_of(published["layers"], style))
    (draft,) = read_source(path)
    lines = draft.values["network"]["layers"]
    assert parse(lines) == parse(words(published["layers"]))
    summary = summarize(parse(lines), (28, 28, 1), 10)
    if "layer_parameters" in published:
        assert [row.parameters for row in summary.layers] == published["layer_parameters"]
    assert (summary.parameters, summary.trainable) == (published["parameters_total"], published["parameters_trainable"])


SMALL = [key for key, network in PUBLISHED.items() if network["parameters_total"] < 120_000]


@pytest.mark.parametrize("key", SMALL)
def test_models_of_the_documents_come_with_their_weights(key: str, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(code_of(PUBLISHED[key]["layers"], "list"), scope)
    model = scope["model"]
    check(model, tmp_path)
    assert parse(from_keras(model).network.layers) == parse(words(PUBLISHED[key]["layers"]))


def check(model: Any, folder: Path) -> None:
    """The same answers from memory and from a file, as many parameters."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "moving" in variable.path or "gamma" in variable.path or "beta" in variable.path:
            variable.assign(rng.uniform(0.2, 1.5, variable.shape))
    images = rng.uniform(size=(8, *model.input_shape[1:])).astype(np.float32)
    expected = model.predict(images, verbose=0)
    model.save(folder / "model.keras")
    for found in (assay.from_keras(model), assay.from_keras(folder / "model.keras")):
        assert found.summary().parameters == model.count_params()
        ours = torch.softmax(found.module()(torch.from_numpy(images).permute(0, 3, 1, 2)), 1)
        np.testing.assert_allclose(ours.detach().numpy(), expected, atol=1e-5)


WORDS = [
    *[
        "conv 4 3x2 padding=same stride=2 leakyrelu",
        "batchnorm epsilon=0.01 momentum=0.9",
        "relu6",
        "conv 4 3x3 groups=2 bias=false gelu dilation=2",
    ],
    *["depthwise 3x3 multiplier=2 silu", "layernorm", "separable 6 2x2 multiplier=2 elu", "groupnorm 3"],
    *["groupnorm 6", "avgpool 2 stride=1", "maxpool 2 padding=same", "spatialdropout 0.2", "tanh"],
    *["zeropad", "zeropad 2x0", "zeropad 0+1x3+2", "reshape -1x6x4"],
    *["prelu", "prelu per=channel slope=0.25", "prelu per=layer", "globalavgpool"],
    *["dense 7 sigmoid l1=0.1 l2=0.2", "dropout 0.3", "dense classes softmax"],
]


def test_every_layer_that_has_words_goes_there_and_back(tmp_path: Path) -> None:
    network = build(parse(WORDS), (24, 20, 3), 5, Streams(1))
    unit = Scaling(torch.zeros(3), torch.ones(3))
    layers = keras.layers
    alone = keras.Sequential([keras.Input((8, 8, 3)), layers.GroupNormalization(-1), layers.Flatten(), layers.Dense(2)])
    assert from_keras(alone).network.layers[0] in ("instancenorm", "groupnorm 3")  # Keras forgets which was meant
    model = keras_model(Portable.of(Predictor(network, unit), WORDS, "abcde", "float32"))
    assert parse(from_keras(model).network.layers) == parse(WORDS)
    check(model, tmp_path)
    model.save(tmp_path / "model.keras")
    back = read_keras(tmp_path / "model.keras")
    assert back.weights.keys() == from_keras(model).weights.keys() == network.state_dict().keys()


CALLS = {
    "Reshape((4, 16, 4))": "reshape 4x16x4",
    "Reshape(target_shape=[-1])": "reshape -1",
    "PReLU()": "prelu",
    "PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1, 2])": "prelu per=channel slope=0.25",
    "PReLU('zeros', shared_axes=(1, 2, 3))": "prelu per=layer",
    "ZeroPadding2D()": "zeropad",
    "ZeroPadding2D((1, 2), data_format='channels_last')": "zeropad 1x2",
    "ZeroPadding2D(padding=[[0, 1], [0, 1]])": "zeropad 0+1",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_layer_in_code_in_memory_and_in_a_file_is_the_same_word(call: str, tmp_path: Path) -> None:
    layers = f"Input((8, 8, 4)), {call}, Flatten(), Dense(3, 'softmax')"
    code = f"{HEAD}import keras\nfrom keras.layers import *\nmodel = Sequential([{layers}])\n"
    (tmp_path / "script.py").write_text(code)
    scope: dict[str, Any] = {}
    exec(code, scope)
    scope["model"].save(tmp_path / "model.keras")
    expected = (CALLS[call], "flatten", "dense classes softmax")
    assert tuple(read_source(tmp_path / "script.py")[0].values["network"]["layers"]) == expected
    assert from_keras(scope["model"]).network.layers == expected
    assert read_keras(tmp_path / "model.keras").network.layers == expected


def test_models_in_models_are_one(tmp_path: Path) -> None:
    layers = keras.layers
    first = keras.Sequential([layers.Conv2D(3, 3), layers.ReLU(), layers.Conv2D(2, 3)])
    second = keras.Sequential([layers.Conv2D(3, 2), layers.BatchNormalization(), layers.Flatten()])
    model = keras.Sequential([keras.Input((12, 12, 1)), first, second, layers.Dense(4), layers.Softmax()])
    check(model, tmp_path)
    assert list(from_keras(model).network.layers) == [
        *["conv 3 3x3", "activation relu", "conv 2 3x3", "conv 3 2x2", "batchnorm", "flatten"],
        "dense classes softmax",
    ]


def test_classes_are_counted_where_the_network_ends(tmp_path: Path) -> None:
    layers = keras.layers
    end = [layers.Dense(24), layers.Reshape((2, 3, 4)), layers.Conv2D(5, 2), layers.GlobalMaxPooling2D()]
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), *end, layers.Softmax()])
    check(model, tmp_path)
    assert from_keras(model).num_classes == 5


def test_an_exported_network_can_be_imported(tmp_path: Path) -> None:
    from assay.export import write_keras

    lines = ["conv 3 3x3 relu", "batchnorm", "flatten", "dense classes softmax"]
    predictor = Predictor(
        build(parse(lines), (8, 8, 1), 4, Streams(1)), Scaling(torch.zeros(1), torch.full((1,), 1 / 255))
    )
    write_keras(Portable.of(predictor, lines, "abcd"), tmp_path / "model.keras")
    found = assay.from_keras(str(tmp_path / "model.keras"))
    assert list(found.network.layers) == lines
    assert 'scaling = "unit"' in found.notes[0]
    for name, value in predictor.network.state_dict().items():
        np.testing.assert_array_equal(found.weights[name], value.numpy())


def test_models_of_ones_own_get_a_sentence() -> None:
    class Own(keras.layers.Layer):
        pass

    class Network(keras.Model):
        pass

    with pytest.raises(SpecError, match="Own is no layer of Keras's own"):
        from_keras(keras.Sequential([Own()]))
    with pytest.raises(SpecError, match="Network is a class of your own"):
        from_keras(Network())
    with pytest.raises(SpecError, match="got a dict"):
        from_keras({})


def test_a_model_without_an_input_shape_has_words_and_no_weights() -> None:
    found = from_keras(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]))
    assert isinstance(found, Imported)
    assert list(found.network.layers) == ["flatten", "dense classes softmax"]
    with pytest.raises(SpecError, match="does not say how large its images are"):
        found.module()
