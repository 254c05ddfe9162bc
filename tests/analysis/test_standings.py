"""Decisions of studies that stop when decided: pure, and replayed from what is stored."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.analysis import Standing, compare_study, contrasts, standing, study_standing
from assay.analysis.race import looks_at
from assay.analysis.standings import schedule
from assay.errors import SpecError
from assay.spec import Study
from assay.spec.seeds import Seeds
from assay.stats import judge_histories, planned_looks

from ..helpers import small_study
from ..recorded import with_spec

RULE = Seeds(stop="decided", min=6, max=40)
LOOKS = planned_looks(6, 40).seeds
ARMS = ("a", "b", "c")


def grow(arms: tuple[str, ...], truth: dict[str, np.ndarray], rule: Seeds = RULE) -> list[Standing]:
    """Play a study batch by batch: give each arm the seeds that it is due, and ask again."""
    scores: dict[str, dict[int, float | None]] = {arm: {} for arm in arms}
    history = [standing(arms, scores, rule)]
    while not history[-1].is_over:
        for arm, count in history[-1].seeds.items():
            scores[arm] = {
                seed: None if np.isnan(truth[arm][seed]) else float(truth[arm][seed]) for seed in range(count)
            }
        history.append(standing(arms, scores, rule))
    return history


def truth(**effects: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    shared = rng.normal(0.9, 0.01, 40)
    return {arm: shared + effect + rng.normal(0, 0.001, 40) for arm, effect in effects.items()}


def test_nothing_is_decided_before_the_first_batch_has_ended():
    start = standing(ARMS, {}, RULE)
    assert start.seeds == {"a": 6, "b": 6, "c": 6}
    assert not start.is_over
    almost = {arm: dict.fromkeys(range(6), 0.9) for arm in ARMS}
    del almost["c"][5]
    assert standing(ARMS, almost, RULE) == start


def test_a_decided_arm_stops_and_the_rest_goes_on():
    last = grow(ARMS, truth(a=0.0, b=0.02, c=0.0))[-1]
    (first, *_) = last.decisions
    assert (first.arm, first.outcome) == ("b", "better")
    assert last.seeds["b"] == first.seeds < last.seeds["c"] == last.seeds["a"] == 40
    assert first.seeds in LOOKS


def test_a_worse_arm_and_an_equivalent_one_stop_too():
    rule = Seeds(stop="decided", min=6, max=40, margin=0.2)
    last = grow(ARMS, truth(a=0.0, b=-0.02, c=0.0), rule)[-1]
    assert {decision.arm: decision.outcome for decision in last.decisions} == {"b": "worse", "c": "equivalent"}
    assert last.seeds["a"] == max(last.seeds["b"], last.seeds["c"]) < 40


def test_an_arm_whose_first_batch_fails_whole_stops():
    broken = {**truth(a=0.0, b=0.0, c=0.02), "b": np.full(40, np.nan)}
    last = grow(ARMS, broken)[-1]
    assert (last.decisions[0].arm, last.decisions[0].outcome, last.seeds["b"]) == ("b", "failed", 6)


def test_a_failed_run_takes_its_pair_with_it():
    scores = truth(a=0.0, b=0.02)
    scores["b"][:3] = np.nan
    last = grow(("a", "b"), scores)[-1]
    # Eight pairs are the first that could decide, and three of the first seeds have none.
    assert last.decisions[0].outcome == "better"
    assert last.decisions[0].seeds >= 11


@pytest.mark.parametrize("effect", [0.0, 0.0007, 0.02])
def test_replaying_the_scores_reproduces_each_decision(effect):
    scores = truth(a=0.0, b=effect, c=-effect / 2)
    history = grow(ARMS, scores)
    final = history[-1]
    stored = {arm: {seed: float(scores[arm][seed]) for seed in range(final.seeds[arm])} for arm in ARMS}
    assert standing(ARMS, stored, RULE) == final
    for earlier in history:
        assert final.decisions[: len(earlier.decisions)] == earlier.decisions


def test_a_contrast_takes_the_look_that_decided_from_the_replay(make_study):
    """Arms that stop at different looks, one that loses runs, and one that fails."""
    scores = truth(a=0.0, b=0.02, c=0.0, d=-0.02)
    scores["d"][:3] = np.nan
    drawn = {arm: [float(v) if np.isfinite(v) else "diverged" for v in row] for arm, row in scores.items()}
    study = make_study({**drawn, "e": ["diverged"] * 6})
    study = with_spec(study, seeds={"stop": "decided", "min": 6, "max": 40, "margin": 0.2})
    replay = study_standing(study)
    by_arm = {contrast.arm: contrast for contrast in contrasts(study)}
    assert replay.decisions[0].arm == "e"
    assert {decision.arm for decision in replay.decisions} == {"e", "b", "c", "d"}
    assert {arm: contrast.finding for arm, contrast in by_arm.items()} == replay.findings
    for decision in replay.decisions[1:]:
        finding = by_arm[decision.arm].finding
        assert finding.outcome == decision.outcome
        assert finding.looks[-1] == decision.seeds


def test_two_arms_that_nobody_planned_to_compare_are_an_estimate(make_study):
    scores = truth(a=0.0, b=-0.01, c=0.0)
    study = with_spec(make_study({arm: row.tolist() for arm, row in scores.items()}), seeds={"stop": "decided"})
    assert {contrast.outcome for contrast in contrasts(study)} == {"worse", "undecided"}
    (contrast,) = compare_study(study, "b", "c").contrasts
    assert (contrast.outcome, contrast.finding.obstacle, contrast.is_planned) == ("undecided", "not planned", False)


def test_a_maximum_that_is_raised_does_not_take_back_what_was_decided(make_study):
    """Looks go on by the plan of the first one: the same 40 seeds decide the same, and 80 may decide more."""
    scores = {arm: row.tolist() for arm, row in truth(a=0.0, b=0.0004).items()}
    by_seed = {arm: dict(enumerate(row)) for arm, row in scores.items()}
    at_40 = standing(("a", "b"), by_seed, RULE)
    longer = Seeds(stop="decided", min=6, max=80)
    assert schedule(longer, 40)[: len(LOOKS)] == LOOKS
    assert schedule(longer, 40)[len(LOOKS) :] == (50, 63, 79, 80)
    raised = standing(("a", "b"), by_seed, longer, planned=40)
    assert raised.decisions == at_40.decisions
    assert raised.seeds == at_40.seeds or raised.seeds["b"] == 50


def test_looks_at_nothing_decide_nothing():
    (finding,) = judge_histories([looks_at({}, {}, (), 40)])
    assert finding.outcome == "too few seeds"


def test_a_study_stops_when_it_is_decided(tmp_path: Path) -> None:
    # A learning rate that learns nothing against one that does: told apart as soon as signs allow.
    study = small_study(
        factors={"rate": [0.01, 1e-9]},
        network={"layers": ["flatten", "dense 16 relu", "dense classes softmax"]},
        training={"epochs": 1, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": "{rate}"}},
        seeds={"stop": "decided", "min": 6, "max": 40},
    )
    result = assay.run(study, store=tmp_path)
    runs = result.runs
    assert len(runs) == 16
    assert {run.state for run in runs} == {"finished"}
    found = study_standing(result.record)
    assert [(d.outcome, d.seeds, d.look) for d in found.decisions] == [("worse", 8, 2)]
    assert found.is_over
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        (detail,) = connection.execute("SELECT detail FROM events WHERE kind = 'decided'").fetchall()
    connection.close()
    assert json.loads(detail[0]) == {"arm": "rate=1e-09", "outcome": "worse", "look": 2, "seeds": 8}
    again = assay.run(study, store=tmp_path)
    assert again.runs == runs


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ({"stop": "decided", "count": 10}, "count is fixed beforehand"),
        ({"min": 6}, 'add stop = "decided"'),
        ({"stop": "decided", "min": 10, "max": 8}, "max is 8, below min (10)"),
        ({"stop": "decided", "min": 5}, "give 6 or more"),
        ({"stop": "never"}, '"decided"'),
        ({"margin": 0}, "give more than 0"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(seeds, told):
    with pytest.raises(SpecError) as caught:
        small_study(seeds=seeds)
    assert told in str(caught.value)


def test_one_arm_is_never_decided():
    with pytest.raises(SpecError, match="one arm alone"):
        small_study(factors={"rate": [0.1]}, seeds={"stop": "decided"})


def test_the_rule_is_fixed_beforehand():
    study = small_study(seeds={"stop": "decided"})
    assert (study.seeds.first, study.seeds.planned) == (6, 40)
    with pytest.raises(SpecError, match="stops when decided"):
        study.with_seeds(12)
    assert Study.of(study.model_dump(mode="json", exclude_none=True)) == study
