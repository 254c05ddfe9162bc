"""When a run ends and which epoch counts, against Keras's own callbacks on made-up histories."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.spec import Training
from assay.train.epochs import EpochRecord
from assay.train.stopping import is_over, kept_epoch

pytestmark = pytest.mark.filterwarnings(  # Keras on torch meets NumPy 2
    r"ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras\.src\.backend"
)

EPOCHS = 30
METRICS = ["validation_loss", "validation_accuracy", "train_loss", "running_loss", "running_accuracy"]


def histories(metric: str, count: int = 6) -> list[list[EpochRecord]]:
    """Noisy curves that level off, on a grid of 1/64 so that ties are common and exact in float32 too."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        falling = np.exp(-np.arange(EPOCHS) / rng.uniform(1, 8)) + rng.uniform(0, 0.2, EPOCHS)
        values = np.round(64 * (1 - falling / 2 if metric.endswith("accuracy") else falling)) / 64
        made.append([record(epoch, metric, float(value)) for epoch, value in enumerate(values, start=1)])
    return made


def record(epoch: int, metric: str, value: float) -> EpochRecord:
    others = dict.fromkeys(("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"), 0.5)
    rest = {"running_loss": 0.5, "running_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0}
    return EpochRecord(epoch=epoch, **{**others, **rest, metric: value})


def a_model() -> keras.Sequential:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.stop_training = False
    return model


def mode_of(metric: str) -> str:
    return "max" if metric.endswith("accuracy") else "min"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("settings", [{"patience": 0}, {"patience": 2}, {"patience": 5, "min_delta": 0.0625}], ids=str)
def test_a_run_stops_at_the_epoch_at_which_keras_stops(metric: str, settings: dict[str, Any]) -> None:
    training = Training.of({"epochs": EPOCHS, "early_stopping": {"metric": metric, **settings}})
    lengths = set()
    for history in histories(metric):
        model = a_model()
        theirs = keras.callbacks.EarlyStopping(monitor="watched", mode=mode_of(metric), **settings)
        theirs.set_model(model)
        theirs.on_train_begin()
        length = next(n for n in range(1, EPOCHS + 1) if is_over(training, history[:n]))
        for epoch in range(length):
            assert not model.stop_training
            theirs.on_epoch_end(epoch, {"watched": getattr(history[epoch], metric)})
        assert model.stop_training or length == EPOCHS
        lengths.add(length)
    assert len(lengths) > 1


@pytest.mark.parametrize("metric", METRICS)
def test_the_epoch_that_is_kept_is_the_last_that_keras_saved(metric: str, tmp_path: Path) -> None:
    training = Training.of({"keep": {"best": metric}})
    for history in histories(metric, count=3):
        model, saved = a_model(), []
        path = str(tmp_path / "best.weights.h5")
        theirs = keras.callbacks.ModelCheckpoint(
            path, monitor="watched", mode=mode_of(metric), save_best_only=True, save_weights_only=True
        )
        model.save_weights = lambda *args, saved=saved, **options: saved.append(len(saved))
        theirs.set_model(model)
        expected = 0
        for done in history:
            before = len(saved)
            theirs.on_epoch_end(done.epoch - 1, {"watched": getattr(done, metric)})
            expected = done.epoch if len(saved) > before else expected
            assert kept_epoch(training, history[: done.epoch]) == expected
        assert 1 < len(saved) < EPOCHS


def test_without_a_rule_a_run_goes_to_its_end_and_keeps_it() -> None:
    history = [record(epoch, "train_loss", 1.0) for epoch in range(1, 6)]
    training = Training(epochs=5)
    assert [is_over(training, history[:n]) for n in range(6)] == [False] * 5 + [True]
    assert is_over(Training(epochs=5, stop_after=2), history[:2])
    assert kept_epoch(training, history) == 5
    with pytest.raises(ValueError, match="no epoch is recorded"):
        kept_epoch(training, [])


def test_of_equal_epochs_the_first_is_kept() -> None:
    history = [record(epoch, "validation_accuracy", value) for epoch, value in enumerate((0.5, 0.75, 0.75), start=1)]
    assert kept_epoch(Training.of({"keep": {"best": "validation_accuracy"}}), history) == 2
