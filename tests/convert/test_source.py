"""What `assay convert` reads of code without running it: what is literal, and a sentence for anything else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from assay.api import convert
from assay.convert.notebook import code_cells
from assay.errors import DataError, InputError, SpecError
from assay.spec import read_study
from assay.spec.files import study_toml

HEAD = """
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.layers import Conv2D, Dense, Flatten
from tensorflow.keras.models import Sequential
(x, y), (xt, yt) = keras.datasets.mnist.load_data()
"""
MODEL = (
    "model = Sequential([keras.Input((28, 28, 1)), Conv2D(4, 3, activation='relu'), Flatten(), Dense(10, 'softmax')])\n"
)
COMPILE = "model.compile('adam', 'sparse_categorical_crossentropy')\n"
FIT = "model.fit(x, y, epochs=3, batch_size=64, validation_split=0.25)\n"
SCALED = "x = x[..., None] / 255\n"


def converted(code: str, folder: Path) -> Any:
    (folder / "train.py").write_text(code)
    return convert(folder / "train.py")


def problems(code: str, folder: Path) -> str:
    with pytest.raises(SpecError) as caught:
        converted(code, folder)
    message = str(caught.value)
    assert f"assay convert --run {folder / 'train.py'}" in message
    return message


def test_literal_code_becomes_a_study(tmp_path: Path) -> None:
    code = """
