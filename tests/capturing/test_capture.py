"""What is captured from live Keras models: networks, settings and data, with a note on whatever has no word."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.capturing import Captured
from assay.capturing.patches import WhenImported
from assay.capturing.recorder import Recorder
from assay.capturing.studies import drafts_of
from assay.convert.draft import Draft
from assay.errors import SpecError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
layers = keras.layers
callbacks = keras.callbacks
optimizers = keras.optimizers
schedules = optimizers.schedules
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]
SOFTMAX = "dense classes softmax"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Records without training."""
    recorder = Recorder(runs=False)
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture(scope="session")
def digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    values = load_digits()
    return values.images, values.target


def small(*before: Any) -> Any:
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), *before, layers.Flatten(), layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def only(recorder: Recorder) -> Draft:
    (draft,) = drafts_of(recorder.recordings)
    return draft


def lines_of(recorder: Recorder, model: Any, digits: tuple[Any, Any], **fit: Any) -> list[Any]:
    if getattr(model, "optimizer", None) is None:
        model.compile(loss="sparse_categorical_crossentropy")
    images = digits[0] / 16
    shape = model.input_shape[1:]
    model.fit(images.reshape(-1, *shape) if np.prod(shape) == 64 else images, digits[1], **fit)
    draft = only(recorder)
    assert draft.problems == ()
    return draft.values["network"]["layers"]  # type: ignore[no-any-return]


