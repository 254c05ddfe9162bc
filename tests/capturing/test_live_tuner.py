"""A live Keras Tuner under ``capture``: the search runs as ever, and its space becomes a study with ``[search]``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import assay
from assay.errors import SpecError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = [pytest.mark.filterwarnings("ignore")]


class HyperParameters:
    """As keras_tuner's: values by name, first ones unless given."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values = dict(values or {})

    def Int(self, name: str, min_value: int, max_value: int, step: int = 1) -> int:  # noqa: N802
        return int(self.values.setdefault(name, min_value))

    def Choice(self, name: str, values: list[Any]) -> Any:  # noqa: N802
        return self.values.setdefault(name, values[0])


class HyperModel:
    def __init__(self, build: Any) -> None:
        self.build = build

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, **kwargs)


class Tuner:
    """As keras_tuner's: one network is built when it is made, and ``search`` trains one for each trial."""

    def __init__(
        self, hypermodel: Any, objective: Any = None, max_trials: int = 10, seed: Any = None, **kw: Any
    ) -> None:
        self.hypermodel = HyperModel(hypermodel)
        self.max_trials, self.project_name = max_trials, "untitled_project"
        self.trained: list[int] = []
        self.hypermodel.build(HyperParameters())

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        model = self.hypermodel.build(trial.hyperparameters)
        history = self.hypermodel.fit(trial.hyperparameters, model, *args, **kwargs)
        self.trained.append(int(np.prod(np.shape(history.history["loss"]))))
        return history

    def search(self, *args: Any, **kwargs: Any) -> None:
        for number in range(self.max_trials):
            self.run_trial(SimpleNamespace(hyperparameters=HyperParameters({"units": 8 + number})), *args, **kwargs)

    def get_best_models(self, count: int = 1) -> list[Any]:
        return [self.hypermodel.build(HyperParameters())]


class RandomSearch(Tuner):
    def __init__(self, hypermodel: Any, objective: Any = None, max_trials: int = 10, **kwargs: Any) -> None:
        super().__init__(hypermodel, objective, max_trials, **kwargs)


RandomSearch.__module__ = Tuner.__module__ = "keras_tuner.tuners"


class Own(Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        return super().run_trial(trial, *args, **kwargs)


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module with keras_tuner's names, captured from."""
    module = ModuleType("keras_tuner")
    module.RandomSearch, module.Tuner = RandomSearch, Tuner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras_tuner", module)
    with assay.capture():
        yield module


def build(hp: Any) -> Any:
    hidden = layers.Dense(hp.Int("units", 8, 32, step=8), activation="relu")
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), hidden, layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Adam(hp.Choice("rate", [1e-2, 1e-3])), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    values = load_digits()
    return values.images[..., None] / 16, values.target


def test_a_live_search_trains_as_ever_and_is_one_study(tuner: Any, digits: tuple[Any, Any]) -> None:
    searching = tuner.RandomSearch(build, "val_accuracy", max_trials=2, seed=3, directory="somewhere")
    searching.search(*digits, epochs=2, batch_size=600, validation_split=0.2, verbose=0)
    assert searching.trained == [2, 2]  # epochs that really were trained
    searching.get_best_models()
    (one,) = assay.captured()
    study = one.study
    assert study.search is not None
    assert (study.search.trials, study.search.seed, study.search.sampler) == (2, 3, "random")
    space = {name: parameter.model_dump(exclude_defaults=True) for name, parameter in study.search.space.items()}
    assert space == {"units": {"low": 8, "high": 32, "step": 8}, "rate": {"choices": (0.01, 0.001)}}
    assert "search: units, rate" in repr(one)
    with pytest.raises(SpecError, match="draws its own space"):
        one.vary(dropout=[0, 0.5])


def test_a_model_that_is_fitted_beside_a_search_is_captured_too(tuner: Any, digits: tuple[Any, Any]) -> None:
    tuner.RandomSearch(build, "val_loss", max_trials=1).search(*digits, batch_size=600, verbose=0)
    build(HyperParameters({"units": 16})).fit(*digits, batch_size=600, verbose=0)
    fitted, search = assay.captured()
    assert "search" not in fitted.study.model_fields_set
    assert search.study.search is not None


def test_a_capture_that_has_ended_still_tells_its_searches(
    monkeypatch: pytest.MonkeyPatch, digits: tuple[Any, Any]
) -> None:
    module = ModuleType("keras_tuner")
    module.RandomSearch, module.Tuner = RandomSearch, Tuner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras_tuner", module)
    with assay.capture():
        RandomSearch(build, "val_accuracy", max_trials=1).search(*digits, batch_size=600, verbose=0)
    (one,) = assay.captured()
    assert one.study.search is not None
    assert build(HyperParameters()).fit(*digits, batch_size=600, verbose=0).history["loss"][0] > 0


def test_a_tuner_with_a_run_trial_of_its_own_is_one_sentence(tuner: Any, digits: tuple[Any, Any]) -> None:
    Own(build, "val_accuracy", max_trials=1).search(*digits, batch_size=600, verbose=0)
    (one,) = assay.captured()
    assert "Own has a run_trial of its own" in str(one.problems[0])
