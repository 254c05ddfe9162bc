"""Studies that grow: false calls over every look, by simulation. Fast by default, 20,000 studies behind ``slow``."""

from __future__ import annotations

import numpy as np
import pytest

from assay.stats import History, Look, Spending, decide
from assay.stats.needed import needed

from . import real_null
from .looks_simulation import (
    PATTERNS,
    SHAPES,
    added_later,
    advised_seeds,
    called,
    following_advice,
    while_running,
)
from .test_error_rates import most

STUDIES = [pytest.param(1000, id="1,000 studies"), pytest.param(20_000, marks=pytest.mark.slow, id="20,000 studies")]


@pytest.mark.parametrize("studies", STUDIES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_however_often_a_study_is_looked_at_it_rarely_calls_what_is_not_there(pattern, shape, studies):
    looks, spending = PATTERNS[pattern]
    values = SHAPES[shape](np.random.default_rng(19), (studies, looks[-1]))
    assert called(values, looks, spending)[-1].mean() <= most(studies)


@pytest.mark.parametrize(
    ("pattern", "effect", "power"),
    [
        ("planned, 10", 1.0, 0.77),
        ("10, then 40", 1.0, 0.99),
        # 0.75 was wanted: with 0.77 at 10 pairs and 5 % in all no test has more than 0.72 (Neyman and Pearson).
        ("10, then 40", 0.5, 0.70),
        ("stops when decided, 6 to 40", 0.5, 0.74),
        ("stops when decided, 6 to 40", 1.0, 0.99),
    ],
)
@pytest.mark.parametrize("studies", STUDIES)
def test_the_planned_look_keeps_its_power_and_extensions_add_to_it(pattern, effect, power, studies):
    looks, spending = PATTERNS[pattern]
    values = np.random.default_rng(20).normal(size=(studies, looks[-1])) + effect
    assert called(values, looks, spending)[-1].mean() >= power - 3 * (power * (1 - power) / studies) ** 0.5


@pytest.mark.parametrize(
    ("maximum", "studies"),
    [(40, 2000), pytest.param(40, 40_000, marks=pytest.mark.slow), pytest.param(300, 20_000, marks=pytest.mark.slow)],
)
def test_following_the_printed_advice_until_decided_calls_no_more(maximum, studies):
    values = np.random.default_rng(21).normal(size=(studies, maximum))
    assert following_advice(values) / studies <= most(studies)


def test_the_simulated_advice_is_that_of_the_verdicts():
    rng, plan = np.random.default_rng(23), Spending(10)
    for effect in (0.2, 0.4, 0.6):
        values = rng.normal(size=10)
        values = (values - values.mean()) / values.std(ddof=1) + effect
        advised = needed(History((Look(values, 10),), plan), 0.05, None).seeds
        (simulated,) = advised_seeds(np.array([effect]), (10,), plan, 500)
        assert 10 + advised == pytest.approx(simulated, abs=1)


@pytest.mark.parametrize("studies", STUDIES)
def test_looks_while_a_study_runs_call_no_more(studies):
    assert while_running(studies) <= most(studies)


@pytest.mark.parametrize("studies", [pytest.param(120), pytest.param(4000, marks=pytest.mark.slow)])
def test_arms_added_after_the_first_answer_pay_for_themselves(studies):
    assert added_later(studies) <= most(studies)


@pytest.mark.parametrize("pattern", ["10, 20, 40", "stops when decided, 6 to 40"])
def test_the_simulated_rule_is_that_of_the_verdicts(pattern):
    looks, spending = PATTERNS[pattern]
    values = np.random.default_rng(22).normal(size=(60, looks[-1])) + 0.4
    for index, row in enumerate(values):
        (decision,) = decide([History(tuple(Look(row[:n], n) for n in looks), spending)])
        by_look = called(values[index : index + 1], looks, spending)[:, 0]
        assert (decision.outcome in ("better", "worse")) == by_look[-1]
        if by_look.any():
            assert decision.decided_at == int(np.argmax(by_look)) + 1


@pytest.mark.slow
def test_a_network_rarely_differs_from_itself(tmp_path):
    scores = real_null.accuracies(tmp_path)
    assert len(scores) == real_null.SEEDS
    assert max(real_null.rates(scores, 20_000).values()) <= most(20_000)
