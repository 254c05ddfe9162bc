"""Scripts and notebooks that are run for what they build: their study, and what is named instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from assay.capturing import files, known
from assay.capturing.isolated import landlock
from assay.capturing.isolated.cells import names_changed
from assay.capturing.isolated.child import Outcome, run_file
from assay.capturing.isolated.guard import Guard
from assay.convert.code import read_code, without_commands
from assay.errors import DataError, SpecError
from assay.spec import Study
from assay.spec.files import read_study

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")
pytestmark = [pytest.mark.filterwarnings("ignore")]
HEAD = """
from sklearn.datasets import load_digits
data = load_digits()
x, y = data.images[..., None] / 16, data.target
"""
MODEL = """
model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
"""
TENSORFLOW = (
    f"import tensorflow as tf\nfrom tensorflow import keras\nfrom tensorflow.keras import layers\n{HEAD}{MODEL}"
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a script's text, or a notebook's cells, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(code: str | list[str]) -> Outcome:
        if isinstance(code, str):
            path = tmp_path / "train.py"
            path.write_text(code)
        else:
            path = tmp_path / "notebook.ipynb"
            cells = [{"cell_type": "code", "source": text} for text in code]
            path.write_text(json.dumps({"cells": cells}))
        return run_file(path, Guard(tmp_path))

    return run


def study_of(outcome: Outcome) -> dict[str, Any]:
    (draft,) = outcome.drafts
    assert draft.problems == ()
    return draft.values


def every_note(outcome: Outcome) -> str:
    notes = [*outcome.missing, *outcome.notes, *(note for draft in outcome.drafts for note in draft.notes)]
    return "\n".join(notes)


def test_fit_returns_at_once_and_the_file_goes_on(run: Any) -> None:
    code = """
history = model.fit(x, y, epochs=1000, validation_split=0.1)
best = max(history.history["val_accuracy"])
loss, accuracy = model.evaluate(x, y)
answers = model.predict(x).argmax(axis=1)
assert answers.shape == (1797,) and len(history.epoch) == 1000
model.save("model.h5")
"""
    outcome = run(TENSORFLOW + code)
    assert study_of(outcome)["training"]["epochs"] == 1000
    assert outcome.notes == []


def test_known_data_come_without_a_network(run: Any) -> None:
    code = """
import tensorflow as tf
(x, y), (xt, yt) = tf.keras.datasets.fashion_mnist.load_data()
x, xt = x.reshape(-1, 784).astype("float32") / 255, xt.reshape(-1, 784) / 255
y = tf.keras.utils.to_categorical(y)
model = tf.keras.models.Sequential()
model.add(tf.keras.layers.Dense(16, activation=tf.nn.relu, input_shape=(784,)))
model.add(tf.keras.layers.Dense(y.shape[1], activation="softmax"))
model.compile(tf.keras.optimizers.Adam(lr=0.01), "categorical_crossentropy")
model.fit(x[:50000], y[:50000], batch_size=100, validation_data=(x[50000:], y[50000:]))
"""
    study = study_of(run(code))
    assert study["data"] == {"name": "fashion_mnist", "validation": {"last": 10000}}
    assert study["network"]["layers"] == ["flatten", "dense 16 relu", "dense classes softmax"]
    assert study["training"]["optimizer"]["learning_rate"] == 0.01


def test_noise_that_stands_in_for_images_is_recognised_and_never_kept(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    known.clear_stand_ins()
    code = """
import keras
(x, y), (xt, yt) = keras.datasets.mnist.load_data()
def fitted(x, y):
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, validation_data=(xt / 255, yt))
fitted(x / 255, y)
fitted(x[:500] / 255, y[:500])
"""
    whole, part = run(code).drafts
    assert whole.values["data"] == {"name": "mnist"}
    assert any("assay data fetch mnist" in note for note in whole.notes)
    assert part.values == {}
    assert "assay data fetch mnist" in str(part.problems[0])


def test_spellings_of_the_first_keras_mean_what_they_meant(run: Any) -> None:
    code = f"""
