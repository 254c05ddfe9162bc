"""The race for the best arm of a study, replayed from its scores: what stops when, what it answers, what it saves."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.analysis import Race, answer, compare_study, contrasts, standing, stop_sentences, study_standing
from assay.errors import SpecError
from assay.measures import ACCURACY
from assay.spec import Study
from assay.spec.seeds import Seeds
from assay.stats import planned_looks

from ..helpers import small_study
from ..recorded import with_spec

RULE = Seeds(stop="best", count=40)
LOOKS = planned_looks(6, 40).seeds
ARMS = ("a", "b", "c", "d")


def truth(**effects: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    shared = rng.normal(0.9, 0.01, 40)
    return {arm: shared + effect + rng.normal(0, 0.001, 40) for arm, effect in effects.items()}


def play(scores: dict[str, np.ndarray], rule: Seeds = RULE, **more: object) -> list[Race]:
    """A study batch by batch: each arm gets the seeds that it is due, and the race is asked again."""
    arms = tuple(scores)
    known: dict[str, dict[int, float | None]] = {arm: {} for arm in arms}
    history = [race_of(arms, known, rule, **more)]
    while not history[-1].is_over:
        for arm, count in history[-1].seeds.items():
            drawn = {seed: float(scores[arm][seed]) for seed in range(count)}
            known[arm] = {seed: None if np.isnan(score) else score for seed, score in drawn.items()}
        history.append(race_of(arms, known, rule, **more))
    return history


def race_of(arms, known, rule, **more) -> Race:
    race = standing(arms, known, rule, **more).race
    assert race is not None
    return race


def test_arms_stop_when_another_is_better_and_the_best_is_left():
    last = play(truth(a=0.0, b=0.02, c=-0.02, d=0.005))[-1]
    assert (last.outcome, last.leader, last.left) == ("best", "b", ("b",))
    assert {drop.arm for drop in last.drops} == {"a", "c", "d"}
    assert all(last.seeds[drop.arm] == LOOKS[drop.look - 1] for drop in last.drops)
    assert last.seeds["b"] == max(last.seeds.values()) < 40
    assert last.headline(ACCURACY).startswith("b is the best of 4 arms: accuracy is 1.")
    assert last.headline(ACCURACY).endswith("ahead of d, the closest")
    assert (
        last.saved_sentence
        == f"{sum(last.seeds.values())} of 160 runs were enough: {160 - sum(last.seeds.values())} saved"
    )


def test_its_lead_holds_zero_on_neither_end():
    last = play(truth(a=0.0, b=0.02, c=-0.02, d=0.005))[-1]
    assert [lead.arm for lead in last.leads] == ["d", "a", "c"]
    assert all(0 < lead.low < lead.mean < lead.high for lead in last.leads)


def test_without_a_margin_equal_arms_run_to_the_end():
    last = play(truth(a=0.0, b=0.0, c=-0.02, d=0.0))[-1]
    assert (last.outcome, last.left, last.is_over) == ("open", ("a", "b", "d"), True)
    assert last.headline(ACCURACY) == (
        "After 40 seeds a, b and d are not told apart: any of them may be the best of 4 arms"
    )


def test_arms_that_collapse_whole_drop_out_where_a_margin_is_asked():
    scores = truth(a=0.0, b=0.02) | {"c": np.full(40, 0.1)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no pair worked in both arms: nothing is averaged over none
        last = play(scores, Seeds(stop="best", count=40, margin=0.3), chance=0.1)[-1]
    assert (last.outcome, last.leader) == ("best", "b")


def test_a_margin_ends_it_where_arms_are_alike():
    last = play(truth(a=0.0, b=0.0, c=-0.02, d=0.0), Seeds(stop="best", count=40, margin=0.3))[-1]
    assert last.outcome == "alike"
    assert last.leader in ("a", "b", "d")
    assert last.runs < 80
    assert last.headline(ACCURACY).startswith(
        f"Not told apart within 0.30 points: {last.leader} is the best of 4 arms or less than that below it; "
    )


def test_an_arm_whose_first_batch_fails_whole_stops():
    scores = {**truth(a=0.0, b=0.0, c=0.02, d=0.0), "b": np.full(40, np.nan)}
    last = play(scores)[-1]
    assert (last.drops[0].arm, last.drops[0].by, last.seeds["b"]) == ("b", "", 6)
    assert last.leader == "c"


def test_an_arm_that_collapses_half_of_the_time_is_not_the_best():
    """Its other runs are no worse than the winner's; what tells them apart is how often runs collapse."""
    scores = truth(a=0.0, b=-0.02, c=-0.03)
    scores["d"] = scores["a"] - 0.0001
    scores["d"][::2] = 0.1
    last = play(scores, chance=0.1)[-1]
    assert (last.outcome, last.leader) == ("best", "a")
    assert any(drop.arm == "d" and drop.by == "a" for drop in last.drops)


def test_of_a_loss_the_lowest_is_the_best():
    scores = {arm: 1 - row for arm, row in truth(a=0.0, b=0.02, c=-0.02).items()}
    last = play(scores, higher_is_better=False)[-1]
    assert (last.outcome, last.leader) == ("best", "b")
    assert all(lead.low > 0 for lead in last.leads)


