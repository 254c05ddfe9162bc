"""Of what a verdict speaks: per-image results widen intervals where a study claims new images."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from assay.analysis import contrasts
from assay.analysis.image_spread import spread_of
from assay.analysis.rows import pair_row
from assay.errors import SpecError
from assay.stats import Effect, crossed_interval, image_spread
from assay.store import ImageHits, ImageSets
from assay.store.records import StudyRecord

from ..helpers import small_study
from ..recorded import study_of, with_spec

IMAGES = np.arange(0, 400, 2)


def with_hits(hits: dict[str, np.ndarray], images: list[np.ndarray]) -> StudyRecord:
    """A study of arms by name, [seeds, images] each, whose scores are the means of their hits."""
    study = study_of({arm: [float(row.mean()) for row in rows] for arm, rows in hits.items()})
    packed = {
        run.id: ImageHits.of("training", images[run.seed], hits[run.arm][run.seed].astype(bool)) for run in study.runs
    }
    sets = ImageSets({one.image_set: one.images for one in packed.values()})
    stored = {run: (one.image_set, one.hits) for run, one in packed.items()}
    study = replace(study, validation_hits=stored, image_sets=sets)
    return replace(study, data={**study.data, "num_training": 4000})


def correctness(rng: np.random.Generator, seeds: int, gain: np.ndarray) -> dict[str, np.ndarray]:
    """Two arms whose right answers differ by the image, the same way for every seed, and by some luck of the seed."""
    easy = rng.uniform(size=len(gain))
    a = np.array([(rng.uniform(size=len(gain)) < 0.02) ^ (easy < 0.9) for _ in range(seeds)])
    b = np.array([(rng.uniform(size=len(gain)) < 0.02) ^ (easy < 0.9 + gain) for _ in range(seeds)])
    return {"a": a, "b": b}


@pytest.fixture(scope="module")
def same_images() -> StudyRecord:
    rng = np.random.default_rng(3)
    gain = np.where(rng.uniform(size=len(IMAGES)) < 0.3, rng.choice([-0.3, 0.32], size=len(IMAGES)), 0.0)
    return with_hits(correctness(rng, 10, gain), [IMAGES] * 10)


def rows_of(study: StudyRecord) -> np.ndarray:
    by_arm = {
        arm: np.array([
            np.unpackbits(np.frombuffer(study.validation_hits[run.id][1], np.uint8), count=len(IMAGES))
            for run in study.runs_of(arm)
        ]).astype(float)
        for arm in ("a", "b")
    }  # fmt: skip
    return by_arm["b"] - by_arm["a"]


def test_new_images_are_claimed_unless_the_study_says_otherwise(same_images):
    rows = rows_of(same_images)
    (contrast,) = contrasts(same_images)
    spread = image_spread(rows, IMAGES)
    expected = crossed_interval(rows.mean(1), spread, confidence=1 - 0.05 * 0.86)
    assert (contrast.difference.low, contrast.difference.high) == pytest.approx(expected)
    assert "speaks of new images" in contrast.details


def test_these_images_are_seeds_alone(same_images):
    differences = rows_of(same_images).mean(1)
    (wide,), (narrow,) = contrasts(same_images), contrasts(with_spec(same_images, claim="these images"))
    student = scipy_stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 * 0.86)
    assert (narrow.difference.low, narrow.difference.high) == pytest.approx((student.low, student.high))
    assert wide.difference.high - wide.difference.low > narrow.difference.high - narrow.difference.low
    assert "speaks of these images" in narrow.details


def test_where_images_are_the_limit_the_advice_is_images(same_images):
    (contrast,) = contrasts(same_images)
    assert contrast.outcome == "undecided"
    assert contrast.finding.need.seeds is None
    assert contrast.finding.need.images > len(IMAGES)
    assert "More seeds will not tell; about " in contrast.sentence
    assert contrast.sentence.endswith("more validation images would")


def drawn_from(hits: dict[str, np.ndarray], images: list[np.ndarray]) -> StudyRecord:
    """A study whose seeds were validated on these images each."""
    chosen = {arm: np.array([row[ids] for row, ids in zip(rows, images, strict=True)]) for arm, rows in hits.items()}
    return with_hits(chosen, images)


def test_images_that_are_drawn_anew_for_each_seed_add_less():
    rng = np.random.default_rng(4)
    gain = np.where(rng.uniform(size=4000) < 0.3, rng.choice([-0.3, 0.32], size=4000), 0.0)
    hits = correctness(rng, 10, gain)
    images = [np.sort(rng.choice(4000, size=200, replace=False)) for _ in range(10)]
    drawn = drawn_from(hits, images)
    fixed = with_hits({arm: rows[:, :200] for arm, rows in hits.items()}, [np.arange(200)] * 10)
    shares = []
    for study in (drawn, fixed):
        (wide,), (narrow,) = contrasts(study), contrasts(with_spec(study, claim="these images"))
        shares.append((wide.difference.high - wide.difference.low) / (narrow.difference.high - narrow.difference.low))
    assert 1 <= shares[0] < shares[1]


def test_new_training_sets_are_judged_more_carefully_where_seeds_redraw_them():
    rng = np.random.default_rng(5)
    hits = correctness(rng, 10, np.full(4000, 0.05))
    images = [np.sort(rng.choice(4000, size=400, replace=False)) for _ in range(10)]
    study = drawn_from(hits, images)
    study = with_spec(study, seeds={"count": 10, "vary": ["split", "init", "order"]})
    (narrow,) = contrasts(with_spec(study, claim="these images"))
    (wide,) = contrasts(with_spec(study, claim="new training sets"))
    ratio = (wide.difference.high - wide.difference.low) / (narrow.difference.high - narrow.difference.low)
    assert ratio == pytest.approx((1 + 10 * 400 / 3600) ** 0.5, rel=0.02)
    assert "speaks of new training sets" in wide.details


def test_runs_without_per_image_results_are_named(same_images):
    lacking = replace(same_images, validation_hits={})
    (contrast,) = contrasts(lacking)
    assert "speaks of these images only" in contrast.details


@pytest.mark.parametrize("are_drawn", [True, False])
@pytest.mark.parametrize("claim", ["new images", "new training sets"])
def test_spreads_from_bits_are_those_from_differences_by_image(are_drawn, claim):
    """Of two arms, and of a factor's effect over four; seeds have their own images, and not equally many."""
    rng = np.random.default_rng(6)
    images = [np.sort(rng.choice(900, size=150 + 7 * seed, replace=False)) for seed in range(9)]
    if not are_drawn:
        images = [images[0]] * 9
    hits = {arm: [rng.uniform(size=len(ids)) < 0.8 for ids in images] for arm in "abcd"}
    study = with_hits(hits, images)
    study = with_spec(study, claim=claim, seeds={"count": 9, "vary": ["split", "init"]})
    pair = pair_row("a", "c")
    effect = replace(pair, arms=tuple("abcd"), weights=(-0.5, -0.5, 0.5, 0.5), effect=Effect("x", "1", "2", ()))
    seeds = np.array([0, 1, 3, 4, 8])
    for row in (pair, effect):
        differences = [
            sum(weight * hits[arm][seed] for arm, weight in zip(row.arms, row.weights, strict=True)) for seed in seeds
        ]
        counts = [len(images[seed]) for seed in seeds]
        left_out = round(float(np.mean(counts)))
        expected = image_spread(
            differences, [images[seed] for seed in seeds], claim=claim, num_training=4000 - left_out,
            num_left_out=left_out,
        )  # fmt: skip
        assert asdict(spread_of(study, row, seeds, "validation")) == pytest.approx(asdict(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("data", "seeds"),
    [({"validation": "last 20%"}, {}), ({"validation": 0.2}, {"vary": ["init", "order"]})],
)
def test_new_training_sets_cannot_be_claimed_where_none_is_drawn(data, seeds):
    with pytest.raises(SpecError, match="every seed trains on the same images"):
        small_study(claim="new training sets", data={"name": "digits", **data}, seeds=seeds)


def test_a_claim_is_no_part_of_what_is_stored_unless_it_is_given():
    plain = small_study()
    assert "claim" not in plain.model_dump(mode="json", exclude_none=True)
    assert small_study(claim="these images").claimed == "these images"
    with pytest.raises(SpecError, match="claim"):
        small_study(claim="all images")