import keras
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Flatten
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.utils import np_utils
from keras.optimizers import rmsprop
{HEAD}
model = Sequential()
model.add(Convolution2D(4, 3, 3, border_mode="same", init="uniform", activation="relu", input_shape=(8, 8, 1)))
model.add(MaxPooling2D(pool_size=(2, 2), border_mode="valid"))
model.add(Flatten())
model.add(Dense(output_dim=8, init="uniform"))
model.add(Dropout(p=0.5))
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=rmsprop(lr=0.002, decay=1e-6), metrics=["accuracy"])
model.fit(x, np_utils.to_categorical(y, 10), batch_size=50, nb_epoch=7, validation_split=0.2)
"""
    outcome = run(code)
    study = study_of(outcome)
    assert study["network"]["layers"] == [
        "conv 4 3x3 relu padding=same", "maxpool 2", "flatten", "dense 8", "dropout 0.5", "dense classes softmax",
    ]  # fmt: skip
    assert study["training"] == {
        "epochs": 7, "batch_size": 50, "optimizer": {"name": "rmsprop", "learning_rate": 0.002},
    }  # fmt: skip
    notes = every_note(outcome)
    assert "train.py:14: Convolution2D(4, 3, 3) is read as Keras 1 does" in notes
    assert "decay = 1e-06" in notes


def test_generators_give_their_augmentation_and_batch_size(run: Any) -> None:
    code = """
from keras.preprocessing.image import ImageDataGenerator
flow = ImageDataGenerator(rotation_range=10, width_shift_range=0.125, height_shift_range=0.125, horizontal_flip=True,
                          brightness_range=(0.5, 1.5)).flow(x, y, batch_size=48)
