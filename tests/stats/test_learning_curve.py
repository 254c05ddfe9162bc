"""Learning curves: bands hold what curves of known truth come to, and say so in the measure's own direction."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import TooFewSeeds
from assay.stats import learning_curve
from assay.stats.learning_curve import FAMILIES

SIZES = (25, 50, 100, 200, 400)

TRUTHS = {
    "power law": lambda n: 0.02 + 0.9 * n**-0.4,
    "power law to zero": lambda n: 1.2 * n**-0.55,
    "logarithm": lambda n: 0.5 - 0.045 * np.log(n),
    "stretched exponential": lambda n: 0.05 + 0.7 * np.exp(-0.25 * n**0.4),
    "late start": lambda n: 0.03 + 0.87 / (1 + (n / 60) ** 0.8),
    "levels off": lambda n: 0.1 + 0.8 * np.exp(-n / 60),
}


def scores(truth, rng, *, sizes=SIZES, seeds=5, spread=0.006, shared=0.004):
    """Accuracies by size and seed: a seed moves all sizes alike, and each by itself, more where there is more loss."""
    loss = truth(np.array(sizes, float))
    noise = rng.normal(size=(len(sizes), seeds)) * spread * np.sqrt(loss / loss[-1])[:, None]
    return 1 - loss[:, None] + noise + shared * rng.normal(size=seeds)


def held(name: str, num_curves: int) -> list[bool]:
    """Whether the band of each curve, fitted up to 400 images, holds the truth at 1,600."""
    rng, truth = np.random.default_rng(8), 1 - TRUTHS[name](1600.0)
    curves = (
        learning_curve(list(scores(TRUTHS[name], rng)), SIZES, guessing=0.1, seed=seed) for seed in range(num_curves)
    )
    return [at.low <= truth <= at.high for at in (curve.at(1600) for curve in curves)]


def test_bands_hold_the_truth_at_four_times_the_images():
    """Of 36 curves, six of each truth: were 95 % held, fewer than 30 would be in one of 500 such tests."""
    assert sum(sum(held(name, 6)) for name in TRUTHS) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_bands_hold_each_truth(name):
    """Of 100 curves at least 90; of a truth that levels off at once, which no size hints at, more than half."""
    assert sum(held(name, 100)) >= (55 if name == "levels off" else 90)


def test_what_more_images_bring_is_told_better_than_where_they_lead():
    """What a seed does to all sizes alike falls out of a gain."""
    rows = scores(TRUTHS["power law"], np.random.default_rng(2), spread=0.001, shared=0.03)
    curve = learning_curve(list(rows), SIZES, guessing=0.1)
    gain, at = curve.gain(400), curve.at(800)
    true_gain = TRUTHS["power law"](400.0) - TRUTHS["power law"](800.0)
    assert gain.low <= true_gain <= gain.high
    assert gain.high - gain.low < 0.5 * (at.high - at.low)


def test_more_seeds_and_nearer_sizes_make_the_band_narrower():
    truth = TRUTHS["power law"]
    few, many = (
        learning_curve(list(scores(truth, np.random.default_rng(3), seeds=seeds)), SIZES, guessing=0.1)
        for seeds in (3, 40)
    )
    width = {name: curve.at(1600).high - curve.at(1600).low for name, curve in (("few", few), ("many", many))}
    assert width["many"] < width["few"]
    near = many.at(800)
    assert near.high - near.low < width["many"]


def test_a_loss_falls_as_an_accuracy_rises():
    truth = TRUTHS["power law"]
    rows = scores(truth, np.random.default_rng(4))
    accuracy = learning_curve(list(rows), SIZES, guessing=0.1)
    loss = learning_curve(list(1 - rows), SIZES, guessing=0.9, best=0.0)
    assert loss.gain(400).mean == pytest.approx(-accuracy.gain(400).mean, abs=1e-9)
    assert loss.at(800).low == pytest.approx(1 - accuracy.at(800).high, abs=1e-9)


def test_the_same_scores_give_the_same_band_and_all_families_have_a_say():
    rows = list(scores(TRUTHS["late start"], np.random.default_rng(5)))
    one, other = (learning_curve(rows, SIZES, guessing=0.1) for _ in range(2))
    assert one.at(1600) == other.at(1600)
    assert set(one.weights) == set(FAMILIES)
    assert sum(one.weights.values()) == pytest.approx(1.0)


def test_perfect_scores_stay_perfect():
    curve = learning_curve([[1.0] * 4] * 4, [10, 20, 40, 80], guessing=0.1, resolution=0.001)
    assert curve.at(160).low > 0.995
    assert curve.at(160).high <= 1.0


@pytest.mark.parametrize(
    ("rows", "sizes", "sentence"),
    [
        (3, [10, 20, 40], "a curve needs 4 sizes"),
        (4, [10, 20, 20, 40], "numbers above 0 that rise"),
        (4, [0, 20, 30, 40], "numbers above 0 that rise"),
    ],
)
def test_what_is_no_curve_is_refused(rows, sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        learning_curve([[0.5, 0.6, 0.7]] * rows, sizes, guessing=0.1)


def test_too_few_seeds_and_scores_that_diverged_are_refused():
    sizes = [10, 20, 40, 80]
    with pytest.raises(TooFewSeeds, match="a size has 2 scores"):
        learning_curve([[0.5, 0.6, 0.7]] * 3 + [[0.5, 0.6]], sizes, guessing=0.1)
    with pytest.raises(ValueError, match="a score is not finite"):
        learning_curve([[0.5, np.nan, 0.7]] * 4, sizes, guessing=0.1)
    with pytest.raises(ValueError, match="the best value is"):
        learning_curve([[0.5, 0.6, 0.7]] * 4, sizes, guessing=1.0)
