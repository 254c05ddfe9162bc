from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from assay.stats import effect_values, effects, factors_of, mean_interval

LEVELS = [
    {"dropout": d, "kernel": k, "filters": f}
    for d, k, f in itertools.product(("0", "0.5"), ("3x3", "5x5"), ("32", "64"))
]


def t_of(values: np.ndarray) -> float:
    return float(values.mean() / (values.std(ddof=1) / len(values) ** 0.5))


def test_effects_of_two_levels_are_repeated_measures_anova():
    scores = np.random.default_rng(6).normal(size=(7, 8)) + np.arange(8) / 10
    rows = [
        {"seed": seed, "score": scores[seed, arm], **LEVELS[arm]} for seed in range(7) for arm in range(len(LEVELS))
    ]
    table = AnovaRM(pd.DataFrame(rows), "score", "seed", within=["dropout", "kernel", "filters"]).fit().anova_table
    found = effects(LEVELS)
    assert [(e.factor, e.by) for e in found] == [
        ("dropout", ""), ("kernel", ""), ("filters", ""),
        ("dropout", "kernel"), ("dropout", "filters"), ("kernel", "filters"),
    ]  # fmt: skip
    for effect in found:
        name = f"{effect.factor}:{effect.by}" if effect.by else effect.factor
        assert t_of(effect_values(scores, effect.weights)) ** 2 == pytest.approx(table.loc[name, "F Value"])


def test_effects_by_hand():
    levels = [{"a": a, "b": b} for a, b in itertools.product(("x", "y", "z"), ("0", "1"))]
    # a: y adds 1, z adds 3; b: 1 adds 10, and 2 more where a is z.
    scores = [[0, 10, 1, 11, 3, 15]]
    told = {(e.factor, e.high, e.by, e.by_high): effect_values(scores, e.weights)[0] for e in effects(levels)}
    assert told == pytest.approx({
        ("a", "y", "", ""): 1, ("a", "z", "", ""): 4, ("b", "1", "", ""): 10 + 2 / 3,
        ("a", "y", "b", "1"): 0, ("a", "z", "b", "1"): 2,
    })  # fmt: skip
    assert all(sum(e.weights) == pytest.approx(0) for e in effects(levels))


def test_what_a_seed_adds_to_every_arm_moves_no_effect():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(6, 8))
    shifted = scores + rng.normal(size=(6, 1))
    for effect in effects(LEVELS):
        ours, theirs = effect_values(scores, effect.weights), effect_values(shifted, effect.weights)
        assert mean_interval(ours).mean == pytest.approx(mean_interval(theirs).mean)
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize(
    "levels",
    [[], [{}], [{"a": "0"}, {"a": "1"}, {"b": "1"}], LEVELS[:-1], [*LEVELS, LEVELS[0]], [{"a": "0"}, {"a": "0"}]],
)
def test_arms_that_do_not_cross_their_factors_have_no_effects(levels):
    assert factors_of(levels) == {}
    assert effects(levels) == ()


def test_a_factor_of_one_level_has_no_effect():
    assert [(e.factor, e.by) for e in effects([{"a": "0", "b": "1"}, {"a": "1", "b": "1"}])] == [("a", "")]
