"""The learning-rate range test: its curve against training, and what it says of curves whose truth is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import assay
from assay.data import prepare
from assay.errors import SpecError
from assay.spec import study_toml
from assay.train.engine import batch_of, learner_of, split_of
from assay.train.rate_range import RateCurve, rate_curve

from ..helpers import output_of, small_study, tasks_of

SGD = {
    "factors": {},
    "network": {"layers": ["flatten", "dense classes softmax"]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.05}},
}


def falling(middle: float, end: float = 1e9) -> RateCurve:
    """A loss that falls from 2.3 to 0.3 around one learning rate, and rises from another on."""
    rates = np.geomspace(1e-6, 10, 2000)
    decades = np.log10(rates)
    losses = 0.3 + 2 / (1 + np.exp(6 * (decades - np.log10(middle)))) + np.maximum(0, 8 * (decades - np.log10(end)))
    return RateCurve(0, rates, losses)


@pytest.mark.parametrize("middle", [1e-4, 1e-3, 0.03])
def test_the_steepest_fall_and_the_lowest_loss_are_found(middle: float) -> None:
    curve = falling(middle, end=1.0)
    assert abs(math.log10(curve.steepest / middle)) < 0.05
    assert 0.5 < curve.lowest < 1.5


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_single_batches_does_not_move_the_steepest_fall(seed: int) -> None:
    """200 steps whose losses deviate by 0.15, as those of batches of 64 do."""
    whole = falling(1e-2, end=1.0)
    chosen = np.linspace(0, 1999, 200).astype(int)
    noise = np.random.default_rng(seed).normal(0, 0.15, 200)
    curve = RateCurve(seed, whole.rates[chosen], whole.losses[chosen] + noise)
    assert abs(math.log10(curve.steepest / 1e-2)) < 0.5


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    rates = np.geomspace(1e-6, 1e-3, 50)
    assert math.isnan(RateCurve(0, rates, np.full(50, 2.3)).steepest)
    assert math.isnan(RateCurve(0, rates, np.linspace(2.3, 3, 50)).steepest)


def test_the_smoothed_loss_is_a_mean_with_weights_that_fall_by_step() -> None:
    losses = np.array([3.0, 2.0, 4.0])
    smoothed = RateCurve(0, np.array([1.0, 2, 3]), losses).smoothed
    for n in range(3):
        weights = 0.95 ** np.arange(n, -1, -1)
        assert smoothed[n] == pytest.approx((weights * losses[: n + 1]).sum() / weights.sum())


def test_steps_are_those_of_the_run_with_other_rates(tmp_path: Path) -> None:
    """Images, order, initial weights and steps of the run itself: losses by hand, over more than an epoch."""
    torch.set_num_threads(1)
    task = tasks_of(small_study(**SGD), tmp_path)[0]
    data = prepare("digits").training()
    curve = rate_curve(task, data, low=1e-4, high=1e-1, steps=30)
    assert np.allclose(np.diff(np.log(curve.rates)), math.log(1000) / 29)
    learner, chosen = learner_of(task, data), split_of(task, data).training
    per_epoch = math.ceil(len(chosen) / 64)
    assert per_epoch < 30
    for step, rate in enumerate(curve.rates):
        epoch, index = divmod(step, per_epoch)
        order = chosen[task.streams.generator("order", epoch).permutation(len(chosen))]
        batch = batch_of(task, data, order[index * 64 : (index + 1) * 64], step, epoch=epoch)
        loss, _ = learner.train_batch(batch, step=step, learning_rate=float(rate))
        assert curve.losses[step] == float(loss) / len(batch)


def test_it_ends_where_training_falls_apart(tmp_path: Path) -> None:
    task = tasks_of(small_study(**SGD), tmp_path)[0]
    curve = rate_curve(task, prepare("digits").training(), low=1e-3, high=1e6, steps=100)
    assert len(curve.losses) < 100
    assert curve.lowest < curve.rates[-1]
    assert np.isfinite(curve.losses).all()


def test_the_command_says_where_to_search_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = tmp_path / "small.toml", tmp_path / "range.svg"
    file.write_text(study_toml(small_study(**SGD)))
    options = (str(file), "--steps", "60", "--low", "0.0001", "--high", "10", "--seeds", "2")
    output = output_of(capsys, "lr-range", *options, "-o", str(picture))
    assert "the loss falls fastest at learning_rate" in output
    assert "not a verdict" in output
    assert picture.read_text().startswith("<?xml")
    facts = json.loads(output_of(capsys, "lr-range", *options, "--json"))
    assert [one["seed"] for one in facts["seeds"]] == [0, 1]
    assert facts["seeds"][0]["steepest"] == pytest.approx(
        assay.lr_range(str(file), steps=60, low=1e-4, high=10).curves[0].steepest
    )
    assert 0.001 < facts["suggested"] < 10
    assert facts["current"] == 0.05
    assert not (tmp_path / "assay-store").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"low": 1.0, "high": 0.1}, "0 < low < high"),
        ({"steps": 3}, "give 20 to"),
        ({"seeds": 0}, "1 or more"),
        ({"arm": "smal"}, 'no arm "smal"'),
    ],
)
def test_what_cannot_be_tested_is_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        assay.lr_range(small_study(**SGD), **options)  # type: ignore[arg-type]
