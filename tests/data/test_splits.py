"""Splits: exact sizes, disjoint, covering, with each class's share, the same for the same generator."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from assay.data import TrainingData, info_of, num_learned, split, split_for
from assay.data.splits import largest_remainder
from assay.errors import SpecError
from assay.seeds import Streams
from assay.spec import Data, Folds, Last

LABELS = np.random.default_rng(3).permutation(np.repeat(np.arange(4), [400, 300, 200, 101]))


def generator(seed: int = 0) -> np.random.Generator:
    return Streams(seed).generator("split")


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=12, max_size=80),
    share=st.floats(0.1, 0.9),
    is_count=st.booleans(),
    stratified=st.booleans(),
    seed=st.integers(0, 9),
)
def test_parts_are_exact_disjoint_sorted_and_cover(labels, share, is_count, stratified, seed):
    labels = np.array(labels)
    count = round(share * len(labels))
    if stratified:
        count = max(count, len(np.unique(labels)))
        share = count / len(labels)
    parts = split(labels, count if is_count else share, stratified=stratified, generator=generator(seed))
    assert len(parts.validation) == count
    assert parts.training.dtype == parts.validation.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([parts.training, parts.validation])), np.arange(len(labels)))
    assert np.all(np.diff(parts.training) > 0)
    assert np.all(np.diff(parts.validation) > 0)
    if stratified:
        sizes = np.bincount(labels, minlength=5)
        taken = np.bincount(labels[parts.validation], minlength=5)
        assert np.all(np.abs(taken - sizes * count / len(labels)) < 1)


@pytest.mark.parametrize(
    "told",
    [{"validation": 0.2}, {"validation": 333}, {"validation": "last 20%"}, {"validation": "last 7"},
     {"validation": "7-fold"}, {"validation": 0.2, "training": "10 per class"}],
    ids=str,
)  # fmt: skip
def test_how_many_images_are_learned_from_is_known_without_drawing_them(told):
    data = Data.of({"name": "digits", **told})
    info = info_of(data)
    labels = np.random.default_rng(0).permutation(np.arange(info.num_training) % len(info.classes))
    fold = 7 if data.num_folds else None
    drawn = split(
        labels, data.validation, stratified=data.stratified, generator=generator(), fold=fold, per_class=data.per_class
    )
    assert abs(num_learned(data, info) - len(drawn.training)) <= (1 if fold else 0)


def test_class_shares_are_those_of_largest_remainder():
    parts = split(LABELS, 100, stratified=True, generator=generator())
    # 100/1001 of 400, 300, 200, 101 is 39.96, 29.97, 19.98, 10.09: the three largest remainders get one more.
    assert np.bincount(LABELS[parts.validation]).tolist() == [40, 30, 20, 10]
    assert largest_remainder(np.array([3, 3, 3]), 4).tolist() == [2, 1, 1]


def test_the_generator_alone_decides():
    def drawn(seed: int, stratified: bool) -> list[int]:
        return split(LABELS, 0.2, stratified=stratified, generator=generator(seed)).validation.tolist()

    for stratified in (True, False):
        assert drawn(1, stratified) == drawn(1, stratified)
        assert drawn(1, stratified) != drawn(2, stratified)
    assert drawn(1, True) != drawn(1, False)


def test_the_draw_is_the_same_under_every_numpy_version():
    parts = split(np.arange(20) % 2, 6, stratified=True, generator=generator(7))
    assert parts.validation.tolist() == [0, 7, 12, 13, 18, 19]


def test_every_image_is_drawn_equally_often():
    labels = np.repeat([0, 1], [10, 30])
    draws = 2000
    counts = np.zeros(40)
    for seed in range(draws):
        counts[split(labels, 8, stratified=True, generator=generator(seed)).validation] += 1
    # Five standard errors of a share of 2000 draws at 20 %: 5 * sqrt(0.2 * 0.8 / 2000).
    assert np.abs(counts / draws - 0.2).max() < 0.045


@pytest.mark.parametrize("stratified", [False, True])
def test_the_last_images_are_the_last_in_file_order(stratified: bool) -> None:
    parts = split(LABELS, Last(last=0.25), stratified=stratified, generator=generator())
    assert len(parts.validation) == 250
    if not stratified:
        assert parts.validation.tolist() == list(range(751, 1001))
        same = split(LABELS, Last(last=250), stratified=False, generator=generator(5))
        assert np.array_equal(same.validation, parts.validation)
    for label, share in enumerate((100, 75, 50, 25) if stratified else ()):
        members = np.flatnonzero(label == LABELS)
        assert np.array_equal(parts.validation[LABELS[parts.validation] == label], members[-share:])


@pytest.mark.parametrize("stratified", [False, True])
def test_folds_are_validation_once_each(stratified: bool) -> None:
    parts = [split(LABELS, Folds(folds=5), stratified=stratified, generator=generator(), fold=f) for f in range(1, 6)]
    for one in parts:
        assert np.array_equal(np.sort(np.concatenate([one.training, one.validation])), np.arange(len(LABELS)))
    assert np.array_equal(np.sort(np.concatenate([one.validation for one in parts])), np.arange(len(LABELS)))
    counts = np.array([np.bincount(LABELS[one.validation], minlength=4) for one in parts])
    assert np.ptp(counts.sum(1)) <= 1
    if stratified:
        theirs = StratifiedKFold(5, shuffle=True, random_state=0).split(LABELS, LABELS)
        expected = np.array([np.bincount(LABELS[held_out], minlength=4) for _, held_out in theirs])
        assert np.array_equal(np.sort(counts, axis=0), np.sort(expected, axis=0))
    other = split(LABELS, Folds(folds=5), stratified=stratified, generator=generator(1), fold=1)
    assert not np.array_equal(other.validation, parts[0].validation)


def test_folds_that_cannot_be_are_refused() -> None:
    def cut(num_folds: int, fold: int | None = 1, stratified: bool = True) -> None:
        split(LABELS, Folds(folds=num_folds), stratified=stratified, generator=generator(), fold=fold)

    with pytest.raises(SpecError, match="102 folds, and a class has 101 training images; give fewer folds, or strat"):
        cut(102)
    with pytest.raises(SpecError, match="1002 folds for 1001 images"):
        cut(1002, stratified=False)
    for fold in (None, 0, 6):
        with pytest.raises(ValueError, match="none of 1 to 5"):
            cut(5, fold)


@pytest.mark.parametrize("validation", ["none", "test"])
def test_no_training_image_is_set_aside_where_none_is_asked_for(validation: Literal["none", "test"]) -> None:
    parts = split(LABELS, validation, stratified=True, generator=generator())
    assert len(parts.training) == len(LABELS)
    assert len(parts.validation) == 0


@pytest.mark.parametrize(
    ("validation", "stratified", "said"),
    [
        (0, False, "sets none of 1001 images aside; set at least 1 aside"),
        (-3, False, "sets none"),
        (1e-9, False, "got 1e-09, which sets none"),
        (1001, False, "got 1001, which leaves none of 1001 images to train on; set at most 1000 aside"),
        (0.9999, False, "leaves none"),
        (1.0, False, "got 1.0; give a share between 0 and 1, or a count"),
        (float("nan"), True, "give a share between 0 and 1"),
        (3, True, "which is 3 of 1001 images for 4 classes; set at least 4 aside, or stratified = false"),
    ],
)
def test_impossible_splits_are_refused(validation, stratified, said):
    with pytest.raises(SpecError) as caught:
        split(LABELS, validation, stratified=stratified, generator=generator())
    (problem,) = caught.value.problems
    assert problem.key == "data.validation"
    assert said in str(problem)


def test_a_few_per_class_are_nested_and_leave_validation_alone() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 1000)
    for validation in (0.2, Last(last=100), Folds(folds=4)):
        found = {}
        for per_class in (None, 10, 40):
            generator = Streams(3).generator("split")
            found[per_class] = split(
                labels, validation, stratified=True, generator=generator, fold=2, per_class=per_class
            )
        whole, few, more = found[None], found[10], found[40]
        assert np.array_equal(few.validation, whole.validation)
        assert np.array_equal(more.validation, whole.validation)
        assert np.bincount(labels[few.training]).tolist() == [10] * 5
        assert set(few.training) < set(more.training) < set(whole.training)
        assert np.array_equal(few.training, np.sort(few.training))
        other = split(
            labels, validation, stratified=True, generator=Streams(4).generator("split"), fold=2, per_class=10
        )
        assert set(other.training) != set(few.training)


def test_a_class_with_too_few_images_is_told() -> None:
    labels = np.array([0] * 50 + [1] * 8)
    with pytest.raises(SpecError, match=r"data\.training: got 10 per class, and class 1 has 6 besides the validation"):
        split(labels, 0.25, stratified=True, generator=Streams(0).generator("split"), per_class=10)


def test_a_runs_split_follows_its_seed_its_fold_and_what_its_study_asks_for() -> None:
    labels = np.arange(60) % 3
    training = TrainingData(np.zeros((60, 2, 2, 1), np.uint8), labels)
    data = Data(name="digits", validation=0.25, stratified=False, training="10 per class")
    mine = split_for(training, data, seed=4, vary=["split", "init"])
    drawn = split(labels, 0.25, stratified=False, generator=Streams(4).generator("split"), per_class=10)
    assert all(np.array_equal(a, b) for a, b in ((mine.training, drawn.training), (mine.validation, drawn.validation)))
    assert not np.array_equal(mine.validation, split_for(training, data, seed=5, vary=["split"]).validation)
    fixed = [split_for(training, data, seed=seed, vary=["init"]).validation for seed in (4, 5)]
    assert np.array_equal(*fixed)
    assert len(split_for(training, data.for_retraining, seed=4, vary=["split"]).validation) == 0
    folded = Data(name="digits", validation="3-fold")
    folds = [split_for(training, folded, seed=4, vary=["split"], fold=fold).validation for fold in (1, 2, 3)]
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(60))