model.fit_generator(flow, steps_per_epoch=len(x) // 48, epochs=9, validation_data=(x[:10], y[:10]))
"""
    outcome = run(TENSORFLOW + code)
    training = study_of(outcome)["training"]
    assert training["augmentation"] == {"rotation": 10.0, "shift": 1.0, "flip": "horizontal", "fill": "nearest"}
    assert (training["epochs"], training["batch_size"]) == (9, 48)
    assert "brightness_range" in every_note(outcome)


def test_pipelines_of_tensorflow_are_followed(run: Any) -> None:
    code = """
raw = (data.images * 255 / 16).round().astype("uint8")[..., tf.newaxis]
def scaled(image, label):
    return tf.cast(image, tf.float32) / 255.0, label
def noisy(image, label):
    return tf.image.random_brightness(image, 0.1), label
train = tf.data.Dataset.from_tensor_slices((raw, y)).map(scaled).shuffle(1000).batch(100).map(noisy).prefetch(1)
model.fit(train, epochs=3)
"""
    outcome = run(TENSORFLOW + code)
    study = study_of(outcome)
    assert study["data"] == {"name": "digits"}
    assert study["training"]["batch_size"] == 100
    assert "tf.image.random_brightness(max_delta=0.1) has no word" in every_note(outcome)


AUGMENTED = """
raw = (data.images * 255 / 16).round().astype("uint8")[..., tf.newaxis]
flip = layers.RandomFlip("horizontal")
rotate = keras.Sequential([layers.RandomRotation(0.05)])
def cropped(image, label):
    image = tf.image.random_crop(tf.image.resize_with_crop_or_pad(image, 12, 12), [8, 8, 1])
    return tf.image.random_flip_up_down(image), label
train = tf.data.Dataset.from_tensor_slices((raw, y)).map(lambda image, label: (image / 255, label))
train = train.map(lambda image, label: (flip(image, training=True), label)).map(cropped)
train = train.batch(64, drop_remainder=True).map(lambda image, label: (rotate(image, training=True), label))
model.fit(train, epochs=3)
"""


def test_random_operations_of_a_pipeline_become_augmentation_and_leave_its_images_recognised(run: Any) -> None:
    outcome = run(TENSORFLOW + AUGMENTED)
    study = study_of(outcome)
    assert study["data"] == {"name": "digits"}
    assert study["training"]["augmentation"] == {"flip": "both", "rotation": 18.0, "fill": "reflect"}
    notes = every_note(outcome)
    for words in ("train.py:16: tf.image.random_crop", "train.py:20: the last 5 images of an epoch are dropped"):
        assert words in notes


def test_a_function_that_draws_otherwise_is_left_out_and_named(run: Any) -> None:
    code = """
import random
raw = (data.images * 255 / 16).round().astype("uint8")[..., None]
def negative(image, label):
    return (255 - image if random.random() < 0.5 else image), label
train = tf.data.Dataset.from_tensor_slices((raw, y)).map(negative).batch(50)
model.fit(train)
"""
    outcome = run(TENSORFLOW + code)
    assert study_of(outcome)["data"]["name"] == "digits"
    assert "train.py:16: the pipeline's map(negative) draws at random" in every_note(outcome)


WEIGHED = {
    "pipeline": "model.fit(tf.data.Dataset.from_tensor_slices((x, y, w)).batch(64))",
    "sequence": """
class Parts(keras.utils.PyDataset):
    def __len__(self):
        return 3
    def __getitem__(self, at):
        return x[at::3], y[at::3], w[at::3]
model.fit(Parts())
""",
    "flow": """
from tensorflow.keras.preprocessing.image import ImageDataGenerator
model.fit(ImageDataGenerator().flow(x, y, sample_weight=w))
""",
}


@pytest.mark.parametrize("kind", WEIGHED)
def test_weights_of_images_are_named_wherever_they_come_from(kind: str, run: Any) -> None:
    outcome = run(f"{TENSORFLOW}\nimport numpy as np\nw = np.ones(len(x))\n{WEIGHED[kind]}")
    assert study_of(outcome)["data"]["name"] == "digits"
    assert "(sample_weight), which has no word here" in every_note(outcome)


def test_data_sets_of_tensorflow_are_assay_s_own(run: Any) -> None:
    code = """
import tensorflow as tf
import tensorflow_datasets as tfds
parts = ["train[:90%]", "train[90%:]"]
(train, held), info = tfds.load("fashion_mnist", split=parts, as_supervised=True, with_info=True)
train = train.batch(500).map(lambda image, label: (tf.cast(image, tf.float32) / 255, label))
held = held.batch(500).map(lambda image, label: (tf.cast(image, tf.float32) / 255, label))
model = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=info.features["image"].shape)])
model.add(tf.keras.layers.Dense(info.features["label"].num_classes, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(train, validation_data=held)
"""
    study = study_of(run(code))
    assert study["data"] == {"name": "fashion_mnist", "validation": {"last": 6000}}
    assert study["training"]["batch_size"] == 500


def test_folders_are_read_by_the_study(run: Any, tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(b"")
    code = """
from tensorflow import keras
from tensorflow.keras import layers
train = keras.utils.image_dataset_from_directory("train", image_size=(64, 48), batch_size=16)
test = keras.utils.image_dataset_from_directory("test", image_size=(64, 48))
model = keras.Sequential([layers.Rescaling(1 / 255, input_shape=(64, 48, 3)), layers.Flatten()])
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(train.cache().prefetch(1), validation_data=test, epochs=2)
"""
    study = study_of(run(code))
    assert study["data"] == {
        "path": str(tmp_path / "train"),
        "read": {"size": [64, 48]},
        "test": str(tmp_path / "test"),
    }
    assert study["training"]["batch_size"] == 16


FOLDERS = """
from tensorflow import keras
from tensorflow.keras import layers
settings = dict(image_size=(8, 8), batch_size=4, class_names=["elm"], crop_to_aspect_ratio=True)
both = keras.utils.image_dataset_from_directory("trees", validation_split=0.2, subset="both", seed=1, **settings)
train, held = both
grown = [layers.RandomFlip("horizontal"), layers.RandomZoom(0.2)]
def vary(images):
    for layer in grown:
        images = layer(images)
    return images
scaled = train.map(lambda images, labels: (images / 255, labels))
shown = train.take(1).map(lambda images, labels: (images / 2, 1 - labels))
train = scaled.map(lambda images, labels: (vary(images), labels)).map(MAPPED)
model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(train, validation_data=held)
"""


def test_a_folder_s_pipeline_keeps_scaling_and_augmentation_and_names_the_rest(run: Any, tmp_path: Path) -> None:
    for name in ("trees/elm", "trees/oak"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(b"")
    outcome = run(FOLDERS.replace("MAPPED", "lambda images, labels: (keras.ops.flip(images, axis=1), labels)"))
    study = study_of(outcome)
    assert "scaling" not in study["data"]  # divided by 255 once, whatever was derived to be shown
    assert study["training"]["augmentation"] == {"flip": "horizontal", "zoom": 0.2, "fill": "reflect"}
    notes = every_note(outcome)
    for words in ("leaves out oak", "keeps their proportions", "train.py:14: the pipeline's map(a lambda) is no plain"):
        assert words in notes
    assert "takes 1 batches" not in notes
    changed = run(FOLDERS.replace("MAPPED", "lambda images, labels: (images, 1 - labels)"))
    assert "changes labels" in every_note(changed)


def test_a_study_file_names_folders_beside_it_by_their_relative_path(tmp_path: Path) -> None:
    data = {"path": str(tmp_path / "pets" / "train"), "test": str(tmp_path / "pets" / "test")}
    study = Study.of({"name": "pets", "question": "?", "data": data, "network": {"layers": ["dense classes softmax"]}})
    one = files.RunConversion((), (files.RunStudy(study, None),), ())
    (beside,) = one.write(tmp_path / "pets.toml")
    assert 'path = "pets/train"' in beside.read_text()
    assert read_study(beside).data.path == str(tmp_path / "pets" / "train")
    (elsewhere,) = one.write(tmp_path / "studies" / "pets.toml")
    assert f'path = "{tmp_path}/pets/train"' in elsewhere.read_text()


def test_labels_beside_a_folder_are_refused(run: Any) -> None:
    code = """
from tensorflow import keras
train = keras.utils.image_dataset_from_directory("trees", labels=[0, 1, 1])
"""
    assert "gets labels of its own" in every_note(run(code))


def test_a_folder_that_is_not_there_is_named_and_the_study_has_its_path(run: Any, tmp_path: Path) -> None:
    code = """
from tensorflow import keras
from tensorflow.keras.preprocessing.image import ImageDataGenerator
flowing = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
train = flowing.flow_from_directory("pets", target_size=(32, 32), batch_size=20)
model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
model.add(keras.layers.Dense(2, activation="softmax"))
model.compile(optimizer="adam", loss="categorical_crossentropy")
model.fit(train, epochs=2)
"""
    outcome = run(code)
    study = study_of(outcome)
    assert study["data"] == {"path": str(tmp_path / "pets"), "read": {"size": [32, 32]}}
    assert study["training"]["augmentation"]["flip"] == "horizontal"
    assert "the folder pets is not there" in every_note(outcome)


@pytest.mark.parametrize("style", ["nested", "inlined"])
def test_pretrained_networks_become_bases_without_their_weights(style: str, run: Any) -> None:
    body = {
        "nested": "model = keras.Sequential([base, layers.Flatten(), layers.Dense(10, activation='softmax')])",
        "inlined": "out = layers.Dense(10, activation='softmax')(layers.Flatten()(base.output))\n"
        "model = keras.Model(base.input, out)",
    }[style]
    code = f"""
import keras
from keras import layers
from keras.applications.vgg16 import VGG16
import numpy as np
x, y = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3)), np.arange(40) % 10
base = VGG16(weights="imagenet", include_top=False, input_shape=(32, 32, 3))
for layer in base.layers[:-4]:
    layer.trainable = False
{body}
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(x / 255, y, epochs=2)
"""
    study = study_of(run(code))
    assert study["network"] == {
        "layers": ["flatten", "dense classes softmax"],
        "base": {"name": "vgg16", "weights": "imagenet", "train": "last 1 block", "preprocessing": "unit"},
    }


def test_a_notebook_names_its_cells(run: Any) -> None:
    outcome = run(
        [
            "!pip install -q \\\n    something\n%matplotlib inline\nimport sys\nif not sys.path:\n    %pip install x",
            TENSORFLOW,
            "git push origin main",
            "%%bash\nls",
            "import no_such_package as nsp\nother = 1\nprint(nsp.version)",
            "table = open('missing.csv').read()\nrows = table.split()",
            "layers.PReLU(bad_argument=3)",
            "%%time\nstop = keras.callbacks.EarlyStopping('val_f1')\nmodel.fit(x, y,\n          callbacks=[stop])",
        ]
    )
    assert study_of(outcome)["data"] == {"name": "digits"}
    notes = every_note(outcome)
    assert "cell 3, line 1: the cell is no Python" in notes
    assert "!pip install -q \\ (cell 1, line 1)" in notes
    assert "cell 5, line 1: it needs the package no_such_package, which is not installed" in notes
    assert "cell 6, line 1: it needs the file missing.csv, which is not there" in notes
    assert "cell 7, line 1: layers.PReLU(bad_argument=3) fails" in notes
    assert "Left out, as they build on those: cell 5, line 3; cell 6, line 2" in notes
    assert "cell 8, line 2: EarlyStopping watches val_f1" in notes


def test_a_training_loop_of_its_own_is_named_with_the_line_in_it(run: Any) -> None:
    code = """
