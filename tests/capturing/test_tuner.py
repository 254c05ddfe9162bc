"""Files that search with Keras Tuner become studies with ``[search]``: their space as it is, or a sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from assay.capturing.isolated.child import Outcome, run_file
from assay.capturing.isolated.guard import Guard
from assay.convert.draft import Draft
from assay.convert.study import study_values
from assay.spec import Study
from assay.spec.files import parse_study, study_toml

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")
pytestmark = [pytest.mark.filterwarnings("ignore")]
HEAD = """
import keras
import keras_tuner as kt
from keras import layers
from sklearn.datasets import load_digits
data = load_digits()
x, y = data.images[..., None] / 16, data.target

def ended(model, optimizer="adam"):
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
SEARCH = """
tuner = kt.RandomSearch(build, objective="val_accuracy", max_trials=5)
tuner.search(x, y, epochs=3, validation_split=0.2)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(code: str) -> Outcome:
        (tmp_path / "train.py").write_text(HEAD + code)
        return run_file(tmp_path / "train.py", Guard(tmp_path))

    return run


def study_of(outcome: Outcome) -> Study:
    """The study, written as a file and read again."""
    (draft,) = outcome.drafts
    assert draft.problems == ()
    study = Study.of(study_values(Path("train.py"), "train", [(draft.name, draft.values)]))
    return parse_study(study_toml(study), file="train.toml", name="train", folder=Path("."))


def space_of(study: Study) -> dict[str, Any]:
    assert study.search is not None
    return {name: one.model_dump(exclude_defaults=True) for name, one in study.search.space.items()}


def notes_of(outcome: Outcome) -> str:
    return "\n".join([*outcome.missing, *outcome.notes, *(note for draft in outcome.drafts for note in draft.notes)])


def test_numbers_become_ranges_with_their_steps_and_logs(run: Any) -> None:
    code = """
def build(hp):
    size = hp.Int("kernel size", 3, 5, step=2)
    model = keras.Sequential([keras.Input((8, 8, 1))])
    model.add(layers.Conv2D(hp.Int("filters", 4, 16, step=4), size, activation=hp.Choice("act", ["relu", "tanh"])))
    model.add(layers.Flatten())
    model.add(layers.Dropout(hp.Float("drop", 0.1, 0.5, step=0.1)))
    return ended(model, keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2, sampling="log")))
"""
    study = study_of(run(code + SEARCH))
    assert study.network is not None
    assert list(study.network.layers) == [
        "conv {filters} {kernel_size}x{kernel_size} {act}", "flatten", "dropout {drop}", "dense classes softmax",
    ]  # fmt: skip
    assert space_of(study) == {
        "kernel_size": {"low": 3, "high": 5, "step": 2},
        "filters": {"low": 4, "high": 16, "step": 4},
        "act": {"choices": ("relu", "tanh")},
        "drop": {"low": 0.1, "high": 0.5, "step": 0.1},
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    }
    assert study.search is not None
    assert (study.search.trials, study.search.sampler, study.search.objective) == (
        5,
        "random",
        ("validation_accuracy",),
    )
    assert study.model_dump()["training"]["optimizer"]["learning_rate"] == "{lr}"
    assert study.data.name == "digits"


def test_layers_present_or_not_and_counts_become_levels(run: Any) -> None:
    code = """
def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
    for at in range(hp.Int("depth", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{at}", 8, 32, step=8), activation="relu"))
    if hp.Boolean("drop"):
        model.add(layers.Dropout(hp.Float("rate", 0.1, 0.6)))
    return ended(model)
"""
    study = study_of(run(code + SEARCH))
    assert study.network is not None
    assert list(study.network.layers) == [
        "flatten",
        "dense {units_0} relu",
        "{depth}",
        "{drop}",
        "dense classes softmax",
    ]
    space = space_of(study)
    assert space["depth"]["choices"] == {
        "1": [], "2": ["dense {units_1} relu"], "3": ["dense {units_1} relu", "dense {units_2} relu"],
    }  # fmt: skip
    assert space["drop"]["choices"] == {"false": [], "true": ["dropout {rate}"]}
    assert {name: one.get("when") for name, one in space.items() if "when" in one} == {
        "units_1": {"depth": (2, 3)}, "units_2": {"depth": 3}, "rate": {"drop": "true"},
    }  # fmt: skip


def test_an_optimizer_by_name_and_a_value_that_is_computed_become_levels(run: Any) -> None:
    code = """
def build(hp):
    width = hp.Choice("width", [4, 8])
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(width, 3), layers.Conv2D(2 * width, 3)])
    model.add(layers.Flatten())
    return ended(model, hp.Choice("optimizer", ["adam", "sgd"]))
"""
    study = study_of(run(code + SEARCH))
    space = space_of(study)
    assert space["width"]["choices"]["8"] == ["conv 8 3x3", "conv 16 3x3"]
    assert space["optimizer"]["choices"]["sgd"] == {"name": "sgd", "learning_rate": 0.01}
    assert study.model_dump()["training"]["optimizer"] == "{optimizer}"


def test_hyperband_and_a_batch_size_of_a_hypermodel(run: Any) -> None:
    code = """