def test_a_notebook_goes_on_and_its_model_becomes_a_study(digits: tuple[Any, Any]) -> None:
    images, labels = digits
    with assay.capture():
        model = small(layers.Conv2D(4, 3, activation="relu"), layers.Dropout(0.25))
        history = model.fit(images[..., None] / 16, labels, epochs=2, batch_size=64, validation_split=0.2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    (captured,) = assay.captured()
    study = captured.study
    assert study.network is not None
    assert study.network.layers == ("conv 4 3x3 relu", "dropout 0.25", "flatten", SOFTMAX)
    assert study.data.name == "digits"
    assert study.data.validation.last == 0.2  # type: ignore[union-attr]
    assert (study.training["epochs"], study.training["batch_size"]) == (2, 64)
    assert "digits" in repr(captured)
    assert "digits" in captured._repr_html_()
    assert model.fit.__func__.__module__.startswith("keras")  # the block has ended


def test_tensorflow_s_own_keras_is_left_to_load_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's ``keras`` stays half loaded if it is asked for while Keras imports TensorFlow."""
    text = "def __getattr__(name):\n    raise RuntimeError('asked for ' + name)\n"
    (tmp_path / "tensorflow.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with assay.capture():
        importlib.import_module("tensorflow")
    sys.modules.pop("tensorflow")


def test_a_module_whose_first_import_fails_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assay_try_twice.py").write_text("import os\nos.environ['ASSAY_TRIED_TWICE']\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[str] = []
    waiting = WhenImported(["assay_try_twice"], lambda module: seen.append(module.__name__))
    waiting.start()
    try:
        with pytest.raises(KeyError):
            importlib.import_module("assay_try_twice")
        assert seen == []
        monkeypatch.setenv("ASSAY_TRIED_TWICE", "1")
        importlib.import_module("assay_try_twice")
    finally:
        waiting.stop()
        sys.modules.pop("assay_try_twice", None)
    assert seen == ["assay_try_twice"]


def test_a_fit_that_fails_is_not_recorded(digits: tuple[Any, Any]) -> None:
    images, labels = digits
    with assay.capture():
        model = small()
        with pytest.raises(ValueError):
            model.fit(images[:100, ..., None] / 16, labels[:50], epochs=5, verbose=0)
        model.fit(images[..., None] / 16, labels, epochs=1, verbose=0)
    (captured,) = assay.captured()
    assert captured.study.training["epochs"] == 1


def test_the_next_line_is_a_verdict(digits: tuple[Any, Any]) -> None:
    images, labels = digits
    with assay.capture():
        model = small(layers.Dropout(0.5))
        model.fit(images[..., None] / 16, labels, epochs=1, verbose=0)
    (captured,) = assay.captured()
    result = captured.vary(dropout=[0, 0.5]).run(seeds=2)
    assert sorted(arm.name for arm in result.brief.arms) == ["dropout=0", "dropout=0.5"]
    with pytest.raises(SpecError, match='did you mean "dropout"'):
        captured.vary(dropuot=[0, 0.5])


def test_settings_of_training_and_optimizer_vary(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    small(layers.Conv2D(4, 3, activation="relu")).fit(digits[0][..., None] / 16, digits[1])
    (draft,) = drafts_of(recorder.recordings)
    varied = Captured(draft, lambda *_: None).vary(learning_rate=[0.1, 0.2], activation=["relu", "elu"], dropout=[0.1])
    arms = varied.study.expand()
    assert {arm.training.optimizer.learning_rate for arm in arms} == {0.1, 0.2}
    assert {arm.layers[0] for arm in arms} == {"conv 4 3x3 relu", "conv 4 3x3 elu"}
    assert {arm.layers[-2] for arm in arms} == {"dropout 0.1"}


def residual(x: Any) -> Any:
    branch = layers.Conv2D(8, 3, padding="same")(layers.BatchNormalization()(x))
    return layers.ReLU()(layers.add([x, branch]))


def projected(x: Any) -> Any:
    return layers.Add()([layers.Conv2D(8, 1)(x), layers.Conv2D(8, 3, padding="same")(layers.ReLU()(x))])


def inception(x: Any) -> Any:
    return layers.concatenate([layers.Conv2D(2, 1)(x), layers.Conv2D(3, 3, padding="same")(x), x])


def nested(x: Any) -> Any:
    inner = keras.Sequential([layers.Conv2D(8, 3, padding="same"), layers.ReLU()])
    entry = keras.Input((8, 8, 8))
    return keras.Model(entry, residual(entry))(inner(x))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (layers.ReLU(), ["activation relu"]),
        (residual, [{"residual": ["batchnorm", "conv 8 3x3 padding=same"], "activation": "relu"}]),
        (projected, [{"residual": ["activation relu", "conv 8 3x3 padding=same"], "shortcut": ["conv 8 1x1"]}]),
        (inception, [{"parallel": [["conv 2 1x1"], ["conv 3 3x3 padding=same"], []]}]),
        (
            nested,
            [
                "conv 8 3x3 padding=same", "activation relu",
                {"residual": ["batchnorm", "conv 8 3x3 padding=same"], "activation": "relu"},
            ],
        ),
        (lambda x: keras.ops.relu(layers.Conv2D(8, 1)(x)), ["conv 8 1x1", "activation relu"]),
    ],
    ids=["chain", "residual", "shortcut", "parallel", "nested", "operation"],
)  # fmt: skip
def test_graphs_become_blocks(
    part: Callable[[Any], Any], expected: list[Any] | None, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    entry = keras.Input((8, 8, 1))
    x = part(layers.Conv2D(8, 3, padding="same")(entry))
    model = keras.Model(entry, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    lines = lines_of(recorder, model, digits)
    assert lines[0] == "conv 8 3x3 padding=same"
    assert lines[-2:] == ["flatten", SOFTMAX]
    if expected is not None:
        assert lines[1:-2] == expected
    assert only(recorder).parameters == model.count_params()


def test_paths_that_cross_are_refused_by_the_layer_where_they_do(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    entry = keras.Input((8, 8, 1))
    first = layers.Conv2D(4, 3, padding="same")(entry)
    second = layers.Conv2D(4, 3, padding="same")(first)
    third = layers.add([layers.Conv2D(4, 1)(second), first], name="crossing")
    x = layers.Flatten()(layers.concatenate([third, second]))
    model = keras.Model(entry, layers.Dense(10, activation="softmax")(x))
    model.compile(loss="sparse_categorical_crossentropy")
    model.fit(digits[0][..., None], digits[1])
    (problem,) = only(recorder).problems
    assert "cross" in problem.what


@pytest.mark.parametrize(
    ("ending", "line", "word"),
    [
        ([layers.Dense(1, activation="sigmoid")], SOFTMAX, "two classes"),
        ([layers.Dense(1), layers.Activation("sigmoid")], SOFTMAX, "two classes"),
        ([layers.Dense(10)], SOFTMAX, "logits"),
        ([layers.Dense(10, activation="sigmoid")], SOFTMAX, "sigmoid"),
    ],
    ids=["sigmoid", "sigmoid behind", "logits", "ten sigmoids"],
)
def test_other_endings_become_a_softmax_and_say_so(
    ending: list[Any], line: str, word: str, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    images, labels = digits
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *ending])
    model.compile(loss="binary_crossentropy")
    model.fit(images[..., None] / 16, labels % 2 if ending[0].units == 1 else labels)
    draft = only(recorder)
    assert draft.values["network"]["layers"] == ["flatten", line]
    assert any(word in note for note in draft.notes)


def test_vectors_get_their_flatten_and_reshapings_to_images_go(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    vector = keras.Sequential([keras.Input((64,)), layers.Dense(10, activation="softmax")])
    assert lines_of(recorder, vector, digits) == ["flatten", SOFTMAX]
    recorder.recordings.clear()
    shaped = keras.Sequential([keras.Input((64,)), layers.Reshape((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(),
                               layers.Dense(10, activation="softmax")])  # fmt: skip
    assert lines_of(recorder, shaped, digits) == ["conv 2 3x3", "flatten", SOFTMAX]


def test_layers_that_vary_and_scale_images_become_settings(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    model = small(
        layers.Rescaling(1 / 255), layers.RandomFlip("horizontal"), layers.RandomRotation(0.05, fill_mode="nearest"),
        layers.RandomTranslation(0.125, 0.125, fill_mode="nearest"), layers.RandomContrast(0.2), layers.Conv2D(4, 3),
    )  # fmt: skip
    model.fit(np.rint(digits[0][..., None] * 255 / 16).astype(np.uint8), digits[1])
    draft = only(recorder)
    assert draft.values["training"]["augmentation"] == {
        "flip": "horizontal", "fill": "nearest", "rotation": 18.0, "shift": 1.0,
    }  # fmt: skip
    assert "scaling" not in draft.values["data"]  # 0 to 1
    assert draft.values["network"]["layers"][0] == "conv 4 3x3"
    assert any("RandomContrast" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("optimizer", "training"),
    [
        (
            lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
            {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}},
        ),
        (lambda: optimizers.RMSprop(0.0005), {"optimizer": {"name": "rmsprop", "learning_rate": 0.0005}}),
        (
            lambda: optimizers.Adam(0.01, beta_2=0.99, clipnorm=2.0),
            {"optimizer": {"name": "adam", "learning_rate": 0.01, "beta_2": 0.99}, "clip_norm": 2.0},
        ),
        (
            lambda: optimizers.Adam(0.01, weight_decay=0.1),
            {"optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1}},
        ),
        (
            lambda: optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9),
            {"optimizer": {"name": "adamw", "learning_rate": 0.01}, "ema_momentum": 0.9},
        ),
        (
            lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 12, 0.9)),
            {
                "optimizer": {"name": "adam", "learning_rate": 0.01},
                "schedule": {"name": "exponential", "factor": pytest.approx(0.9 ** (15 / 12), rel=1e-4)},
            },
        ),
        (
            lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 30, 0.5, staircase=True)),
            {
                "optimizer": {"name": "adam", "learning_rate": 0.01},
                "schedule": {"name": "step", "every": 2, "factor": 0.5},
            },
        ),
        (
            lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.01, 60)),
            {"optimizer": {"name": "adam", "learning_rate": 0.01}, "schedule": {"name": "cosine"}},
        ),
    ],
    ids=["sgd", "rmsprop", "adam", "decayed adam", "adamw", "exponential", "stairs", "cosine"],
)
def test_optimizers_come_with_all_their_numbers(
    optimizer: Callable[[], Any], training: dict[str, Any], recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    model = small()
    model.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy")
    model.fit(digits[0][..., None] / 16, digits[1], epochs=4, batch_size=120)
    draft = only(recorder)
    assert draft.values["training"] == {"epochs": 4, "batch_size": 120, **training}


@pytest.mark.parametrize(
    ("callback", "training"),
    [
        (
            lambda: callbacks.EarlyStopping(
                monitor="val_accuracy", patience=3, min_delta=0.01, restore_best_weights=True
            ),
            {
                "early_stopping": {"metric": "validation_accuracy", "patience": 3, "min_delta": 0.01},
                "keep": {"best": "validation_accuracy"},
            },
        ),
        (
            lambda: callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=1e-5),
            {
                "schedule": {
                    "name": "plateau",
                    "factor": 0.5,
                    "patience": 2,
                    "metric": "validation_loss",
                    "min_learning_rate": 1e-5,
                }
            },
        ),
        (
            lambda: callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True),
            {"keep": {"best": "validation_loss"}},
        ),
        (
            lambda: callbacks.LearningRateScheduler(lambda epoch: 0.02 * 0.5**epoch),
            {
                "optimizer": {"name": "adam", "learning_rate": 0.02},
                "schedule": {"name": "step", "every": 1, "factor": 0.5},
            },
        ),
    ],
    ids=["stopping", "plateau", "checkpoint", "scheduler"],
)
def test_callbacks_become_settings(
    callback: Callable[[], Any], training: dict[str, Any], recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    small().fit(digits[0][..., None] / 16, digits[1], epochs=6, batch_size=64, callbacks=[callback()])
    adam = {"optimizer": {"name": "adam", "learning_rate": 0.001}}
    assert only(recorder).values["training"] == {"epochs": 6, "batch_size": 64, **adam, **training}


class Own(callbacks.Callback):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.parametrize(
    ("compiled", "fitted", "words"),
    [
        ({"optimizer": optimizers.Adamax(0.1)}, {}, "Adamax"),
        ({"optimizer": optimizers.SGD(weight_decay=0.1)}, {}, "decays its weights"),
        ({"optimizer": optimizers.Adam(amsgrad=True)}, {}, "amsgrad"),
        ({"loss": "mse"}, {}, "mse"),
        ({"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}, {}, "softmax"),
        ({"metrics": ["accuracy", "sparse_top_k_categorical_accuracy"]}, {}, "sparse_top_k"),
        ({"loss_weights": [2.0]}, {}, "loss_weights"),
        ({}, {"callbacks": [Own()]}, "Own"),
        ({}, {"callbacks": [callbacks.EarlyStopping("val_f1")]}, "val_f1"),
        ({}, {"callbacks": [callbacks.LearningRateScheduler(lambda e: 0.1 + e)], "epochs": 3}, "LearningRateScheduler"),
        ({}, {"callbacks": [callbacks.CSVLogger("log.csv")]}, "CSVLogger"),
        ({}, {"callbacks": [callbacks.EarlyStopping(), callbacks.EarlyStopping("loss")]}, "second EarlyStopping"),
        ({}, {"callbacks": [callbacks.EarlyStopping("val_accuracy", mode="min")]}, "improves the other way"),
        ({}, {"callbacks": [callbacks.ReduceLROnPlateau(patience=0)]}, "patience = 0"),
        ({}, {"callbacks": [callbacks.SwapEMAWeights()]}, "SwapEMAWeights is code"),
        ({"optimizer": optimizers.SGD(schedules.PolynomialDecay(0.1, 30))}, {"epochs": 3}, "PolynomialDecay"),
        ({}, {"steps_per_epoch": 5}, "5 steps of 32"),
        ({}, {"shuffle": False}, "order"),
        ({}, {"initial_epoch": 1, "epochs": 3}, "initial_epoch"),
        ({}, {"sample_weight": np.ones(1797)}, "sample_weight"),
        ({}, {"validation_split": 0.1, "validation_freq": 2}, "validation_freq"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_dropped_without_a_note_that_names_its_place(
    compiled: dict[str, Any], fitted: dict[str, Any], words: str, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    model = small()
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", **compiled})
    model.fit(digits[0][..., None] / 16, digits[1], **fitted)
    (note,) = [note for note in only(recorder).notes if words in note]
    assert note.startswith("test_capture.py:")


def test_a_scheduler_goes_before_a_plateau_whose_rates_it_overwrites(
    recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    halves = callbacks.LearningRateScheduler(lambda epoch: 0.02 * 0.5**epoch)
    both = [callbacks.ReduceLROnPlateau(), halves]
    small().fit(digits[0][..., None] / 16, digits[1], epochs=6, callbacks=both)
    draft = only(recorder)
    assert draft.values["training"]["schedule"] == {"name": "step", "every": 1, "factor": 0.5}
    assert any("ReduceLROnPlateau comes beside a scheduler" in note for note in draft.notes)


def test_loss_smoothing_and_class_weights_come_over(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    model = small()
    model.compile(optimizer="adam", loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    model.fit(digits[0][..., None] / 16, keras.utils.to_categorical(digits[1]), class_weight={0: 2.0, 8: 0.5})
    training = only(recorder).values["training"]
    assert training["label_smoothing"] == 0.1
    assert training["class_weights"] == {"0": 2.0, "8": 0.5}


@pytest.mark.parametrize(
    ("scaled", "scaling"),
    [
        (lambda x: x / 16, "unit"),
        (lambda x: np.rint(x * 255 / 16), "none"),
        (lambda x: (x - x.mean()) / x.std(), "standard"),
        (lambda x: x / 8 - 1, "note"),
        (lambda x: x, "note"),
    ],
    ids=["unit", "bytes", "standard", "minus one to one", "0 to 16"],
)
def test_scaling_is_recognised_or_noted(
    scaled: Callable[[Any], Any], scaling: str, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    small().fit(scaled(digits[0])[..., None], digits[1])
    draft = only(recorder)
    assert draft.values["data"]["name"] == "digits"
    assert draft.values["data"].get("scaling", "unit") == (scaling if scaling != "note" else "unit")
    assert any("0 to 1" in note for note in draft.notes) == (scaling == "note")


def test_parts_of_known_data_are_recognised_whatever_their_order(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    order = np.random.default_rng(7).permutation(1797)
    images, labels = digits[0][order] / 16, digits[1][order]
    small().fit(images[:1400, ..., None], labels[:1400], validation_data=(images[1400:, ..., None], labels[1400:]))
    draft = only(recorder)
    assert draft.values["data"] == {"name": "digits", "validation": 0.2209}
    assert any("397 validation images" in note for note in draft.notes)


def test_images_that_are_drawn_more_than_once_are_no_known_data_set(
    recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    drawn = np.random.default_rng(3).integers(0, 1797, 1797)
    small().fit(digits[0][drawn][..., None] / 16, digits[1][drawn])
    draft = only(recorder)
    assert "name" not in draft.values["data"]
    assert len(draft.arrays["x_train"]) == 1797
    assert any("drawn from digits, some more than once" in note for note in draft.notes)


def test_other_images_and_other_labels_are_kept_as_arrays(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    images, labels = digits[0][..., None] / 16, digits[1] % 2
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(images[:1000], labels[:1000], validation_data=(images[1000:1200], labels[1000:1200]))
    model.evaluate(images[1200:], labels[1200:])
    draft = only(recorder)
    assert {name: len(array) for name, array in draft.arrays.items()} == {
        "x_train": 1200, "y_train": 1200, "x_test": 597, "y_test": 597,
    }  # fmt: skip
    assert draft.values["data"] == {"validation": {"last": 200}}
    assert draft.arrays["x_train"].dtype == np.uint8
    study = Captured(draft, lambda *_: None).study
    assert study.data.content is not None


def endless() -> Iterator[Any]:
    while True:
        yield np.zeros((4, 8, 8, 1)), np.zeros(4)


class OwnModel(keras.Model):  # type: ignore[misc,name-defined]
    def call(self, x: Any) -> Any:
        return keras.ops.sort(x)


class OwnStep(keras.Model):  # type: ignore[misc,name-defined]
    def train_step(self, *args: Any) -> Any:
        return super().train_step(*args)


class OwnLayer(layers.Layer):  # type: ignore[misc,name-defined]
    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.scale


class TwoFaced(keras.Model):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.out, self.other = layers.Flatten(), layers.Dense(10), layers.Dense(10, activation="tanh")

    def call(self, x: Any, training: bool = False) -> Any:
        return (self.out if training else self.other)(self.flat(x))


class Block(layers.Layer):  # type: ignore[misc,name-defined]
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.first = layers.Conv2D(filters, 3, padding="same")
        self.second = layers.Conv2D(filters, 3, padding="same", activation="relu")
        self.norm = layers.BatchNormalization()

    def call(self, x: Any, training: bool = False) -> Any:
        x = keras.ops.relu(self.first(x))
        return x + self.norm(self.second(x), training=training)


class Net(keras.Model):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.block, self.flat = Block(4), layers.Flatten()
        self.drop, self.out = layers.Dropout(0.3), layers.Dense(10)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.flat(self.block(x))
        if training:
            x = self.drop(x)
        return self.out(x)


def graph() -> tuple[Any, Any]:
    image = keras.Input((8, 8, 1))
    return image, layers.Dense(10, activation="softmax")(layers.Flatten()(image))


def test_classes_that_only_call_layers_are_the_layers_that_they_call(
    recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    model = Net()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(digits[0][..., None] / 16, digits[1])
    draft = only(recorder)
    block = {"residual": ["conv 4 3x3 relu padding=same", "batchnorm"]}
    lines = ["conv 4 3x3 padding=same", "activation relu", block, "flatten", "dropout 0.3", "dense classes softmax"]
    assert draft.values["network"]["layers"] == lines


@pytest.mark.parametrize("slope", [0.2, 0.1])
def test_an_activation_s_own_number_counts_where_it_is_an_operation(
    slope: float, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    image = keras.Input((8, 8, 1))
    answer = layers.Dense(10)(layers.Flatten()(keras.ops.leaky_relu(layers.Conv2D(4, 3)(image), slope)))
    fitted(keras.Model(image, answer), digits[0][..., None] / 16, digits[1])
    draft = only(recorder)
    if slope == 0.2:
        assert "activation leakyrelu" in draft.values["network"]["layers"]
    else:
        assert "slope is 0.1" in str(draft.problems[0])


@pytest.mark.parametrize(("warmup", "final"), [(58, 0.0), (58, 0.1)])
def test_a_cosine_with_a_warm_up_comes_over(
    warmup: int, final: float, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    rate = schedules.CosineDecay(0.0, 29 * 4 - warmup, alpha=final, warmup_target=0.02, warmup_steps=warmup)
    model = small()
    model.compile(optimizer=optimizers.SGD(rate), loss="sparse_categorical_crossentropy")
    model.fit(digits[0][..., None] / 16, digits[1], epochs=4, batch_size=62)
    training = only(recorder).values["training"]
    assert training["optimizer"] == {"name": "sgd", "learning_rate": 0.02}
    assert training["schedule"] == {"name": "cosine", "warmup_epochs": 2.0, **({"final": final} if final else {})}


def test_a_warm_up_that_has_no_word_keeps_its_highest_rate(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    model = small()
    rate = schedules.CosineDecay(0.0, 10, warmup_target=0.02, warmup_steps=20)
    model.compile(optimizer=optimizers.SGD(rate), loss="sparse_categorical_crossentropy")
    model.fit(digits[0][..., None] / 16, digits[1], epochs=3)
    draft = only(recorder)
    assert 0.018 < draft.values["training"]["optimizer"]["learning_rate"] <= 0.02
    assert any("the highest" in note for note in draft.notes)


def test_two_layers_of_one_kind_of_variation_are_named(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    vary = [layers.RandomFlip("horizontal"), layers.RandomFlip("vertical"), layers.RandomRotation(0.1)]
    body = [layers.RandomRotation(0.3), layers.Flatten(), layers.Dense(10)]
    fitted(keras.Sequential([*vary, *body]), digits[0][..., None] / 16, digits[1])
    draft = only(recorder)
    assert draft.values["training"]["augmentation"] == {"flip": "both", "rotation": 108.0, "fill": "reflect"}
    assert any("rotation is varied twice" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (lambda x, y: small().fit(endless(), steps_per_epoch=3), "without an end"),
        (lambda x, y: small().fit(x, y / 7), "numbers on a scale"),
        (lambda x, y: small().fit(x, np.ones((len(x), 10)) / 3), "several numbers"),
        (lambda x, y: small().fit(x), "without labels"),
        (lambda x, y: fitted(OwnModel(), x, y), "class of your own"),
        (lambda x, y: fitted(keras.Sequential([layers.Lambda(keras.ops.sin), layers.Flatten()]), x, y), "Sin has no"),
        (lambda x, y: fitted(keras.Sequential([layers.Dense(3)]), x[:, 0, :5, 0], y), "no images"),
        (lambda x, y: fitted(OwnStep(*graph()), x, y), "train_step of its own"),
        (lambda x, y: fitted(keras.Sequential([OwnLayer(), layers.Flatten(), layers.Dense(10)]), x, y), "operation"),
        (lambda x, y: fitted(TwoFaced(), x, y), "otherwise while it trains"),
        (
            lambda x, y: fitted(keras.Sequential([layers.LeakyReLU(0.1), layers.Flatten(), layers.Dense(10)]), x, y),
            "slope",
        ),
    ],
    ids=[
        "generator",
        "scale",
        "several",
        "no labels",
        "class",
        "lambda",
        "no images",
        "step",
        "layer",
        "two faced",
        "slope",
    ],
)
def test_what_cannot_be_a_study_is_one_sentence_with_its_place(
    fit: Callable[[Any, Any], Any], words: str, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    fit(digits[0][..., None] / 16, digits[1])
    draft = only(recorder)
    assert draft.values == {}
    (problem,) = [problem for problem in draft.problems if words in problem.what]
    assert "test_capture.py:" in str(problem)
    with pytest.raises(SpecError, match=words):
        _ = Captured(draft, lambda *_: None).study


def fitted(model: Any, x: Any, y: Any) -> Any:
    model.compile(loss="sparse_categorical_crossentropy")
    return model.fit(x, y)


def test_a_model_that_never_saw_fit_has_no_study(recorder: Recorder) -> None:
    small()
    (problem,) = only(recorder).problems
    assert "never sees fit" in problem.what


def test_calls_of_fit_with_equal_settings_add_their_epochs_and_others_are_named(
    recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    model = small()
    x, y = digits[0][..., None] / 16, digits[1]
    model.fit(x, y, epochs=2)
    model.fit(x, y, epochs=3)
    model.optimizer.learning_rate = 1e-5
    model.fit(x, y, epochs=4)
    draft = only(recorder)
    assert draft.values["training"]["epochs"] == 5
    assert any("(4 epochs; other learning rate, 1e-05)" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda x, y: {"x": x[1:], "y": y[1:]}, "other images"),
        (lambda x, y: {"x": x[::-1] * 0.5, "y": y}, "other images"),
        (lambda x, y: {"x": x, "y": y, "class_weight": {0: 2.0}}, "other class weights"),
        (lambda x, y: {"x": x, "y": y, "callbacks": [callbacks.EarlyStopping()]}, "other callbacks"),
        (lambda x, y: {"x": x, "y": y, "batch_size": 7}, "other batch size"),
    ],
    ids=["fewer", "darker", "weights", "callbacks", "batch"],
)
def test_a_further_call_of_fit_names_what_it_has_otherwise(
    changed: Callable[[Any, Any], dict[str, Any]], words: str, recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    model = small()
    x, y = digits[0][..., None] / 16, digits[1]
    model.fit(x, y, epochs=2)
    model.fit(**changed(x, y), epochs=3)
    draft = only(recorder)
    assert draft.values["training"]["epochs"] == 2
    assert any(words in note and "first call alone" in note for note in draft.notes)


def test_weights_to_begin_with_are_named(digits: tuple[Any, Any]) -> None:
    model, other = small(), small()
    x, y = digits[0][..., None] / 16, digits[1]
    model.fit(x[:64], y[:64], verbose=0)
    with assay.capture():
        other.set_weights(model.get_weights())
        other.fit(x, y, batch_size=600, verbose=0)
        other.set_weights(model.get_weights())  # behind fit: nothing that it learned from
        model.fit(x, y, batch_size=600, epochs=2, verbose=0)
    first, second = assay.captured()
    (note,) = [note for note in first.notes if "weights to begin with" in note]
    assert "set_weights before fit" in note
    assert any("was trained before" in note for note in second.notes)


def test_networks_that_are_equal_are_one(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    for _ in range(3):
        small().fit(digits[0][..., None] / 16, digits[1], epochs=2)
    assert any("3 times" in note for note in only(recorder).notes)


def test_a_part_of_known_images_is_kept_with_the_data_set_s_own_test_split(
    recorder: Recorder, digits: tuple[Any, Any]
) -> None:
    from assay.data import prepare

    training = prepare("digits").training()
    images, labels = np.asarray(training.images[:300]), np.asarray(training.labels[:300])
    small().fit(images / 255, labels, batch_size=30)
    draft = only(recorder)
    assert len(draft.arrays["x_train"]) == 300
    assert len(draft.arrays["x_test"]) == 359
    assert (draft.arrays["x_train"] == images).all()
    assert any("300 images are a part of digits" in note for note in draft.notes)


class Batches(keras.utils.PyDataset):  # type: ignore[misc,name-defined]
    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return 10

    def __getitem__(self, at: int) -> tuple[Any, Any]:
        return self.x[at * 20 : at * 20 + 20], self.y[at * 20 : at * 20 + 20]


def test_a_generator_with_an_end_is_read_once(recorder: Recorder) -> None:
    images = np.random.default_rng(3).integers(0, 256, (200, 8, 8, 1), np.uint8)
    small().fit(Batches(images, np.arange(200) % 10))
    draft = only(recorder)
    assert (draft.arrays["x_train"] == images).all()
    assert draft.values["training"]["batch_size"] == 20
    assert any("Batches was read once" in note for note in draft.notes)


def test_one_output_for_many_numbers_is_no_classifier(recorder: Recorder, digits: tuple[Any, Any]) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(digits[0][..., None] / 16, digits[1])
    (problem,) = only(recorder).problems
    assert "no two classes" in problem.what


def test_images_that_were_shuffled_first_validate_on_a_drawn_share(recorder: Recorder) -> None:
    from assay.capturing import known
    from assay.capturing.datasets import data_of
    from assay.capturing.feed import Feed

    (x, y), _ = known.stand_in("mnist")
    order = np.random.default_rng(5).permutation(len(x))
    settings = {"validation": None, "split": 0.2, "tests": (), "hint": None, "place": "here"}
    try:
        assert data_of(Feed(x, y), **settings).values == {"name": "mnist", "validation": {"last": 0.2}}  # type: ignore[arg-type]
        assert data_of(Feed(x[order], y[order]), **settings).values == {"name": "mnist", "validation": 0.2}  # type: ignore[arg-type]
    finally:
        known.clear_stand_ins()


def test_what_trains_without_fit_is_not_passed_over_in_silence() -> None:
    with assay.capture():
        model = keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
        model(np.zeros((4, 8, 8, 1)))  # what a loop of one's own would take the gradient of
    with pytest.warns(UserWarning, match=r"no model was fitted since assay.capture\(\); loops of your own") as told:
        assert assay.captured() == []
    assert told[0].filename == __file__