for epoch in range(3):
    with tf.GradientTape() as tape:
        loss = model(x)
"""
    outcome = run(f"import tensorflow as tf\nimport keras\nfrom keras import layers\n{HEAD}{MODEL}{code}")
    assert outcome.missing[0].startswith("train.py:13: a training loop of its own, with GradientTape, is not taken")


def test_a_model_that_is_never_trained_is_named_and_no_arm(run: Any) -> None:
    code = """
vary = keras.Sequential([layers.RandomFlip()])
head = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
body = keras.Sequential([head, layers.Dense(10, activation="softmax")])
body.compile(loss="sparse_categorical_crossentropy")
body.fit(x, y)
"""
    notes = run(f"import keras\nfrom keras import layers\n{HEAD}{code}").notes
    assert notes == ["train.py:8: vary is never trained, and is no arm of the study."]


def test_shorter_names_and_lambdas_of_tensorflow_are_followed(run: Any) -> None:
    code = """
raw = (data.images * 255 / 16).round().astype("uint8")[..., tf.newaxis]
scaled = layers.Lambda(lambda images: tf.cast(images, tf.float32) / 255.0)
ending = [layers.Flatten(), layers.Dense(10, activation=tf.nn.softmax)]
model = keras.Sequential([layers.Input((8, 8, 1)), scaled, *ending])
rate = tf.optimizers.schedules.ExponentialDecay(1e-2, decay_steps=57, decay_rate=0.5, staircase=True)
accuracy = [tf.metrics.SparseCategoricalAccuracy()]
model.compile(tf.optimizers.SGD(rate), tf.losses.SparseCategoricalCrossentropy(), accuracy)
model.fit(raw, y, epochs=4)
"""
    study = study_of(run(TENSORFLOW.replace(MODEL, "") + code))
    assert study["data"] == {"name": "digits"}
    assert study["network"]["layers"] == ["flatten", "dense classes softmax"]
    assert study["training"]["schedule"] == {"name": "step", "every": 1, "factor": 0.5}


def test_metrics_that_come_third_are_metrics(run: Any) -> None:
    code = """
