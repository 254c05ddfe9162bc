"""`assay.Classifier`: scikit-learn's own checks of estimators, and what these do not know of: images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import assay
from assay.errors import SpecError
from assay.train import engine

# layernorm behind a dense layer is none that kernels compute: nothing has to be compiled for each shape.
PLAIN = ("flatten", "dense 16 tanh", "layernorm", "dense classes softmax")
FAST = {"epochs": 20, "batch_size": 16, "optimizer": {"name": "adam", "learning_rate": 0.01}}


@parametrize_with_checks([assay.Classifier(PLAIN, FAST)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Without exceptions: no check is expected to fail."""
    check(estimator)


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    images, labels = load_digits(return_X_y=True)
    return images[:600], labels[:600]


IMAGES = ("conv 8 3x3 relu", "maxpool 2", "flatten", "layernorm", "dense classes softmax")
SHORT = {"epochs": 12, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}}


def test_images_and_rows_of_pixels_are_the_same(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    flat = assay.Classifier(IMAGES, SHORT, shape=(8, 8)).fit(rows[:400], labels[:400])
    images = assay.Classifier(IMAGES, SHORT).fit(rows[:400].reshape(-1, 8, 8), labels[:400])
    coloured = assay.Classifier(IMAGES, SHORT).fit(rows[:400].reshape(-1, 8, 8, 1), labels[:400])
    expected = flat.predict_proba(rows[400:])
    np.testing.assert_array_equal(images.predict_proba(rows[400:].reshape(-1, 8, 8)), expected)
    np.testing.assert_array_equal(coloured.predict_proba(rows[400:].reshape(-1, 8, 8, 1)), expected)
    assert flat.score(rows[400:], labels[400:]) > 0.8
    assert (flat.n_features_in_, images.n_features_in_, flat.image_shape_) == (64, 64, (8, 8, 1))
    assert expected.shape == (200, 10)
    np.testing.assert_allclose(expected.sum(1), 1)


def test_the_seed_says_which_weights(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits

    def weights(random_state: Any) -> NDArray[np.float32]:
        fitted = assay.Classifier(PLAIN, {"epochs": 1}, random_state=random_state).fit(rows, labels)
        return np.concatenate([value.ravel() for value in fitted.weights_.values()])

    np.testing.assert_array_equal(weights(3), weights(3))
    np.testing.assert_array_equal(weights(np.random.RandomState(1)), weights(np.random.RandomState(1)))
    assert not np.array_equal(weights(3), weights(4))
    assert not np.array_equal(weights(None), weights(None))


def test_it_trains_what_a_study_trains(tmp_path: Path, digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """The same images, layers, training and seed give the run's own weights, bit for bit."""
    rows, labels = digits
    images = np.rint(rows * 15.9).astype(np.uint8).reshape(-1, 8, 8)
    result = assay.run(
        assay.Study(
            name="one",
            data=assay.arrays(images, labels).model_copy(update={"validation": 0.25}),
            network=assay.Network(layers=IMAGES),
            training={"epochs": 2, "batch_size": 32},
            seeds=assay.Seeds(count=1, start=7),
        ),
        store=tmp_path,
        workers=1,
    )
    model = result.run().model()
    fitted = assay.Classifier(IMAGES, {"epochs": 2, "batch_size": 32}, validation=0.25, random_state=7)
    fitted.fit(images, labels)
    expected = {name: value.numpy() for name, value in model.network.state_dict().items()}
    assert fitted.weights_.keys() == expected.keys()
    for name, value in fitted.weights_.items():
        np.testing.assert_array_equal(value, expected[name])
    np.testing.assert_allclose(fitted.predict_proba(images), model.probabilities(images[..., None]), atol=1e-6)


def test_numbers_are_bytes_or_stretched() -> None:
    """784 columns of whole numbers up to 255 are bytes, whatever their type; others reach from 0 to 1."""
    rng = np.random.default_rng(0)
    whole, labels = rng.integers(0, 256, (60, 16)), np.tile([0, 1], 30)
    whole[0, 0] = 255
    seen: list[tuple[Any, float, float]] = []
    trains = engine.train

    def note(task: Any, data: Any, **options: Any) -> Any:
        seen.append((data.images.dtype, float(data.images.min()), float(data.images.max())))
        return trains(task, data, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "train", note)
        for values in (whole, whole.astype(np.float64), whole.astype(np.uint8), whole / 1000 - 3):
            assay.Classifier(PLAIN, {"epochs": 1}).fit(values, labels)
    assert [dtype for dtype, _, _ in seen] == [np.uint8, np.uint8, np.uint8, np.float32]
    assert seen[-1][1:] == (0.0, 1.0)


def test_labels_are_what_they_were(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    names = np.array(["even", "odd"])[labels % 2]
    fitted = assay.Classifier(IMAGES, {**SHORT, "class_weights": {"odd": 2.0}}, shape=(8, 8)).fit(rows, names)
    assert list(fitted.classes_) == ["even", "odd"]
    assert set(fitted.predict(rows)) == {"even", "odd"}
    assert fitted.arm_.training.class_weights == {"1": 2.0}
    with pytest.raises(SpecError, match='no class "prime"'):
        assay.Classifier(IMAGES, {"class_weights": {"prime": 2.0}}, shape=(8, 8)).fit(rows, names)


def test_searches_and_pipelines_take_it(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    estimator = assay.Classifier(IMAGES, assay.Training(epochs=2), shape=(8, 8))
    search = GridSearchCV(estimator, {"training": [assay.Training(epochs=1), assay.Training(epochs=12)]}, cv=2)
    search.fit(rows, labels)
    assert search.best_params_ == {"training": assay.Training(epochs=12)}
    assert clone(estimator).get_params() == estimator.get_params()
    scores = cross_val_score(make_pipeline(MinMaxScaler(), estimator), rows, labels, cv=2)
    assert scores.shape == (2,)
    assert search.best_estimator_.n_iter_ == len(search.best_estimator_.history_) == 12


def test_it_survives_a_pickle(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    fitted = assay.Classifier(IMAGES, {"epochs": 1}, shape=(8, 8)).fit(rows, labels)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_stopping_early_sets_images_aside(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    training = assay.Training(epochs=40, early_stopping={"patience": 0}, optimizer={"name": "sgd", "learning_rate": 1})  # type: ignore[arg-type]
    fitted = assay.Classifier(IMAGES, training, shape=(8, 8), validation=0.2).fit(rows, labels)
    assert 1 <= fitted.n_iter_ < 40
    assert all(0 <= epoch.validation_accuracy <= 1 for epoch in fitted.history_)
    with pytest.raises(SpecError, match=r"needs images that are set aside; give validation=0\.1"):
        assay.Classifier(IMAGES, training, shape=(8, 8)).fit(rows, labels)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"layers": ("conf 8 3x3",)}, 'did you mean "conv"'),
        ({"layers": IMAGES}, r"shape: .*images of one row.*give shape=\(height, width\)"),
        ({"shape": (8, 9)}, r"shape: got \(8, 9\) for rows of 64 pixels"),
        ({"training": {"epoch": 3}}, "epoch"),
        ({"n_jobs": 0}, "n_jobs: got 0"),
        ({"layers": PLAIN, "module": "nets.py:Net()"}, "module and layers are both given"),
        ({"layers": PLAIN, "training": {"augmentation": {"shift": 1}}}, "augmentation works on bytes"),
    ],
)
def test_a_parameter_that_breaks_a_rule_is_named(
    parameters: dict[str, Any], sentence: str, digits: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    rows, labels = digits
    with pytest.raises(SpecError, match=sentence):
        assay.Classifier(**parameters).fit(rows, labels)


def test_images_of_another_size_are_refused(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    with pytest.raises(NotFittedError):
        assay.Classifier().predict(rows)
    fitted = assay.Classifier(IMAGES, {"epochs": 1}).fit(rows.reshape(-1, 8, 8), labels)
    with pytest.raises(ValueError, match="images are 4 x 16 x 1, and those of fit were 8 x 8 x 1"):
        fitted.predict(rows.reshape(-1, 4, 16))


NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 10))

    def forward(self, images):
        return self.layers(images)
"""


def test_a_module_of_ones_own(tmp_path: Path, digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, labels = digits
    (tmp_path / "net.py").write_text(NET)
    fitted = assay.Classifier(module=f"{tmp_path}/net.py:Net(width=8)", training=SHORT, shape=(8, 8))
    fitted.fit(rows[:400], labels[:400])
    assert fitted.score(rows[400:], labels[400:]) > 0.8
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(rows), fitted.predict(rows))