import tensorflow as tf
from tensorflow.keras import layers, regularizers as reg
data = tf.keras.datasets.fashion_mnist
(x_train, y_train), (x_test, y_test) = data.load_data()
x_train, x_test = x_train.astype("float32") / 255.0, x_test / 255.0
x_train = np.expand_dims(x_train, -1)
y_train = tf.keras.utils.to_categorical(y_train, 10)
width, rate = 4 * 4, 0.3
shape = (28, 28, 1)
print(x_train.shape, width)
net = tf.keras.models.Sequential(name="small")
net.add(layers.RandomFlip("horizontal", input_shape=shape))
net.add(layers.Conv2D(width, (3, 3), activation=tf.nn.relu, kernel_regularizer=reg.l2(0.01), name="first"))
width = 32
net.add(layers.Dropout(rate=rate))
net.add(layers.Flatten())
net.add(layers.Dense(width // 2, kernel_initializer="he_normal"))
net.add(layers.Dense(10))
net.summary()
opt = tf.keras.optimizers.SGD(0.1, momentum=0.9)
net.compile(optimizer=opt, loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            metrics=["accuracy"])
history = net.fit(x_train, y_train, batch_size=50, epochs=7, validation_data=(x_test, y_test), verbose=2)
net.save("net.keras")
"""
    code = code.replace("import tensorflow as tf\n", "import numpy as np\nimport tensorflow as tf\n", 1)
    conversion = converted(code, tmp_path)
    assert list(conversion.models[0].lines) == [
        "conv 16 3x3 relu l2=0.01", "dropout 0.3", "flatten", "dense 16", "dense classes softmax",
    ]  # fmt: skip
    study = conversion.study
    training = study.expand()[0].training
    assert (training.epochs, training.batch_size, training.label_smoothing) == (7, 50, 0.1)
    assert (training.optimizer.name, training.optimizer.learning_rate, training.optimizer.momentum) == ("sgd", 0.1, 0.9)
    assert training.augmentation is not None
    assert training.augmentation.flip == "horizontal"
    assert study.data.name == "fashion_mnist"
    notes = "\n".join(conversion.notes)
    assert "validates on the data set's test images" in notes
    assert "begin as he_normal" in notes
    (tmp_path / "study.toml").write_text(study_toml(study))
    assert read_study(tmp_path / "study.toml").expand() == study.expand()


def test_keras_defaults_stand_where_nothing_is_said(tmp_path: Path) -> None:
    code = HEAD + MODEL + "model.compile(loss='sparse_categorical_crossentropy')\nmodel.fit(x, y)\n"
    conversion = converted(code, tmp_path)
    training = conversion.study.expand()[0].training
    assert (training.epochs, training.batch_size, training.optimizer.name) == (1, 32, "rmsprop")
    assert conversion.study.data.scaling == "none"  # the file never divides by 255
    assert converted(HEAD + MODEL + "model.compile('adamw', 'mse')\n" + FIT, tmp_path).study.expand()[
        0
    ].training.optimizer.weight_decay == pytest.approx(0.004)


PLAIN_DATA = [
    "x = x / 255.0\nx = x.reshape(-1, 28, 28, 1)\n",
    "x = x.reshape((x.shape[0], 28, 28, 1)).astype('float32')\nx /= 255\n",
    "x = x.reshape(60000, 784) / 255\n",
    "x = np.expand_dims(x.astype(np.float32) / 255.0, axis=-1)\n",
    "x, xt = x / 255, xt / 255\n",
    "train = x\nx = train * (1 / 255)\n",
]


@pytest.mark.parametrize("code", PLAIN_DATA)
def test_plain_scaling_is_read(code: str, tmp_path: Path) -> None:
    model = MODEL if "784" not in code else "model = Sequential([Dense(10, 'softmax', input_shape=(784,))])\n"
    assert converted(HEAD + code + model + COMPILE + FIT, tmp_path).study.data.scaling == "unit"


UNSEEN_DATA = {
    "(x - 127.5) / 127.5": "x = (x - 127.5) / 127.5\n",
    "another divisor": "x = x / 256\n",
    "twice": "x = x / 255\nx = x / 255\n",
    "a part": "x = x[:5000]\ny = y[:5000]\n",
    "in place": "x[x < 10] = 0\n",
    "shuffled": "np.random.shuffle(x)\n",
    "a function": "x = prepare(x)\n",
    "a function that changes it": "prepare(x)\n",
    "a function of the file": "def prepare():\n    x[:] = 0\nprepare()\n",
    "sorted": "x.sort()\n",
    "another shape": "x = x.reshape(-1, 14, 56, 1)\n",
    "a loop": "for k in range(2):\n    x = x / 255\n",
    "a condition": "if big:\n    x = x / 255\n",
    "labels changed": "y = y % 2\n",
    "the test part": "x, y = xt, yt\n",
    "labels of another part": "y = yt\n",
    "rounded": "x = x / 255\nx = x.astype('uint8')\n",
    "walrus": "print(x := x / 2)\n",
    "deleted": "del x\n",
    "an import": "from other import x\n",
    "out": "np.divide(x, 2, out=x)\n",
    "another name for it": "other = x\nother[0] = 0\n",
    "another name, scaled in place": "x = x.astype('float32')\nother = x\nother /= 255\n",
    "text that runs": "exec('x[:] = 0')\n",
    "a star": "from helpers import *\n",
}


@pytest.mark.parametrize("case", UNSEEN_DATA)
def test_data_that_only_running_would_give_are_refused(case: str, tmp_path: Path) -> None:
    message = problems(HEAD + UNSEEN_DATA[case] + MODEL + COMPILE + FIT, tmp_path)
    assert "fit gets" in message or "may change anything" in message or "any name may come" in message


UNSEEN = {
    "n = 32\nif big():\n  n = 64\n": "n (changed at train.py:10) is not literal",
    "n = 32\nfor _ in x:\n  n = n * 2\n": "n (changed",
    "n = 32\nwhile x:\n  n = 64\n": "n (changed",
    "n = 32\ntry:\n  n = 64\nexcept ValueError:\n  pass\n": "n (changed",
    "n = 32\nwith open(p) as n:\n  pass\n": "n (changed",
    "n = 32\nmatch x:\n  case [n]: pass\n": "n (changed",
    "n = 32\nn += 1\n": "n (changed",
    "n = 32\ndel n\n": "n (changed",
    "n = 32\nprint(n := 64)\n": "n (changed",
    "n = 32\nn, m = read()\n": "n (changed",
    "n = 32\ndef change():\n  global n\n  n = 64\nchange()\n": "n is not literal",
    "n = 32\nimport n\n": "n (changed",
    "n = 32\n[n for n in x]\n": "n (changed",
    "n = x.shape[1]\n": "n is not literal",
    "n = [3, 3]\nn.append(5)\n": "n (changed",
    "n = [3, 3]\nchange(n)\n": "n (changed",
    "n = 10 ** 10\n": "n is not literal",
    "n = [1]\n" + "n = [n, n]\n" * 60: "n (changed",
}


@pytest.mark.parametrize("code", UNSEEN)
def test_values_that_only_running_would_give_are_refused_with_their_line(code: str, tmp_path: Path) -> None:
    start = time.perf_counter()
    message = problems(f"{HEAD}{code}model = Sequential([Conv2D(n, 3), Flatten(), Dense(10, 'softmax')])\n", tmp_path)
    assert UNSEEN[code] in message
    assert f"train.py:{(HEAD + code).count(chr(10)) + 1}: " in message
    assert time.perf_counter() - start < 5


UNSEEN_MODELS = {
    "a condition": "if big:\n    model.add(Dense(3))\n",
    "a loop": "for k in (1, 2):\n    model.add(Dense(k))\n",
    "a comprehension": "[model.add(Dense(3)) for _ in x]\n",
    "pop": "model.pop()\n",
    "an attribute": "model.layers[0].trainable = False\n",
    "handed on": "change(model)\n",
    "another name": "other = model\nother.add(Dense(3))\n",
    "weights": "model.set_weights(w)\n",
    "assigned in a branch": "if big:\n    model = other\n",
    "with": "with strategy.scope():\n    model.add(Dense(3))\n",
    "a function": "def more():\n    model.add(Dense(3))\nmore()\n",
    "a policy": "keras.mixed_precision.set_global_policy('mixed_float16')\n",
    "compiled twice": "model.compile('sgd', 'mse')\n",
    "trained by hand": "model.train_on_batch(x, y)\n",
    "a shadowed class": "def Dense(n, a=None):\n    return 3\nmodel = Sequential([Dense(10, 'softmax')])\n",
    "a functional model": "other = keras.Model(a, b)\n",
    "a layer called": "z = Dense(3)(x)\n",
    "a class": "class Net(keras.Model):\n    pass\n",
    "a part of Keras": "layers.Dense = other\n",
    "a shadowed star": "from keras.layers import *\ndef ReLU():\n    return 3\n"
    "model = Sequential([Flatten(), ReLU(), Dense(10, 'softmax')])\n",
}


@pytest.mark.parametrize("case", UNSEEN_MODELS)
def test_models_that_only_running_would_give_are_refused(case: str, tmp_path: Path) -> None:
    problems(HEAD + SCALED + MODEL + UNSEEN_MODELS[case] + COMPILE + FIT, tmp_path)


SETTINGS = {
    "model.fit(x, y, callbacks=[stop])": "fit gets callbacks=[stop]",
    "model.fit(x, y, nb_epoch=3)": "fit gets nb_epoch=3",
    "model.fit(x, y, steps_per_epoch=100)": "fit gets steps_per_epoch=100",
    "model.fit(x, y, sample_weight=w)": "fit gets sample_weight=w",
    "model.fit(x, y, class_weight={0: 2.0})": "fit gets class_weight={0: 2.0}",
    "model.fit(x, y, shuffle=False)": "fit gets shuffle=False",
    "model.fit(x, y, epochs=n)": "fit gets n",
    "model.fit(x, y, **more)": "fit gets model.fit(x, y, **more)",
    "model.fit(*data)": "fit gets",
    "model.fit(x, y, validation_data=(a, b))": "fit gets (a, b)",
    "model.fit(x, y)\nmodel.fit(x, y)": "fitted twice",
    "model.fit(gen.flow(x, y))": "fit gets gen.flow(x, y)",
    "model.fit_generator(gen.flow(x, y))": "in a way that is not literal",
}


@pytest.mark.parametrize("code", SETTINGS)
def test_settings_of_fit_that_are_not_read_are_refused(code: str, tmp_path: Path) -> None:
    assert SETTINGS[code] in problems(f"{HEAD}{SCALED}{MODEL}{COMPILE}{code}\n", tmp_path)


COMPILED = {
    "model.compile(SGD(0.1))": "compile gets SGD(0.1)",
    "model.compile(keras.optimizers.SGD(rate))": "compile gets rate",
    "model.compile(keras.optimizers.SGD(0.1, 0.9))": "compile gets",
    "model.compile('adam', loss=my_loss)": "compile gets my_loss",
    "model.compile('adam', 'mse', sample_weight_mode='x')": "compile gets sample_weight_mode='x'",
    "model.compile(**settings)": "compile gets",
}


@pytest.mark.parametrize("code", COMPILED)
def test_settings_of_compile_that_are_not_read_are_refused(code: str, tmp_path: Path) -> None:
    assert COMPILED[code] in problems(f"{HEAD}{SCALED}{MODEL}{code}\n{FIT}", tmp_path)


LAYERS = {
    "Dense(units)": "units is not literal",
    "Dense(**settings)": "is not literal",
    "Mine()": "Mine() is not literal",
    "block": "block is not literal",
    "layers.Convolution2D(3, 3, 3)": "a stride today, and was the kernel's width in Keras 1",
    "Conv2D(3, 3, border_mode='same')": "border_mode is no setting of today's Keras",
    "Dense(3, trainable=False)": "is not literal",
    "Dense(3, dtype='float16')": "is not literal",
}


@pytest.mark.parametrize("call", LAYERS)
def test_layers_that_are_not_literal_are_refused(call: str, tmp_path: Path) -> None:
    assert LAYERS[call] in problems(f"{HEAD}model = Sequential([Flatten(), {call}, Dense(10, 'softmax')])\n", tmp_path)


WITHOUT_WORDS = {
    "layers.Attention()": "there are no words for this layer",
    "layers.Lambda(lambda x: x)": "holds code, which is never run",
    "Dense(3, activation='mish')": "its activation is 'mish'",
    "Conv2D(3, 3, strides=(1, 2))": "strides is 1 x 2",
    "layers.BatchNormalization(momentum=1.9)": "momentum is 1.9",
    "Conv2D(0, 3)": "filters is 0",
    "layers.RandomFlip()": "stands behind other layers",
}


@pytest.mark.parametrize("call", WITHOUT_WORDS)
def test_layers_without_words_get_a_sentence_with_their_line(call: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        converted(f"{HEAD}model = Sequential([Flatten(),\n  {call}, Dense(10, 'softmax')])\n", tmp_path)
    assert WITHOUT_WORDS[call] in str(caught.value)
    assert "train.py:10" in str(caught.value)


def test_every_trained_model_is_an_arm_and_others_are_named(tmp_path: Path) -> None:
    other = "wide = Sequential([keras.Input((28, 28, 1)), Flatten(), Dense(64), Dense(10, 'softmax')])\n"
    other += "wide.compile('sgd', 'sparse_categorical_crossentropy')\nwide.fit(x, y, epochs=9, validation_split=0.25)\n"
    wrapper = "probabilities = Sequential([model, layers.Softmax()])\n"
    conversion = converted(HEAD + SCALED + MODEL + COMPILE + FIT + other + wrapper, tmp_path)
    assert [arm.name for arm in conversion.study.expand()] == ["model", "wide"]
    assert [arm.training.epochs for arm in conversion.study.expand()] == [3, 9]
    assert [arm.training.optimizer.name for arm in conversion.study.expand()] == ["adam", "sgd"]
    assert any("probabilities is never trained, and is left out" in note for note in conversion.notes)


def test_a_notebook_names_cells_and_leaves_out_what_is_no_python(tmp_path: Path) -> None:
    sources = [HEAD, "%matplotlib inline\n" + SCALED + MODEL, "git push", "\n" + COMPILE + FIT]
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "source": ["# Title"]}]
    cells += [{"cell_type": "code", "outputs": [], "source": source.splitlines(keepends=True)} for source in sources]
    path = tmp_path / "my notebook.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    conversion = convert(path)
    notes = "\n".join(conversion.notes)
    assert "cell 3, line 1: the cell is no Python" in notes
    assert "%matplotlib inline (cell 2, line 1)" in notes
    assert conversion.study.data.name == "mnist"
    cells[-1]["source"] = COMPILE + "model.fit(x, y, epochs=n)\n"
    path.write_text(json.dumps({"cells": cells}))
    with pytest.raises(SpecError, match="cell 4, line 2: fit gets n"):
        convert(path)


def test_outputs_weigh_nothing(tmp_path: Path) -> None:
    path = tmp_path / "heavy.ipynb"
    picture = '"' + "iVBORw0KGgo\\n\\u00e9\\\\" * 1_000_000 + '"'
    lines = "[" + ", ".join(['"epoch 1 [=====] \\"{\\n"'] * 200_000) + "]"
    outputs = f'[{{"data": {{"image/png": {picture}, "n": [1, {{"a": null}}]}}}}, {{"text": {lines}}}]'
    cells = ", ".join(
        f'{{"outputs": {outputs}, "source": {json.dumps(source)}, "cell_type": "code", "execution_count": 3}}'
        for source in (HEAD + SCALED + MODEL, COMPILE + FIT)
    )
    path.write_text(f'{{"nbformat": 4, "cells": [{cells}], "metadata": {{"kernelspec": {{}}}}}}')
    assert path.stat().st_size > 50_000_000
    start = time.perf_counter()
    assert convert(path).study.data.name == "mnist"
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("sources", [["a = 1\n", "", "é \\u0041 \"'\n\t"], [["x\n", "y"], []]])
def test_cells_are_those_that_json_gives(sources: list[Any], tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "metadata": {"a": [{"b": "]}"}]}, "source": source} for source in sources]
    for indent in (None, 1):
        for plain in (False, True):
            text = json.dumps({"a": -1.5e3, "cells": cells, "b": {}}, indent=indent, ensure_ascii=plain)
            (tmp_path / "a.ipynb").write_text(text)
            assert code_cells(tmp_path / "a.ipynb") == ["".join(source) for source in sources]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", b"model = Sequential([", "it is no Python"),
        ("a.py", b"\xff\xfe\x00", "cannot be read|no Python"),
        ("a.py", b"x = " + b"(" * 5000 + b")" * 5000, "no Python|cannot be read"),
        ("a.py", b"x = " + b"-" * 50_000 + b"1", "no Python|cannot be read"),
        ("a.py", b"x = 1" + b" + 1" * 100_000, "no Python|cannot be read|no Sequential"),
        ("a.py", b"#" * (1 << 23), "bytes of code"),
        ("a.ipynb", b"", "it is no notebook"),
        ("a.ipynb", b"{}", "it is no notebook"),
        ("a.ipynb", b'{"cells": [3]}', "it is no notebook"),
        ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": "x"', "it is no notebook"),
        ("a.ipynb", b'{"cells": ' + b"[" * 500_000, "it is no notebook"),
        ("a.ipynb", b'{"cells": [{"source": ' + b"[" * 500_000 + b"]" * 500_000 + b"}]}", "it is no notebook"),
        ("a.ipynb", b'{"cells": [{"source": "' + b"x" * (1 << 24) + b'"}]}', "bytes of code"),
        ("a.onnx", b"", "a notebook"),
    ],
)
def test_files_that_are_no_code_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / name)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    for name in ("a.py", "a.ipynb", "a.h5"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError):
            convert(tmp_path / name)


def test_code_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    run = f"open({str(mark)!r}, 'w')"
    problems(f"{HEAD}{run}\nmodel = keras.Sequential([layers.Dense({run})])\n", tmp_path)
    assert not mark.exists()