model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
model.fit(x, y, validation_split=0.1)
"""
    assert "loss_weights" not in every_note(run(TENSORFLOW + code))


def test_what_a_failing_statement_would_have_changed_is_not_used(run: Any) -> None:
    outcome = run(TENSORFLOW + "\nx = no_such_name(x)\nmodel.add(layers.Dense('ten'))\nmodel.fit(x, y)\n")
    assert all(draft.values == {} for draft in outcome.drafts)
    assert "train.py:12: x = no_such_name(x) fails" in every_note(outcome)


def test_functions_classes_and_wrappers_are_no_obstacle(run: Any) -> None:
    code = """
class LeNet:
    @staticmethod
    def build(width, classes):
        inner = keras.Sequential([layers.Dense(width, activation="relu")])
        return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), inner, layers.Dense(classes)])
model = LeNet.build(5, 10)
model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
if __name__ == "__main__":
    model.fit(x, y, epochs=3)
probabilities = keras.Sequential([model, layers.Softmax()])
"""
    drafts = [draft for draft in run(TENSORFLOW + code).drafts if draft.values]
    (draft,) = drafts
    assert draft.values["network"]["layers"] == ["flatten", "dense 5 relu", "dense classes softmax"]


def test_a_model_that_is_only_compiled_is_for_the_data_that_the_file_loads(run: Any) -> None:
    code = """
