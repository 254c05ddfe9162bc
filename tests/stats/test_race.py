"""The best of several arms: how often the wrong one is named, what a race saves, and what ends it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assay.analysis.race import Facts, run_race
from assay.stats import RaceLook, one_sided_joint_p, planned_looks, race

from . import race_simulation as simulation
from .race_simulation import TRUTHS, Truth


def look(beaten: list[tuple[int, int]], near: list[tuple[int, int]] = [], means: tuple[float, ...] = (3, 2, 1)):  # noqa: B006
    """A look of three arms: pairs of a worse arm and a better one, and of an arm and one that it is near."""
    tables = np.zeros((2, len(means), len(means)), bool)
    for table, pairs in zip(tables, (beaten, near), strict=True):
        for pair in pairs:
            table[pair] = True
    return RaceLook(tables[0], tables[1], np.array(means, float))


def test_arms_drop_out_until_one_is_left():
    result = race([look([(2, 0)]), look([]), look([(1, 0)])], 3)
    assert (result.outcome, result.leader, result.left, result.looks) == ("best", 0, (0,), 3)
    assert [(drop.arm, drop.by, drop.look) for drop in result.drops] == [(2, 0, 1), (1, 0, 3)]


def test_an_arm_that_has_dropped_out_drops_nobody():
    result = race([look([(2, 0)]), look([(1, 2)])], 3)
    assert (result.outcome, result.left) == ("open", (0, 1))


def test_a_race_ends_where_its_leader_is_near_every_arm_that_is_left():
    result = race([look([(2, 0)], [(0, 1)])], 3)
    assert (result.outcome, result.leader, result.left) == ("alike", 0, (0, 1))
    assert race([look([(2, 0)], [(0, 2)])], 3).outcome == "open"


def test_nothing_is_known_before_a_look():
    assert (race([], 3).outcome, race([], 3).leader) == ("open", None)


def test_flips_of_all_rivals_together_are_exact():
    """Of three pairs that all speak against an arm, one flip in eight is as loud, however many rivals say the same."""
    rows = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    assert one_sided_joint_p(rows) == pytest.approx(1 / 8)
    assert one_sided_joint_p(-rows) == pytest.approx(1.0)
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(3, 6))
    statistic = (rows.sum(1) / np.sqrt((rows**2).sum(1))).max()
    signs = np.array(list(itertools.product((1, -1), repeat=6)))
    every = ((signs @ rows.T) / np.sqrt((rows**2).sum(1))).max(1)
    assert one_sided_joint_p(rows) == pytest.approx((every >= statistic - 1e-9).mean())


@pytest.mark.parametrize("margin", [None, 0.5])
def test_the_simulation_is_the_program(margin):
    """Races of the program, from scores by seed, are those that the simulation counts."""
    truth = Truth((0.9, 0.8, 0.0, -0.8), (1, 0.5, 1, 1.5))
    scores, sizes = truth.scores(np.random.default_rng(5), 12, 20), planned_looks(6, 20).seeds
    names = ("a", "b", "c", "d")
    for study, expected in zip(scores, simulation.races(scores, 20, margin), strict=True):
        known = {name: dict(enumerate(row.tolist())) for name, row in zip(names, study, strict=True)}
        found = run_race(names, Facts(known, sizes, 20, margin=margin))
        assert (found.outcome, found.leader) == (expected.outcome, names[expected.leader or 0])
        assert [(drop.arm, drop.look) for drop in found.drops] == [(names[d.arm], d.look) for d in expected.drops]


@pytest.mark.parametrize("name", ["2 equal", "4 equal", "8 equal, tied", "slippage of 1, 4 arms"])
def test_a_wrong_arm_is_rarely_named(name):
    """Two standard errors of a share of 300 studies at 5 % are 2.5 points."""
    assert simulation.run(TRUTHS[name], 300).wrong <= 0.05 + 0.025


def test_a_clear_best_arm_is_found_with_few_runs():
    rates = simulation.run(TRUTHS["one far ahead, 8 arms"], 100)
    assert rates.right == 1.0
    assert rates.runs < 0.3


def test_a_margin_ends_races_of_equal_arms():
    without, with_margin = (simulation.run(TRUTHS["4 equal"], 100, margin=margin) for margin in (None, 1.0))
    assert without.alike == 0
    assert with_margin.alike > 0.9
    assert with_margin.runs < 0.75 * without.runs


@pytest.mark.slow
@pytest.mark.parametrize("margin", [None, 0.5])
@pytest.mark.parametrize("name", TRUTHS)
def test_at_most_five_percent_of_races_end_wrong(name, margin):
    """Two standard errors of a share of 1,000 studies at 5 % are 1.4 points."""
    assert simulation.run(TRUTHS[name], 1000, margin=margin).wrong <= 0.05 + 0.014
