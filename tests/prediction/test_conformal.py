"""Sets of classes hold the truth as often as promised: against the exact theory, for every method."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.export import answer_code
from assay.prediction.conformal import SetMethod, conformal_quantile, draws_of, fewest_images, fit_sets, set_scores

METHODS: tuple[SetMethod, ...] = ("adaptive", "regularized", "threshold")


def predictions(count: int, seed: int, *, sure: float = 2.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities of a classifier that is too sure of itself, and true labels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 6, count)
    logits = rng.normal(size=(count, 6))
    logits[np.arange(count), truth] += rng.exponential(2, count) * (1 + (truth % 2))
    powers = np.exp(sure * logits)
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_hold_the_truth_as_often_as_the_theory_says(method: SetMethod, coverage: float) -> None:
    probabilities, labels = predictions(6000, 0)
    rng, size, held = np.random.default_rng(1), 400, []
    for _ in range(100):
        order, draws = rng.permutation(6000), rng.random(6000)
        known, new = order[:size], order[size:]
        rule = fit_sets(probabilities[known], labels[known], draws[known], coverage=coverage, method=method)
        sets = rule.sets(probabilities[new], draws[new])
        held.append(sets[np.arange(len(new)), labels[new]].mean())
    promised = math.ceil((size + 1) * coverage) / (size + 1)
    # One split's coverage is a beta variable with this deviation, and 5,600 new images add theirs.
    deviation = math.sqrt(coverage * (1 - coverage) * (1 / (size + 2) + 1 / 5600))
    assert np.mean(held) == pytest.approx(promised, abs=4 * deviation / 10)
    assert np.std(held) == pytest.approx(deviation, rel=0.35)


def test_by_class_the_promise_holds_within_each() -> None:
    probabilities, labels = predictions(20_000, 2)
    draws = np.random.default_rng(3).random(20_000)
    known, new = slice(0, 10_000), slice(10_000, None)
    shares = {}
    for by_class in (False, True):
        rule = fit_sets(probabilities[known], labels[known], draws[known], coverage=0.9, by_class=by_class)
        held = rule.sets(probabilities[new], draws[new])[np.arange(10_000), labels[new]]
        shares[by_class] = np.array([held[labels[new] == label].mean() for label in range(6)])
    assert np.abs(shares[True] - 0.9).max() < 4 * (0.09 * 2 / 1600) ** 0.5
    assert np.abs(shares[False] - 0.9).max() > 0.025  # the weaker classes pay for the others


def test_scores_are_the_published_formulas() -> None:
    probabilities = np.array([[0.5, 0.1, 0.4]], np.float32)
    assert set_scores(probabilities, np.array([0.25]), "adaptive")[0] == pytest.approx([0.125, 0.925, 0.6])
    assert set_scores(probabilities, np.array([0.25]), "regularized")[0] == pytest.approx([0.125, 0.935, 0.6])
    assert set_scores(probabilities, np.array([0.25]), "threshold")[0] == pytest.approx([0.5, 0.9, 0.6])
    assert conformal_quantile(np.arange(1.0, 10.0), 0.9) == 9  # the ceil(10 * 0.9)-th of nine
    assert conformal_quantile(np.arange(1.0, 9.0), 0.9) == math.inf
    assert [fewest_images(coverage) for coverage in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]


def test_empty_sets_can_be_filled() -> None:
    sure, labels = predictions(3000, 4, sure=8.0)
    draws = np.random.default_rng(5).random(3000)
    plain = fit_sets(sure, labels, draws, coverage=0.6)
    full = fit_sets(sure, labels, draws, coverage=0.6, never_empty=True)
    assert plain.empty > 0.05
    assert plain.accuracy > 0.6
    sets = full.sets(sure, draws)
    assert sets.any(1).all()
    was_empty = ~plain.sets(sure, draws).any(1)
    assert (sets[was_empty].argmax(1) == sure[was_empty].argmax(1)).all()
    assert (sets[~was_empty] == plain.sets(sure, draws)[~was_empty]).all()


def test_an_image_always_gets_the_same_draw_and_draws_are_uniform() -> None:
    images = np.random.default_rng(6).integers(0, 256, (2000, 8, 8, 1), dtype=np.uint8)
    draws = draws_of(images)
    assert (draws == draws_of(images[::-1])[::-1]).all()
    assert np.sort(draws) == pytest.approx((np.arange(2000) + 0.5) / 2000, abs=0.04)


@pytest.mark.parametrize("method", METHODS)
def test_the_exported_code_makes_the_same_sets(
    method: SetMethod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probabilities, labels = predictions(500, 7)
    draws = np.random.default_rng(8).random(500)
    rule = fit_sets(probabilities, labels, draws, coverage=0.7, method=method, never_empty=True)
    answers = {
        "classes": list("abcdef"),
        "sets": {"method": method, "thresholds": rule.thresholds, "never_empty": True},
        "refusal": {"refuse_above": 1.0},
    }
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    exec(answer_code(has_sets=True, has_refusal=True), namespace)
    make: object = namespace["class_set"]
    assert callable(make)
    expected = [["abcdef"[label] for label in np.flatnonzero(row)] for row in rule.sets(probabilities, draws)]
    assert [make(row, draw) for row, draw in zip(probabilities, draws, strict=True)] == expected
    refuse: object = namespace["is_refused"]
    assert callable(refuse)
    assert (refuse(1.2), refuse(0.9)) == (True, False)


def test_bad_input_is_one_sentence() -> None:
    probabilities, labels = predictions(50, 9)
    draws = np.zeros(50)
    for coverage in (0.0, 1.0, 1.5, -1.0):
        with pytest.raises(SpecError, match=f"the coverage is {coverage:g}; give a share between 0 and 1"):
            fit_sets(probabilities, labels, draws, coverage=coverage)
    with pytest.raises(SpecError, match=r"there are 50 calibration images, and a coverage of 0.99 takes 99"):
        fit_sets(probabilities, labels, draws, coverage=0.99)
    probabilities, labels = predictions(300, 9)
    draws = np.zeros(300)
    few = np.flatnonzero((labels != 2) | (np.cumsum(labels == 2) <= 5))
    with pytest.raises(SpecError, match=r'there are 5 calibration images of "c", and a coverage of 0.9 takes 9'):
        fit_sets(probabilities[few], labels[few], draws[few], by_class=True, classes="abcdef")
    with pytest.raises(SpecError, match="sets of classes need two classes or more, and there is one"):
        fit_sets(np.ones((20, 1), np.float32), np.zeros(20, np.int64), draws[:20])
    with pytest.raises(SpecError, match='there are no "adaptiv" sets; did you mean "adaptive"'):
        fit_sets(probabilities, labels, draws, method="adaptiv")  # type: ignore[arg-type]
