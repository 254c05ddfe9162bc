"""Models in ``.keras`` and ``.h5`` files: paths, weights, how they were compiled, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay.api import convert
from assay.errors import DataError, InputError, SpecError
from assay.spec.files import parse_study, study_toml

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")
layers = keras.layers
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras's own, on saving
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]
SUFFIXES = (".keras", ".h5")


def residual() -> Any:
    inputs = keras.Input((8, 8, 2))
    first = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    main = layers.Conv2D(4, 3, padding="same")(layers.BatchNormalization()(first))
    other = layers.Conv2D(4, 1)(first)
    x = layers.ReLU()(layers.add([main, other]))
    x = layers.concatenate([layers.Conv2D(2, 1)(x), layers.Conv2D(3, 3, padding="same")(x), x])
    head = keras.Sequential([layers.Dense(5, activation="tanh"), layers.BatchNormalization(), layers.Dropout(0.5)])
    x = head(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


RESIDUAL = [
    "conv 4 3x3 relu padding=same",
    {"residual": ["batchnorm", "conv 4 3x3 padding=same"], "shortcut": ["conv 4 1x1"], "activation": "relu"},
    {"parallel": [["conv 2 1x1"], ["conv 3 3x3 padding=same"], []]},
    *["globalavgpool", "dense 5 tanh", "batchnorm", "dropout 0.5", "dense classes softmax"],
]


def sigmoid() -> Any:
    end = layers.Dense(1, activation="sigmoid")
    return keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 3), layers.Flatten(), end])


def nested() -> Any:
    inputs = keras.Input((8, 8, 1))
    inner = keras.Model(inputs, layers.SeparableConv2D(3, 3)(layers.Conv2D(2, 3, activation="relu")(inputs)))
    tail = [layers.Conv2D(4, 2), layers.PReLU(), layers.Flatten(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((8, 8, 1)), inner, *tail])


def shuffled_weights(model: Any) -> None:
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.6, value.shape) for value in model.get_weights()])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [residual, sigmoid, nested])
def test_a_file_gives_the_answers_of_its_model(make: Callable[[], Any], suffix: str, tmp_path: Path) -> None:
    model = make()
    shuffled_weights(model)
    model.save(tmp_path / f"model{suffix}")
    images = np.random.default_rng(1).uniform(size=(8, *model.input_shape[1:])).astype(np.float32)
    expected = model.predict(images, verbose=0)
    expected = np.concatenate([1 - expected, expected], axis=1) if make is sigmoid else expected
    for imported in (assay.from_keras(model), assay.from_keras(tmp_path / f"model{suffix}")):
        if make is residual:
            assert list(imported.network.model_dump()["layers"]) == RESIDUAL
        logits = imported.module()(torch.from_numpy(images).permute(0, 3, 1, 2))
        np.testing.assert_allclose(torch.softmax(logits, 1).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_brings_its_optimizer_and_its_loss(suffix: str, tmp_path: Path) -> None:
    model = residual()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer, loss, metrics=["accuracy", keras.metrics.AUC()])
    model.save(tmp_path / f"model{suffix}")
    conversion = convert(tmp_path / f"model{suffix}")
    training = conversion.study.expand()[0].training
    assert (training.optimizer.name, training.optimizer.learning_rate) == ("sgd", 0.05)
    assert (training.optimizer.momentum, training.optimizer.nesterov, training.clip_norm) == (0.9, True, 1.0)
    assert training.label_smoothing == 0.1
    notes = "\n".join(conversion.notes)
    assert "metric AUC is left out" in notes
    assert "has no epochs and no batch size" in notes
    assert conversion.study.data.path == "your-images"
    assert conversion.models[0].parameters == model.count_params()
    again = parse_study(study_toml(conversion.study), file="a.toml", name="model", folder=Path("."))
    assert again.expand() == conversion.study.expand()


SCHEDULES: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "cosine": (
        lambda: keras.optimizers.schedules.CosineDecay(0.1, 1000, alpha=0.01),
        {"name": "cosine", "final": 0.01},
        "ends after 1000 steps",
    ),
    "exponential": (
        lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 500, 0.9),
        {"name": "constant"},
        "multiplied by 0.9 every 500 steps",
    ),
    "steps": (
        lambda: keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001]),
        {"name": "constant"},
        "PiecewiseConstantDecay (boundaries [10, 20]",
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_its_schedule_is_written_or_named(name: str, tmp_path: Path) -> None:
    make, expected, message = SCHEDULES[name]
    model = sigmoid()
    model.compile(keras.optimizers.AdamW(make(), weight_decay=0.02), "binary_crossentropy")
    model.save(tmp_path / "model.keras")
    conversion = convert(tmp_path / "model.keras")
    training = conversion.study.expand()[0].training
    assert (training.optimizer.learning_rate, training.optimizer.weight_decay) == (0.1, 0.02)
    assert {key: getattr(training.schedule, key) for key in expected} == expected
    assert message in "\n".join(conversion.notes)


def test_what_stands_before_its_layers_becomes_settings(tmp_path: Path) -> None:
    front = [layers.Resizing(16, 16), layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)]
    front += [layers.Rescaling(1 / 127.5, offset=-1)]
    tail = [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(4)]
    model = keras.Sequential([keras.Input((20, 20, 3)), *front, *tail])
    model.compile("rmsprop", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    conversion = convert(tmp_path / "model.keras")
    study = conversion.study
    assert study.data.read is not None
    assert study.data.read.size == (16, 16)
    augmentation = study.expand()[0].training.augmentation
    assert augmentation is not None
    assert (augmentation.flip, augmentation.rotation) == ("horizontal", 36.0)
    notes = "\n".join(conversion.notes)
    assert "pixels from -1 to 1; here they are 0 to 1" in notes
    assert "the softmax is written here" in notes
    assert assay.from_keras(tmp_path / "model.keras").shape == (16, 16, 3)


def test_mixed_precision_is_written(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3, dtype="mixed_bfloat16")])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    assert convert(tmp_path / "model.keras").study.expand()[0].training.precision == "bfloat16"


def test_frozen_layers_are_named(tmp_path: Path) -> None:
    model = residual()
    model.layers[1].trainable = False
    model.save(tmp_path / "model.keras")
    name = model.layers[1].name
    assert any(f"{name}: it is frozen" in note for note in convert(tmp_path / "model.keras").notes)


def crossing() -> Any:
    inputs = keras.Input((8, 8, 1))
    a, b = layers.Conv2D(2, 1)(inputs), layers.Conv2D(2, 1)(inputs)
    c = layers.add([a, b])
    d = layers.concatenate([c, layers.Conv2D(2, 1)(a)])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(d)))


def shared() -> Any:
    inputs = keras.Input((8, 8, 2))
    conv = layers.Conv2D(2, 1)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(conv(conv(inputs)))))


def two_inputs() -> Any:
    one, two = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    return keras.Model([one, two], layers.Dense(3, activation="softmax")(layers.Flatten()(layers.add([one, two]))))


def scaled_inside() -> Any:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(
        inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Conv2D(2, 1)(inputs) * 2.0))
    )


REFUSED = {
    "crossing": (crossing, "cross others"),
    "shared": (shared, "used in several places"),
    "two inputs": (two_inputs, "2 inputs and 1 output"),
    "scaled inside": (scaled_inside, "it stands behind other layers"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", REFUSED)
def test_what_no_block_can_express_gets_a_sentence(case: str, suffix: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    make().save(tmp_path / f"model{suffix}")
    with pytest.raises(SpecError, match=message) as caught:
        convert(tmp_path / f"model{suffix}")
    assert str(tmp_path) in str(caught.value)


def saved_by_keras_2(path: Path) -> dict[str, Any]:
    """The layout of TensorFlow 2's Keras: no modules, ``batch_input_shape``, calls as lists."""
    kernel, bias = np.arange(50, dtype=np.float32).reshape(25, 2), np.zeros(2, np.float32)
    nodes: dict[str, Any] = {"flat": [[["in", 0, 0, {}]]], "out": [[["flat", 0, 0, {}]]], "in": []}
    configs: dict[str, tuple[str, dict[str, Any]]] = {
        "in": ("InputLayer", {"batch_input_shape": [None, 5, 5, 1], "dtype": "float32"}),
        "flat": ("Flatten", {"trainable": True, "data_format": "channels_last"}),
        "out": ("Dense", {"trainable": True, "units": 2, "activation": "softmax", "use_bias": True}),
    }
    model = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [
                {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes[name]}
                for name, (kind, config) in configs.items()
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["out", 0, 0]],
        },
    }
    optimizer = {"class_name": "Adam", "config": {"learning_rate": 0.0020000000949949026, "beta_1": 0.8999999761581421}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["training_config"] = json.dumps({"loss": "categorical_crossentropy", "optimizer_config": optimizer})
        group = file.create_group("model_weights/out")
        group.attrs["weight_names"] = [b"out/kernel:0", b"out/bias:0"]
        group["out/kernel:0"], group["out/bias:0"] = kernel, bias
    return model


def test_files_of_keras_2_are_read(tmp_path: Path) -> None:
    saved_by_keras_2(tmp_path / "model.h5")
    imported = assay.from_keras(tmp_path / "model.h5")
    np.testing.assert_array_equal(imported.weights["dense1.kernel"].T.ravel(), np.arange(50))
    conversion = convert(tmp_path / "model.h5")
    assert list(conversion.models[0].lines) == ["flatten", "dense classes softmax"]
    assert "learning_rate = 0.002\n" in study_toml(conversion.study)
    assert "beta_1" not in study_toml(conversion.study)


H5: dict[str, tuple[Callable[[Any], None], str]] = {
    "no model": (lambda file: file.attrs.__delitem__("model_config"), "no model, or weights alone"),
    "no JSON": (lambda file: file.attrs.__setitem__("model_config", "{" * 100_000), "no JSON"),
    "a number that is none": (
        lambda file: file.attrs.__setitem__(
            "training_config", '{"optimizer_config": {"class_name": "SGD", "config": {"momentum": "fast"}}}'
        ),
        "momentum is 'fast'",
    ),
    "a circle": (
        lambda file: file.attrs.__setitem__(
            "model_config", file.attrs["model_config"].replace('"in", 0, 0, {}', '"out", 0, 0, {}')
        ),
        "circle|does not come from",
    ),
    "a layer of nobody": (
        lambda file: file.attrs.__setitem__(
            "model_config", file.attrs["model_config"].replace("Flatten", "Evil>Flatten")
        ),
        "no layer of Keras's own",
    ),
    "tensors that are none": (
        lambda file: file.attrs.__setitem__(
            "model_config", file.attrs["model_config"].replace('["out", 0, 0]', '["out", {}, 0]')
        ),
        "describes no Keras model",
    ),
}


@pytest.mark.parametrize("case", H5)
def test_damaged_and_hostile_h5_files_get_a_sentence(case: str, tmp_path: Path) -> None:
    change, message = H5[case]
    saved_by_keras_2(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "model.h5")


def test_weights_elsewhere_are_never_followed(tmp_path: Path) -> None:
    saved_by_keras_2(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file["model_weights/out/out/kernel:0"]
        file["model_weights/out/out/kernel:0"] = h5py.ExternalLink("/etc/other.h5", "/x")
    with pytest.raises(SpecError, match="never followed"):
        assay.from_keras(tmp_path / "model.h5")


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 600])
def test_what_is_no_h5_file_gets_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"no HDF5 file|is damaged"):
        convert(tmp_path / "model.h5")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_damaged_bytes_are_an_error_of_ours_or_harmless(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.convert.h5_file._MOST_SECONDS", 3)
    saved_by_keras_2(tmp_path / "model.h5")
    damaged = bytearray((tmp_path / "model.h5").read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(damaged), 40):
        damaged[at] = rng.integers(256)
    (tmp_path / "model.h5").write_bytes(bytes(damaged))
    with contextlib.suppress(InputError):
        convert(tmp_path / "model.h5")


def test_a_file_that_the_library_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heap whose free object has no size makes HDF5 run without end; whichever version mends it reads the file."""
    saved_by_keras_2(tmp_path / "model.h5")
    content = bytearray((tmp_path / "model.h5").read_bytes())
    at = content.index(b"GCOL")
    content[at + 16 :] = bytes(len(content) - at - 16)  # its objects, all of no size
    (tmp_path / "model.h5").write_bytes(bytes(content))
    monkeypatch.setattr("assay.convert.h5_file._MOST_SECONDS", 3)
    with pytest.raises(InputError):
        convert(tmp_path / "model.h5")


def test_blocks_that_lie_very_deep_in_each_other_are_refused(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 1))
    x, ends = inputs, []
    for _ in range(40):
        ends.append(x)
        x = layers.ReLU()(x)
    for end in reversed(ends):
        x = layers.add([x, end])
    keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x))).save(tmp_path / "model.keras")
    with pytest.raises(SpecError, match="16 deep in each other"):
        convert(tmp_path / "model.keras")


def test_a_registered_class_in_a_functional_model_is_refused_by_name(tmp_path: Path) -> None:
    residual().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    join = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Add")
    join.update(module="os", class_name="system", registered_name="evil>Add")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in {**parts, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(SpecError, match="'evil>Add' is no layer of Keras's own, and its code is never run"):
        convert(tmp_path / "model.keras")
