"""The verdicts' error rates, by simulation: fast by default, 2,000 studies behind ``slow``."""

from __future__ import annotations

import pytest

from . import simulation
from .simulation import SHAPES

SIZES = [pytest.param(200, id="200 studies"), pytest.param(2000, marks=pytest.mark.slow, id="2,000 studies")]


def most(studies: int, rate: float = 0.05) -> float:
    """The rate plus four standard errors of a share of so many studies."""
    return rate + 4 * (rate * (1 - rate) / studies) ** 0.5


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("contrasts", "n"), [(1, 6), (3, 10), (8, 10)])
def test_studies_without_a_difference_rarely_call_one(studies, shape, contrasts, n):
    assert simulation.false_differences(studies, shape, contrasts, n) <= most(studies)


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("contrasts", "maximum"), [(1, 20), (3, 40)])
def test_looking_often_is_paid_for(studies, shape, contrasts, maximum):
    studies //= 2 if contrasts == 3 else 1
    assert simulation.false_differences_in_looks(studies, shape, contrasts, maximum) <= most(studies)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [6, 10, 30])
def test_intervals_of_differences_hold_the_truth_95_times_in_100(shape, n):
    studies = 4000
    noise = 4 * (0.05 * 0.95 / studies) ** 0.5
    assert 0.94 - noise <= simulation.coverage(studies, shape, n) <= 0.96 + noise


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_intervals_told_where_a_study_stopped_hold_the_truth(studies, effect):
    assert 1 - simulation.coverage_in_looks(studies, "normal", effect) <= most(studies)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [6, 10, 30])
def test_differences_as_large_as_the_margin_are_rarely_called_equivalent(shape, n):
    assert simulation.false_equivalences(2000, shape, n) <= most(2000)


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equivalence_is_paid_for_at_each_look(studies, shape):
    assert simulation.false_equivalences_in_looks(studies, shape, 20) <= most(studies)


@pytest.mark.parametrize("studies", SIZES)
@pytest.mark.parametrize(("effect", "least", "decided"), [(1.0, 0.5, 0.9), (2.0, 0.7, 0.99)])
def test_stopping_saves_runs_where_a_difference_is_clear(studies, effect, least, decided):
    share, found = simulation.saved(studies // 4, effect)
    assert share > least
    assert found > decided


def test_without_a_difference_a_margin_lets_the_study_stop():
    assert simulation.saved(30, 0.0)[0] < 0.1
    share, decided = simulation.saved(30, 0.0, margin=0.75)
    assert share > 0.2
    assert decided > 0.8
