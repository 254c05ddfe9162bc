"""How much seeds differ: predictions against simulated networks whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.stats.crossed import crossing_of_seeds
from assay.stats.seed_spread import (
    SeedSpread,
    noise_of_errors,
    noise_of_probabilities,
    shift_of_epochs,
    spread_of_one,
    spread_of_seeds,
    variance_by_class,
)

IMAGES, POOL = 2000, 20_000


def hits(rng: np.random.Generator, chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which images a network gets right whose errors are independent."""
    return (rng.uniform(size=len(chances)) < chances).astype(float)


def drawn(rng: np.random.Generator, votes: NDArray[np.float64]) -> NDArray[np.int64]:
    """A class for each image, by these chances."""
    return np.asarray((rng.uniform(size=(len(votes), 1)) > votes.cumsum(1)[:, :-1]).sum(1))


def test_two_runs_predict_the_spread_of_independent_errors_on_one_split() -> None:
    rng = np.random.default_rng(1)
    chances = rng.beta(3, 0.4, size=IMAGES)
    truth = np.mean(chances * (1 - chances)) / IMAGES
    predicted = [
        spread_of_seeds(crossing_of_seeds([hits(rng, chances), hits(rng, chances)], np.arange(IMAGES))).predicted
        for _ in range(40)
    ]
    assert np.mean(predicted) == pytest.approx(truth, rel=0.03)
    assert np.std(predicted) < 0.15 * truth  # a single difference of two accuracies is off by 140 %


def test_splits_of_their_own_add_what_images_differ_by() -> None:
    rng = np.random.default_rng(2)
    chances = rng.beta(3, 0.4, size=POOL)
    means, predicted = [], []
    for _ in range(150):
        images = [np.sort(rng.permutation(POOL)[:IMAGES]) for _ in range(2)]
        rows = [hits(rng, chances[of_seed]) for of_seed in images]
        means += [row.mean() for row in rows]
        predicted.append(spread_of_seeds(crossing_of_seeds(rows, images)).predicted)
    assert np.mean(predicted) == pytest.approx(np.var(means, ddof=1), rel=0.2)
    assert np.mean(predicted) == pytest.approx(chances.mean() * (1 - chances.mean()) / IMAGES, rel=0.15)


def test_classes_that_move_as_wholes_are_seen_where_independent_errors_miss_them() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(IMAGES) % 10
    truth, missed, seen = 0.05**2 / 10, [], []  # ten classes, each with a luck of its own by the seed
    for _ in range(60):
        rows = [hits(rng, 0.8 + 0.05 * rng.normal(size=10)[labels]) for _ in range(2)]
        spread = spread_of_seeds(
            crossing_of_seeds(rows, np.arange(IMAGES)), classes=variance_by_class(rows, [labels, labels])
        )
        missed.append(spread.independent)
        seen.append(spread.classes)
    noise = 0.8 * 0.2 / IMAGES
    assert np.mean(missed) < 0.5 * (truth + noise)
    assert np.mean(seen) == pytest.approx(truth + noise, rel=0.15)


def test_one_network_of_a_calibrated_ensemble_tells_what_fresh_seeds_would_do() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(20_000, 5)) * 2.5
    votes = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = drawn(rng, votes)
    chances = votes[np.arange(len(votes)), labels]  # of a network to be right, where the ensemble is calibrated
    truth = float(np.mean(chances * (1 - chances)))
    accuracy = float(votes.max(1).mean())
    assert noise_of_probabilities(votes, accuracy) == pytest.approx(truth, rel=0.03)
    too_sure = votes**3 / (votes**3).sum(1, keepdims=True)
    assert noise_of_probabilities(too_sure, accuracy) == pytest.approx(truth, rel=0.03)
    wrong = float(np.mean(drawn(rng, votes) != labels))
    assert noise_of_errors(wrong) > truth  # it counts networks that are wrong in different ways as well


def test_errors_alone_are_exact_for_two_classes() -> None:
    rng = np.random.default_rng(5)
    votes = rng.beta(0.3, 0.3, size=200_000)  # for the first class
    labels = rng.uniform(size=len(votes)) < votes
    chances = np.where(labels, votes, 1 - votes)
    assert noise_of_errors(float(1 - chances.mean())) == pytest.approx(np.mean(chances * (1 - chances)), rel=0.02)


def test_jumps_between_epochs_are_a_variance_and_a_straight_rise_is_none() -> None:
    rng = np.random.default_rng(6)
    rise = np.linspace(0.5, 0.9, 40)
    assert shift_of_epochs([rise]) == pytest.approx(0.0, abs=1e-12)
    curves = rise + 0.02 * rng.normal(size=(400, 40))
    assert shift_of_epochs(curves) == pytest.approx(0.02**2, rel=0.1)
    assert shift_of_epochs(curves[:, :2]) == 0.0


def test_more_images_shrink_what_is_theirs_and_nothing_else() -> None:
    independent = SeedSpread(noise=0.08, image=0.02, images=1000, overlap=1.0)
    assert independent.variance(4000) == pytest.approx(independent.variance() / 4)
    whole = SeedSpread(noise=0.08, image=0.02, images=1000, overlap=1.0, measured=0.01, seeds=1001)
    assert whole.variance(1e9) == pytest.approx(whole.joined - whole.independent)
    drawn = SeedSpread(noise=0.08, image=0.02, images=1000, overlap=0.1)
    assert drawn.extra(2000) == pytest.approx(drawn.extra(), rel=0.02)  # the same 10,000 images stand behind both


def test_what_was_measured_counts_more_the_more_seeds_there_are() -> None:
    one = SeedSpread(noise=0.1, image=0.0, images=1000, overlap=1.0)
    assert one.joined == one.predicted
    few = SeedSpread(noise=0.1, image=0.0, images=1000, overlap=1.0, measured=4e-4, seeds=2)
    many = SeedSpread(noise=0.1, image=0.0, images=1000, overlap=1.0, measured=4e-4, seeds=101)
    assert one.joined < few.joined < many.joined < 4e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise_of_errors(1.2), "error rate"),
        (lambda: noise_of_probabilities([0.5, 0.5], 0.9), "images, classes"),
        (lambda: noise_of_probabilities([[0.5, 0.5]], 2.0), "accuracy"),
        (lambda: shift_of_epochs([0.5, 0.6]), "row of epochs"),
        (lambda: spread_of_one([1.0], 0.1, overlap=1.0), "two images"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