def test_all_arms_that_fail_end_it_without_a_best():
    last = play({"a": np.full(40, np.nan), "b": np.full(40, np.nan)})[-1]
    assert (last.outcome, last.is_over, last.seeds) == ("open", True, {"a": 6, "b": 6})


@pytest.mark.parametrize("effect", [0.0, 0.0007, 0.02])
def test_replaying_the_scores_reproduces_each_decision(effect):
    scores = truth(a=0.0, b=effect, c=-effect / 2)
    history = play(scores)
    final = history[-1]
    stored = {arm: {seed: float(scores[arm][seed]) for seed in range(final.seeds[arm])} for arm in scores}
    assert race_of(tuple(scores), stored, RULE) == final
    for earlier in history:
        assert final.drops[: len(earlier.drops)] == earlier.drops


def test_a_count_that_is_raised_does_not_take_back_what_was_decided():
    scores = truth(a=0.0, b=0.0004, c=-0.02)
    by_seed = {arm: dict(enumerate(map(float, row))) for arm, row in scores.items()}
    at_40 = race_of(tuple(scores), by_seed, RULE)
    raised = race_of(tuple(scores), by_seed, Seeds(stop="best", count=80), planned=40)
    assert raised.drops == at_40.drops


def test_the_answer_is_the_best_arm_and_differences_from_the_first_are_estimates(make_study):
    scores = truth(a=0.0, b=0.02, c=-0.02, d=0.005)
    seeds = play(scores)[-1].seeds
    study = make_study({arm: row[: seeds[arm]].tolist() for arm, row in scores.items()})
    study = with_spec(study, seeds={"stop": "best", "count": 40})
    result = answer(study)
    assert (result.tone, result.verdicts) == ("decided", ())
    assert result.headline.startswith("b is the best of 4 arms")
    assert any("saved" in note for note in result.notes)
    assert {contrast.label for contrast in contrasts(study)} == {"estimate"}
    assert all(contrast.sentence.startswith("An estimate, not judged") for contrast in contrasts(study))
    comparison = compare_study(study)
    assert comparison.sentences[0] == result.headline
    assert comparison.as_dict()["best"]["leader"] == "b"
    assert stop_sentences(study)[0].endswith("b is better")


@pytest.mark.parametrize(
    ("seeds", "key", "sentence"),
    [
        ({"stop": "best", "max": 20}, "max", 'with stop = "best" count says how many seeds at most'),
        ({"stop": "best", "count": 5}, "count", "count is 5, below min (6)"),
        ({"stop": "best", "count": 20, "start": 3}, "start", "start is for a fixed count of seeds"),
        ({"stop": "finest"}, "stop", "got 'finest'"),
    ],
)
def test_what_does_not_go_with_it_is_named(seeds, key, sentence):
    with pytest.raises(SpecError) as caught:
        Seeds.of(seeds)
    assert any(problem.key == key and sentence in problem.what for problem in caught.value.problems)


def test_one_arm_alone_and_folds_are_refused():
    with pytest.raises(SpecError, match="one arm alone"):
        small_study(factors={"rate": [0.0]}, seeds={"stop": "best"})
    with pytest.raises(SpecError, match="folds"):
        small_study(data={"name": "digits", "validation": "3-fold"}, seeds={"stop": "best"})


def test_a_stored_fixed_count_keeps_its_form():
    assert Study.of(small_study().model_dump(mode="json", exclude_none=True)).seeds == small_study().seeds
    assert small_study().model_dump(mode="json", exclude_none=True)["seeds"].keys() == {"count", "start", "vary"}


def test_a_study_finds_its_best_arm_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Rates that learn nothing or little or diverge, against one that learns; the first try is interrupted."""
    study = small_study(
        factors={"rate": [1e-9, 0.01, 0.0002, 1e30]},
        network={"layers": ["flatten", "dense 16 relu", "dense classes softmax"]},
        training={"epochs": 1, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": "{rate}"}},
        seeds={"stop": "best", "count": 20},
    )

    class Stop(assay.Callback):
        num_ended = 0

        def on_end(self, run: object, state: str) -> None:
            self.num_ended += 1
            if self.num_ended == 8:
                raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, assay.errors.Interrupted)):
        assay.run(study, store=tmp_path, callbacks=[Stop()])
    result = assay.run(study, store=tmp_path)
    race = study_standing(result.record).race
    assert race is not None
    assert (race.outcome, race.leader, race.is_over) == ("best", "rate=0.01", True)
    assert len(result.runs) == race.runs < 80
    assert {run.arm for run in result.runs if run.state != "finished"} == {"rate=1e+30"}
    assert race.seeds["rate=1e+30"] == 6
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        details = [json.loads(row[0]) for row in connection.execute("SELECT detail FROM events WHERE kind = 'decided'")]
    connection.close()
    assert {detail["arm"]: detail["outcome"] for detail in details} == {
        "rate=1e-09": "not the best", "rate=0.0002": "not the best", "rate=1e+30": "failed",
    }  # fmt: skip
    assert len(assay.run(study, store=tmp_path).runs) == race.runs  # nothing is left to train
