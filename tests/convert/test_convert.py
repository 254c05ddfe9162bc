"""Every network of the five documents, written in Keras, comes back as the words that it was written from."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay.convert import Imported, from_keras, read_keras, read_source
from assay.errors import DataError, SpecError
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
    (model,) = read_source(path).models
    assert parse(model.converted.lines) == parse(words(published["layers"]))
    summary = summarize(parse(model.converted.lines), (28, 28, 1), 10)
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
    assert read_source(tmp_path / "script.py").models[0].converted.lines == expected
    assert from_keras(scope["model"]).network.layers == expected
    assert read_keras(tmp_path / "model.keras").network.layers == expected


def test_models_in_models_are_one(tmp_path: Path) -> None:
    layers = keras.layers
    first = keras.Sequential([layers.Conv2D(3, 3), layers.ReLU(), layers.Conv2D(2, 3)])
    second = keras.Sequential([layers.Conv2D(3, 2), layers.BatchNormalization(), layers.Flatten()])
    model = keras.Sequential([keras.Input((12, 12, 1)), first, second, layers.Dense(4), layers.Softmax()])
    check(model, tmp_path)
    assert list(from_keras(model).network.layers) == [
        *["conv 3 3x3", "activation relu", "conv 2 3x3", "conv 3 2x2", "batchnorm", "flatten", "dense classes"],
        "activation softmax",
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


CODE = """
import tensorflow as tf
from tensorflow.keras import layers, regularizers as reg
from tensorflow.keras.layers import Dense as D
%matplotlib inline
!pip install tensorflow
(x, y), _ = tf.keras.datasets.fashion_mnist.load_data()
classes, shape = 10, (28, 28, 1)
width = 4 * 4
stack = [layers.Flatten(input_shape=shape), D(width // 2, activation=tf.nn.relu), D(classes, 'softmax')]
one = tf.keras.models.Sequential(stack)
def make(rate=0.5):
    two = tf.keras.Sequential()
    two.add(layers.Conv2D(width, shape[2] + 2, input_shape=shape, kernel_regularizer=reg.l1_l2(0.1, l2=0.2)))
    two.add(layers.LeakyReLU(alpha=0.2))
    two.add(layers.GlobalAveragePooling2D())
    two.add(layers.Dropout(rate))
    two.add(D(classes, kernel_initializer="he_normal"))
    two.compile(optimizer=tf.keras.optimizers.SGD(learning_rate=0.1), loss="x")
    two.fit(x, y, epochs=3)
    return two
"""


@pytest.mark.parametrize("suffix", [".ipynb", ".py"])
def test_a_notebook_becomes_a_study(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"my notebook{suffix}"
    lines = CODE.splitlines(keepends=True)
    if suffix == ".ipynb":
        cells = [
            {"cell_type": "markdown", "source": ["model.add(Dense("]},
            {"cell_type": "code", "source": lines[:8]},
            {"cell_type": "code", "source": "%%bash\nls model.add("},
            {"cell_type": "code", "source": "".join(lines[8:])},
        ]
        path.write_text(json.dumps({"cells": cells}))
    else:
        path.write_text("".join(line for line in lines if line[0] not in "%!"))
    from assay.api import convert

    found = convert(path)
    assert [model.name for model in found.models] == ["one", "two"]
    assert list(found.models[0].lines) == ["flatten", "dense 8 relu", "dense classes softmax"]
    assert list(found.models[1].lines) == [
        *["conv 16 3x3 l1=0.1 l2=0.2", "activation leakyrelu", "globalavgpool", "dropout 0.5", "dense classes softmax"]
    ]
    assert found.models[0].parameters == 784 * 8 + 8 + 90
    study = found.study
    assert study.data.name == "fashion_mnist"
    assert [arm.name for arm in study.expand()] == ["one", "two"]
    training = study.expand()[0].training
    assert (training.epochs, training.batch_size, training.optimizer.name) == (3, 32, "sgd")
    assert training.optimizer.learning_rate == 0.1
    assert any("logits" in note for note in found.notes)
    assert any("he_normal" in note for note in found.notes)
    from assay.spec import read_study
    from assay.spec.files import study_toml

    (tmp_path / "study.toml").write_text(study_toml(study))
    assert read_study(tmp_path / "study.toml").expand() == study.expand()


BAD_CODE = {
    "Sequential([Flatten(), Dense(units, activation='softmax')])": "units is units, which cannot be evaluated",
    "Sequential([Flatten(), Dense(get(), activation='softmax')])": "units is get",
    "Sequential([Flatten(), Attention(), Dense(3, activation='softmax')])": "no words for this layer",
    "Sequential([Lambda(lambda x: x), Dense(3, activation='softmax')])": "holds code, which is never run",
    "Sequential([Dense(3, activation='mish')])": "its activation is 'mish'",
    "Sequential([Conv2D(3, 3, strides=(1, 2)), Flatten(), Dense(3, 'softmax')])": "strides is 1 x 2",
    "Sequential([BatchNormalization(momentum=1.9), Dense(3, 'softmax')])": "momentum is 1.9",
    "Sequential([LeakyReLU(), Dense(3, 'softmax')])": "its slope is 0.3",
    "Sequential([Flatten(), Dense(1, 'sigmoid')])": "ends in one sigmoid unit",
    "Sequential([Flatten()])": "it ends in flatten",
    "Sequential([Dense(**settings)])": "come from a dictionary",
    "Sequential(make_layers())": "no words for this layer",
    "Sequential([RandomFlip(), Dense(3, 'softmax')])": "augmentation stands under",
    "Sequential([Conv2D(3, 3, data_format='channels_first'), Dense(3, 'softmax')])": "data_format",
    "Sequential([Conv2D(0, 3), Dense(3, 'softmax')])": "filters is 0",
    "Sequential([Dropout(1.5), Dense(3, 'softmax')])": "rate is 1.5",
    "Sequential([Mine(), Dense(3, 'softmax')])": "the file's own",
    "Sequential()\nfor k in range(count):\n    model.add(Dense(k))": "added in a loop",
    "Model(inputs, outputs)": "there is no Sequential model",
    "Sequential([Dense(10 ** 10 ** 10, 'softmax')])": "cannot be evaluated",
    "Sequential([Dense('x' * 10 ** 9, 'softmax')])": "cannot be evaluated",
}


UNSURE = {
    "n = 32\nif big():\n  n = 64\nelse:\n  n = 16\n": "filters is n",
    "n = 32\nfor x in data:\n  n = n * 2\n": "filters is n",
    "n = 32\nwhile x:\n  n = 64\n": "filters is n",
    "n = 32\ntry:\n  n = 64\nexcept ValueError:\n  pass\n": "filters is n",
    "n = 32\nwith open(p) as n:\n  pass\n": "filters is n",
    "n = 32\nmatch x:\n  case [n]: pass\n": "filters is n",
    "n = 32\nn += other\n": "filters is n",
    "n = 32\ndel n\n": "filters is n",
    "n = 32\nprint(n := 64)\n": "filters is n",
    "n = 32\nn, m = read()\n": "filters is n",
    "n = 32\ndef change():\n  global n\n  n = 64\nchange()\n": "filters is n",
    "n = [32]\nn[0] = 64\nn = n[0]\n": "filters is n",
    "def n(): pass\nn = 5\nimport n\n": "filters is n",
}


@pytest.mark.parametrize("code", UNSURE)
def test_a_value_that_depends_on_what_runs_is_told_with_its_line(code: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(f"{code}model = Sequential([Conv2D(n, 3), Flatten(), Dense(3, 'softmax')])\n")
    with pytest.raises(SpecError) as caught:
        read_source(path)
    assert f"{UNSURE[code]}, which cannot be evaluated" in str(caught.value)
    assert caught.value.problems[0].line == code.count("\n") + 1


END = "Flatten(), Dense(3, 'softmax')"
UNSURE_LAYERS = {
    "m = Sequential()\nif x:\n  m.add(Flatten())\nm.add(Dense(3, 'softmax'))\n": (3, "added under a condition"),
    f"def Dense(n):\n  return 3\nm = Sequential([{END}])": (3, "this function is the file's own"),
    f"Dense = partial(Dense, use_bias=False)\nm = Sequential([{END}])": (2, "the file's own"),
    f"o.m = Sequential([{END}])\no.m.add(Dense(3))": (2, "which model o.m is"),
    "m = Sequential([Flatten()])\nwhile x:\n  m.add(Dense(3))\nm.add(Dense(3, 'softmax'))": (3, "added in a loop"),
    "if x:\n  m = Sequential([Flatten()])\nelse:\n  m = Sequential([Dropout(0.5), Flatten()])\nm.add(Dense(3))": (
        5,
        "added to one model or another",
    ),
    f"stack = [{END}]\nif x:\n  stack.append(Dense(3))\nm = Sequential(stack)": (4, '"stack" is no layer'),
    f"def build(n):\n  return Sequential([Conv2D(n, 3), {END}])\nbuild(read())": (2, "filters is n"),
    f"def build(n=3):\n  return Sequential([Conv2D(n, 3), {END}])\nbuild(**settings)": (2, "filters is n"),
    f"def build(n=3):\n  return Sequential([Conv2D(n, 3), {END}])\n[build(n) for n in x]": (2, "filters is n"),
    "def build():\n  m = Sequential([Flatten()])\n  if x:\n    return m\n  m.add(Dense(3))\n  return m\nbuild()": (
        5,
        "added behind a condition",
    ),
    f"m = Sequential([{END}])\n[m.add(Dense(3)) for _ in x]": (2, "added in a loop"),
    f"def build(n):\n  build(n)\n  return Sequential([Conv2D(n, 3), {END}])\nbuild(8)": (2, "what build(...) makes"),
}


@pytest.mark.parametrize("code", UNSURE_LAYERS)
def test_layers_that_depend_on_what_runs_are_told_with_their_line(code: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(code)
    with pytest.raises(SpecError) as caught:
        read_source(path)
    line, told = UNSURE_LAYERS[code]
    assert (line, True) in [(problem.line, told in str(problem)) for problem in caught.value.problems]


def net(n: str) -> str:
    return f"Sequential([Conv2D({n}, 3), {END}])"


BUILD = f"def build(n=32, rate=0.5):\n  model = Sequential([Conv2D(n, 3), {END}])\n  return model\n"
KNOWN = {
    f"n = 5\nn += 3\na = {net('n')}": {"a": [8]},
    f"n = 8\na = {net('n')}\nn = 64\nb = {net('n')}": {"a": [8], "b": [64]},
    f"BIG = True\nif BIG:\n  n = 8\nelse:\n  n = 9\na = {net('n')}": {"a": [8]},
    f"n, m = 8, 9\nn, m = m, n\na = {net('n')}": {"a": [9]},
    f"if x:\n  n = 8\n  a = {net('n')}\nelse:\n  n = 9\n  b = {net('n')}": {"a": [8], "b": [9]},
    "n = 8\nif x:\n  raise ValueError\na = Sequential()\na.add(Conv2D(n, 3))\nfor part in [1]:\n  a.add(Flatten())\n"
    "a.add(Dense(3, 'softmax'))": {"a": [8]},
    f"C, n = keras.layers.Conv2D, 8\na = Sequential([C(n, 3), {END}])": {"a": [8]},
    f"{BUILD}small = build(8)\nlarge = build(n=64)": {"small": [8], "large": [64]},
    f"{BUILD}build(8).summary()\nbuild()": {"model": [8], "model-2": [32]},
    f"{BUILD}for n in (8, 64):\n  a = build(n)": {"a": [8], "a-2": [64]},
    f"{BUILD}for fold in range(5):\n  a = build(8)": {"a": [8]},
    f"{BUILD}models = [build(8), build(64)]": {"model": [8], "model-2": [64]},
    f"{BUILD}use(build)": {"model": [32]},
    f"def main():\n  a = build(8)\n{BUILD}if __name__ == '__main__':\n  main()": {"a": [8]},
    f"build = lambda n: {net('n')}\na = build(8)": {"a": [8]},
    "a = Sequential()\nfor n in [4, 5]:\n  a.add(Conv2D(n, 3))\na.add(Flatten())\na.add(Dense(3, 'softmax'))": {
        "a": [4, 5]
    },
    "a = Sequential()\nn = 4\nfor _ in range(3):\n  a.add(Conv2D(n, 3))\n  n *= 2\n"
    "a.add(Flatten())\na.add(Dense(3, 'softmax'))": {"a": [4, 8, 16]},
    "def block(net, n):\n  net.add(Conv2D(n, 3))\na = Sequential()\nblock(a, 8)\nblock(a, n=9)\n"
    "a.add(Flatten())\na.add(Dense(3, 'softmax'))": {"a": [8, 9]},
    "stack = []\nstack.append(Conv2D(8, 3))\nstack += [Flatten()]\nstack.extend([Dense(3, 'softmax')])\n"
    "a = Sequential(stack)": {"a": [8]},
}


@pytest.mark.parametrize("code", KNOWN)
def test_values_are_those_of_their_place(code: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(code)
    found = {
        model.name: [layer.filters for layer in parse(model.converted.lines) if isinstance(layer, Conv)]
        for model in read_source(path).models
    }
    assert found == KNOWN[code]


def test_training_of_models_that_functions_make_is_read(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    train = "def train(m, epochs):\n  m.compile(SGD(0.1))\n  m.fit(x, y, epochs=epochs, batch_size=size)\n"
    path.write_text(f"{BUILD}{train}train(build(8), 3)\nb = build(64)\nb.compile('adam')\nb.fit(x, y, epochs=9)\n")
    found = read_source(path)
    assert found.training == {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "epochs": 3, "batch_size": 32}
    told = " ".join(found.notes)
    assert "epochs is 3 in line 6 and 9 in line 10" in told
    assert "and adam in line 9" in told
    path.write_text(f"a = {net('8')}\na.compile(SGD(0.1, momentum=0.9, clipnorm=1.0))\n")
    found = read_source(path)
    assert found.training == {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}}
    assert found.notes == ["The optimizer's clipnorm (line 2) is not taken over."]
    assert "batch_size is size in line 6, which cannot be evaluated" in told


def test_what_training_leaves_unsaid_is_keras_default(tmp_path):
    path = tmp_path / "a.py"
    net = "Sequential([Flatten(input_shape=(28, 28)), Dense(10, activation='softmax')])"
    path.write_text(f"a = {net}\na.compile(loss='sparse_categorical_crossentropy')\na.fit(x, y)\n")
    assert read_source(path).training == {"optimizer": "rmsprop", "epochs": 1, "batch_size": 32}
    for fit in ("x, y, **more", "*data"):
        path.write_text(f"a = {net}\na.compile(**settings)\na.fit({fit})\n")
        assert read_source(path).training == {}


def test_what_training_says_by_place_is_read(tmp_path):
    path = tmp_path / "a.py"
    net = "Sequential([Flatten(input_shape=(28, 28)), Dense(10, activation='softmax')])"
    path.write_text(f"a = {net}\na.compile('adam')\na.fit(x, y, 64, 20)\n")
    assert read_source(path).training == {"optimizer": "adam", "epochs": 20, "batch_size": 64}


@pytest.mark.parametrize("code", BAD_CODE)
def test_code_that_has_no_words_is_told_with_its_line(code: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(f"from keras.layers import *\nclass Mine(Layer): pass\nmodel = {code}\n")
    with pytest.raises(SpecError) as caught:
        read_source(path)
    told = str(caught.value)
    assert BAD_CODE[code] in told
    assert f"{path}:3" in told or f"{path}:5" in told or "no Sequential" in told or "ends in flatten" in told


def test_every_layer_without_words_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("model = Sequential([LSTM(3),\n Conv3D(2, 2),\n Dense(3, 'softmax')])\n")
    with pytest.raises(SpecError) as caught:
        read_source(path)
    assert [problem.line for problem in caught.value.problems] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.py", b"model = Sequential([", "it is no Python"),
        ("a.py", b"\xff\xfe\x00", "cannot be read|no Python"),
        ("a.py", b"x = " + b"(" * 5000 + b")" * 5000, "no Python|cannot be read"),
        ("a.py", b"x = " + b"-" * 50_000 + b"1", "no Python|cannot be read"),
        ("a.py", b"".join(b"def f%d(): f%d(), f%d()\n" % (k, k + 1, k + 1) for k in range(40)) + b"f0()", "cannot be"),
        ("a.ipynb", b"{}", "it is no notebook"),
        ("a.ipynb", b'{"cells": [3]}', "it is no notebook"),
        ("a.h5", b"", "a notebook"),
    ],
)
def test_files_that_are_no_code_are_refused(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    from assay.api import convert

    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        convert(tmp_path / name)


def test_code_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    mark = tmp_path / "ran"
    run = f"open({str(mark)!r}, 'w')"
    path.write_text(f"{run}\nimport keras\nmodel = keras.Sequential([keras.layers.Dense({run})])")
    with pytest.raises(SpecError, match="cannot be evaluated"):
        read_source(path)
    assert not mark.exists()


def test_models_that_are_not_sequential_get_a_sentence(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    functional = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    with pytest.raises(SpecError, match="got a Functional"):
        from_keras(functional)
    functional.save(tmp_path / "model.keras")
    with pytest.raises(SpecError, match="a 'Functional' model; only Sequential models are read"):
        read_keras(tmp_path / "model.keras")

    class Own(keras.layers.Layer):
        pass

    with pytest.raises(SpecError, match="Own is no layer of Keras's own"):
        from_keras(keras.Sequential([Own()]))
    with pytest.raises(SpecError, match="got a dict"):
        from_keras({})


def test_a_model_without_an_input_shape_has_words_and_no_weights() -> None:
    found = from_keras(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]))
    assert isinstance(found, Imported)
    assert list(found.network.layers) == ["flatten", "dense classes softmax"]
    with pytest.raises(SpecError, match="does not say how large its images are"):
        found.module()