import keras
(x, y), _ = keras.datasets.mnist.load_data()
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
"""
    outcome = run(code)
    assert study_of(outcome)["data"] == {"name": "mnist"}
    assert "never sees fit" in every_note(outcome)


def test_pytorch_is_named_with_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"drafts": [], "notes": [], "missing": ["train.py:1: it needs the package lightning, which is not here."]}
    monkeypatch.setattr(files, "run_apart", lambda *_, **__: nothing)
    path = tmp_path / "train.py"
    path.write_text("import torch\nimport lightning as L\nclass Net(L.LightningModule):\n    pass\n")
    with pytest.raises(SpecError) as caught:
        files.convert_by_running(path, tmp_path)
    missing, torch = map(str, caught.value.problems)
    assert missing.startswith("train.py:1: it needs")  # the place names the file, once
    assert 'module "train.py:Net()"' in torch
    assert "[training]" in torch


def test_commands_are_left_out_of_cells() -> None:
    assert without_commands("!ls \\\n  -l\nx = !pwd\nif x:\n    %time f()\nf?") == (
        "pass\n\npass\nif x:\n    pass\npass",
        [(1, "!ls \\"), (3, "x = !pwd"), (5, "%time f()"), (6, "f?")],
    )
    assert without_commands("%%writefile a.py\nx") == ("", [(1, "%%writefile a.py")])


def test_names_that_a_statement_changes() -> None:
    import ast

    def changed(code: str) -> set[str]:
        return names_changed(ast.parse(code).body[0])

    assert changed("a, b[0] = c.d(e)") == {"a", "b"}
    assert changed("for i in x:\n    model.add(i)") == {"i", "model"}
    assert changed("model.fit(x)") == set()
    assert changed("import a.b as c, d.e") == {"c", "d"}


def test_a_script_that_is_no_python_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("x = 1\nx = = 2\n")
    with pytest.raises(DataError, match=r"train\.py:2: it is no Python"):
        read_code(path)


WALLED = """
import ctypes, os, runpy, socket, sys
from pathlib import Path
restrict = runpy.run_path(sys.argv[1])["restrict"]  # alone: importing the package takes seconds
inside, outside = map(Path, sys.argv[2:])
server = socket.create_server(("127.0.0.1", 0))
if not restrict([inside, inside / "missing"]):
    sys.exit(77)
libc = ctypes.CDLL(None, use_errno=True)  # as HDF5 or torch.save open files: Python is not asked
opened = [libc.open(os.fsencode(folder / "file"), os.O_WRONLY | os.O_CREAT, 0o600) >= 0 for folder in (inside, outside)]
assert opened == [True, False], opened
Path(os.devnull).write_text("nothing")
for refused in (lambda: (outside / "kept").unlink(), lambda: os.rename(outside / "kept", inside / "kept"),
                lambda: socket.create_connection(server.getsockname()), lambda: os.execv("/bin/true", ["true"])):
    try:
        refused()
    except OSError:
        continue
    sys.exit("not refused")
assert (outside / "kept").read_text() == "kept"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits are Linux's")
def test_the_kernel_keeps_c_code_from_writing_connecting_and_starting_programs(tmp_path: Path) -> None:
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    arguments = [landlock.__file__, str(tmp_path / "inside"), str(tmp_path / "outside")]
    ended = subprocess.run([sys.executable, "-c", WALLED, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    assert ended.returncode == 0, ended.stderr


HARMFUL = """
import os, socket, subprocess
from pathlib import Path
from sklearn.datasets import load_digits
import keras
x, y = load_digits(return_X_y=True)
rng = __import__("numpy").random.default_rng(1)
x = rng.integers(0, 256, (60, 8, 8)).astype("uint8")
y = y[:60]
model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(x, y)
wide = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(8), keras.layers.Dense(10)])
wide.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
wide.fit(x, y, epochs=3)
socket.create_connection(("example.org", 80))
print("filling the disk" * 1000)
try:
    __import__("torch").save({}, "harm.pt")
except Exception:
    pass
os.system("touch harm")
subprocess.run(["touch", "harm"])
Path("harm").write_text("harm")
os.mkdir("harm")
name = input("name? ")
while True:
    pass
"""


@pytest.mark.slow
def test_a_process_of_its_own_has_limits_and_writes_nothing(tmp_path: Path) -> None:
    from assay.cli.main import commands

    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "own.py").write_text(HARMFUL)
    output = tmp_path / "studies" / "own.toml"
    result = CliRunner().invoke(
        commands, ["convert", "--run", "--seconds", "20", str(folder / "own.py"), "-o", str(output)]
    )
    assert result.exit_code == 0, result.output
    assert [path.name for path in folder.iterdir()] == ["own.py"]
    for words in ("no network", "no other programs", "no writing outside", "waits for input", "stopped after 20"):
        assert words in result.output
    study = read_study(output)
    assert [arm.name for arm in study.expand()] == ["sequential", "sequential_1"]
    assert [arm.training.epochs for arm in study.expand()] == [1, 3]
    assert [arm.training.optimizer.name for arm in study.expand()] == ["sgd", "adam"]
    with np.load(output.with_name("own-data.npz")) as arrays:
        assert arrays["x_train"].shape == (60, 8, 8, 1)
    assert study.data.path == str(output.with_name("own-data.npz"))