class Network(kt.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
        model.add(layers.Dense(hp.Int("units", 8, 64, sampling="log"), activation="relu"))
        return ended(model)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

tuner = kt.Hyperband(Network(), objective=kt.Objective("val_loss", "min"), max_epochs=9, factor=3, seed=7,
                     executions_per_trial=2, directory="d", project_name="p", max_model_size=5000)
stop = keras.callbacks.EarlyStopping("val_loss", patience=2)
tuner.search(x, y, epochs=50, validation_split=0.2, callbacks=[stop])
best = tuner.get_best_hyperparameters(1)[0]
print(best.get("units"))
model = tuner.hypermodel.build(best)
model.fit(x, y, epochs=20)
"""
    outcome = run(code)
    study = study_of(outcome)
    search = study.search
    assert search is not None
    assert search.halving is not None
    assert (search.halving.method, search.halving.reduction, search.sampler) == ("hyperband", 3, "random")
    assert (search.seed, search.replicates, search.objective) == (7, 2, ("validation_loss",))
    assert search.constraints == ("parameters <= 5000",)
    training = study.model_dump()["training"]
    assert (training["epochs"], training["batch_size"]) == (9, "{batch_size}")
    assert training["early_stopping"]["patience"] == 2
    assert space_of(study)["units"] == {"low": 8, "high": 64, "log": True}
    assert "builds the network of the best values" in notes_of(outcome)


def test_a_trial_s_own_settings_count(run: Any) -> None:
    code = """
def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(hp.Int("units", 8, 16))])
    return ended(model)

class Tuner(kt.BayesianOptimization):
    def run_trial(self, trial, *args, **kwargs):
        kwargs["batch_size"] = trial.hyperparameters.Int("batch", 32, 128, step=32)
        return super().run_trial(trial, *args, **kwargs)

build(kt.HyperParameters()).summary()
tuner = Tuner(build, "val_accuracy", max_trials=3)
tuner.search(x, y, validation_split=0.1)
"""
    study = study_of(run(code))
    assert study.search is not None
    assert study.search.sampler == "gp"
    assert study.model_dump()["training"]["batch_size"] == "{batch}"
    assert space_of(study)["batch"] == {"low": 32, "high": 128, "step": 32}


def test_given_bounds_replace_those_of_the_build_function(run: Any) -> None:
    code = """
def build(hp):
    layer = layers.Dense(hp.Int("units", 8, 512), activation=hp.Choice("act", ["relu", "tanh"]))
    return ended(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layer]))

hp = kt.HyperParameters()
hp.Int("units", 16, 32, step=16)
tuner = kt.RandomSearch(build, objective="val_accuracy", max_trials=2, hyperparameters=hp, tune_new_entries=False)
tuner.search(x, y)
"""
    study = study_of(run(code))
    assert space_of(study) == {"units": {"low": 16, "high": 32, "step": 16}}
    assert study.network is not None
    assert study.network.layers[1] == "dense {units} relu"


def test_what_is_no_value_is_held_and_named(run: Any) -> None:
    code = """
def build(hp):
    rate = 10 ** hp.Float("exponent", -4, -2, default=-3)
    layer = layers.Dense(hp.Int("units", 8, 32))
    hp.Int("patience", 1, 5)
    return ended(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layer]), keras.optimizers.Adam(rate))
tuner = kt.GridSearch(build, objective="val_f1", tuner_id="a")
tuner.search(x, y)
"""
    outcome = run(code)
    assert list(space_of(study_of(outcome))) == ["units"]
    notes = notes_of(outcome)
    assert "exponent changes more than the value that it is; it is held at -3" in notes
    assert "patience changes nothing that a study has" in notes
    assert "the objective val_f1 is not recorded here" in notes
    assert "a grid is [factors]" in notes
    assert "tuner_id = a" in notes


REFUSED = {
    "tangled": (
        """
def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
    a, b = hp.Boolean("a"), hp.Boolean("b")
    if a and b:
        model.add(layers.Dropout(0.5))
    return ended(model)
""",
        "builds what placeholders do not express",
    ),
    "fails": ("def build(hp):\n    return hp.Int('units', 1, 2) / 0\n", "ZeroDivisionError"),
    "nothing": (
        "def build(hp):\n    return ended(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()]))\n",
        "no hyperp",
    ),
    "no model": ("def build(hp):\n    return None\n", "fails"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_placeholders_cannot_express_gets_a_sentence(case: str, run: Any) -> None:
    code, message = REFUSED[case]
    (draft,) = run(code + SEARCH).drafts
    assert isinstance(draft, Draft)
    assert draft.values == {}
    (problem,) = draft.problems
    assert message in str(problem)
    assert "train.py:" in str(problem)
