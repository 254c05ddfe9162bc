"""Plans of seeds and images from records whose runs' right and wrong answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.analysis.look_record import look_record
from assay.analysis.planning import SeedPlan, plan_seeds
from assay.analysis.seed_spreads import moved, spreads_of
from assay.errors import SpecError
from assay.store.records import StudyRecord

from ..recorded import with_spec
from .test_image_spread import with_hits

IMAGES = np.arange(0, 4000, 2)


def runs(seeds: int, *, seed: int = 5, errs: float = 0.1) -> StudyRecord:
    """Two arms whose networks err independently, with the same chance on each image, b less often."""
    rng = np.random.default_rng(seed)
    hits = {arm: rng.uniform(size=(seeds, len(IMAGES))) > errs * (1 - 0.2 * (arm == "b")) for arm in "ab"}
    study = with_hits(hits, [IMAGES] * seeds)
    return replace(study, runs=tuple(replace(run, seconds=60.0) for run in study.runs))


def plan_of(study: StudyRecord, difference: float | None = 1.0, **given: object) -> SeedPlan:
    return plan_seeds(study.design, study, spreads_of(study), difference=difference, **given)


def test_two_runs_of_each_arm_plan_as_well_as_thirty() -> None:
    few, many = plan_of(runs(2)), plan_of(runs(30))
    truth = (0.1 * 0.9 + 0.08 * 0.92) / len(IMAGES)
    for planned in (few, many):
        assert planned.contrasts[0]["predicted"] ** 2 == pytest.approx(truth, rel=0.12)
    assert abs(few.seeds - many.seeds) <= 4
    assert few.contrasts[0]["measured"] is not None


def test_runs_and_time_are_those_that_are_missing() -> None:
    planned = plan_of(runs(2), workers=2)
    option = planned.options[0]
    assert option.runs == 2 * (option.seeds - 2)
    assert option.seconds == pytest.approx(option.runs * 60 / 2)
    assert f"takes {option.seeds} seeds an arm on 2,000 validation images: {option.runs} more runs" in planned.headline


def test_one_run_is_enough_for_a_prediction_and_its_source_is_said() -> None:
    study = runs(1)
    planned = plan_of(study)
    assert {arm["source"] for arm in planned.arms} == {"one run's error rate"}
    assert planned.contrasts[0]["measured"] is None
    assert any("two runs make it surer" in note for note in planned.notes)
    asked = []

    def probabilities(run):
        asked.append(run.arm)
        return np.full((len(IMAGES), 2), [0.9, 0.1])

    spreads = spreads_of(study, probabilities)
    assert set(asked) == {"a", "b"}
    assert spreads.sources["a"] == "one run's probabilities"


def test_where_images_are_the_limit_more_of_them_or_another_claim_are_named() -> None:
    rng = np.random.default_rng(3)
    easy = rng.uniform(size=len(IMAGES))
    effect = np.where(rng.uniform(size=len(IMAGES)) < 0.1, rng.choice([-1, 1], size=len(IMAGES)), 0)
    chance = {"a": np.where(effect < 0, 0.95, np.where(effect > 0, 0.05, easy > 0.1)), "b": None}
    chance["b"] = np.where(effect > 0, 0.95, np.where(effect < 0, 0.05, easy > 0.1))
    hits = {arm: np.array([rng.uniform(size=len(IMAGES)) < chance[arm] for _ in range(4)]) for arm in "ab"}
    study = with_hits(hits, [IMAGES] * 4)
    planned = plan_of(study, 0.5)
    assert planned.seeds is None
    assert planned.headline.startswith("With 2,000 validation images no number of seeds sees 0.5 points: ")
    more = planned.options[-1]
    assert more.images > 2000
    assert more.seeds is not None
    assert planned.these_images is not None
    assert any('claim = "these images"' in note for note in planned.notes)
    same = with_spec(study, claim="these images")
    assert plan_of(same, 0.5).seeds == planned.these_images


def test_looks_that_were_taken_are_paid_for() -> None:
    study = runs(10)
    look = look_record(with_spec(study, seeds={**study.spec["seeds"], "count": 10}))
    assert look is not None
    fresh, looked = plan_of(study, 0.3), plan_of(replace(study, verdict_looks=(look,)), 0.3)
    assert looked.seeds > fresh.seeds


def test_without_a_difference_it_says_what_the_plan_sees() -> None:
    planned = plan_of(runs(8), None)
    assert planned.options == ()
    assert planned.headline.startswith("8 seeds, as planned, see ")
    assert "in 80 % of studies" in planned.headline
    with_margin = with_spec(runs(8), seeds={"count": 8, "vary": ["init"], "margin": 1.0})
    assert plan_of(with_margin, None).difference == 1.0


def test_another_study_tells_for_one_that_has_not_run() -> None:
    study = runs(6)
    spreads = moved(spreads_of(study), images=500, overlap=1.0)
    planned = plan_seeds(study.design, None, spreads, difference=1.0, num_training=4000, like="earlier")
    assert planned.images == 500
    assert planned.seeds is None or planned.seeds > plan_of(study).seeds
    assert any('taken from the runs of "earlier"' in note for note in planned.notes)


@pytest.mark.parametrize("difference", [0.0, -1.0, float("nan"), 200.0])
def test_a_difference_that_is_none_is_refused(difference: float) -> None:
    with pytest.raises(SpecError, match=r"difference of .* points; give one above 0"):
        plan_of(runs(2), difference)


def test_a_study_without_runs_is_told_what_to_do() -> None:
    study = replace(runs(2), validation_hits={})
    with pytest.raises(
        SpecError, match=r"no run of .* says how much seeds differ; run it with \[seeds\] count = 2 first"
    ):
        plan_of(study)
