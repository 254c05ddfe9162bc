"""Splits by group: no group on both sides, sizes and class shares as near as scikit-learn comes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

from assay.data import split
from assay.data.grouped import number_groups
from assay.errors import SpecError
from assay.seeds import Streams
from assay.spec import Folds, Last


def generator(seed: int = 0) -> np.random.Generator:
    return Streams(seed).generator("split")


def patients(seed: int, num_groups: int = 60, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups: a patient has 1 to 30 images, most of them of one class; some classes are rare."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, num_classes + 1)
    labels, groups = [], []
    for group, size in enumerate(rng.integers(1, 31, num_groups)):
        main = rng.choice(num_classes, p=shares / shares.sum())
        labels.append(np.where(rng.random(size) < 0.8, main, rng.integers(0, num_classes, size)))
        groups.append(np.full(size, group))
    order = rng.permutation(sum(map(len, groups)))
    return np.concatenate(labels)[order], number_groups(np.concatenate(groups)[order])


def unevenness(labels: np.ndarray, sides: list[np.ndarray], share: float) -> float:
    """Mean distance, over parts and classes, of the share of a class that a part holds from the wanted one."""
    counts = np.array([np.bincount(labels[side], minlength=labels.max() + 1) for side in sides])
    return float(np.abs(counts / np.bincount(labels) - share).mean())


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 9), min_size=20, max_size=80),
    labels=st.lists(st.integers(0, 3), min_size=80, max_size=80),
    share=st.floats(0.1, 0.6),
    num_folds=st.integers(2, 4),
    stratified=st.booleans(),
)
def test_no_group_is_on_both_sides_and_every_image_on_one(groups, labels, share, num_folds, stratified):
    groups, labels = number_groups(np.array(groups)), np.array(labels[: len(groups)])
    told = {"stratified": stratified, "groups": groups}
    largest = np.bincount(groups).max()
    sides = []
    if largest < 2 * share * len(labels) < len(labels):  # small enough to be drawn, and to leave one
        sides.append(split(labels, share, **{**told, "stratified": False}, generator=generator()))
    folds = []
    if groups.max() + 1 >= num_folds:
        cut = Folds(folds=num_folds)
        folds = [split(labels, cut, generator=generator(), fold=k + 1, **told) for k in range(num_folds)]
    for parts in (*sides, *folds):
        assert not set(groups[parts.training]) & set(groups[parts.validation])
        assert np.array_equal(np.sort(np.concatenate([parts.training, parts.validation])), np.arange(len(labels)))
        assert min(len(parts.training), len(parts.validation)) > 0
    if folds:
        assert np.array_equal(np.sort(np.concatenate([one.validation for one in folds])), np.arange(len(labels)))


def test_folds_are_stratified_as_well_as_scikit_learns():
    ours, theirs, blind = [], [], []
    for seed in range(20):
        labels, groups = patients(seed)
        told = {"generator": generator(seed), "groups": groups}
        for found, stratified in ((ours, True), (blind, False)):
            parts = [
                split(labels, Folds(folds=5), stratified=stratified, fold=k, **{**told, "generator": generator(seed)})
                for k in range(1, 6)
            ]
            found.append(unevenness(labels, [one.validation for one in parts], 0.2))
        reference = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        theirs.append(unevenness(labels, [held for _, held in reference], 0.2))
    assert np.mean(ours) < 1.1 * np.mean(theirs)
    assert np.mean(ours) < 0.7 * np.mean(blind)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_share_is_nearer_to_what_is_wanted_than_groups_drawn_blindly(share):
    ours, blind, sizes, theirs = [], [], [], []
    for seed in range(30):
        labels, groups = patients(seed)
        for found, stratified in ((ours, True), (blind, False)):
            parts = split(labels, share, stratified=stratified, generator=generator(seed), groups=groups)
            found.append(unevenness(labels, [parts.validation], share))
        sizes.append(abs(len(parts.validation) / len(labels) - share))
        _, held = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(labels, labels, groups))
        theirs.append(abs(len(held) / len(labels) - share))
    assert np.mean(ours) < np.mean(blind)
    assert np.mean(sizes) < np.mean(theirs)
    assert np.mean(sizes) < 0.01


def test_groups_of_one_image_are_a_stratified_draw():
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    parts = split(labels, 0.1, stratified=True, generator=generator(), groups=np.arange(1000))
    assert np.bincount(labels[parts.validation]).tolist() == [50, 30, 20]
    held = split(
        labels, Folds(folds=5), stratified=True, generator=generator(), fold=2, groups=np.arange(1000)
    ).validation
    assert np.bincount(labels[held]).tolist() == [100, 60, 40]


def test_every_group_is_drawn_about_equally_often():
    labels, groups = np.zeros(200, int), np.repeat(np.arange(40), 5)
    draws = 1000
    counts = np.zeros(40)
    for seed in range(draws):
        held = split(labels, 0.2, stratified=True, generator=generator(seed), groups=groups).validation
        counts[np.unique(groups[held])] += 1
    # Five standard errors of a share of 1000 draws at 20 %: 5 * sqrt(0.2 * 0.8 / 1000).
    assert np.abs(counts / draws - 0.2).max() < 0.0633


def test_the_generator_alone_decides_and_the_draw_stays():
    labels, groups = patients(1)

    def drawn(seed: int) -> list[int]:
        return split(labels, 0.2, stratified=True, generator=generator(seed), groups=groups).validation.tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    small = np.arange(12) // 2
    held = split(np.arange(12) % 2, 4, stratified=True, generator=generator(7), groups=small).validation
    assert len(held) == 4
    assert len(set(small[held])) == 2


def test_the_last_images_divide_no_group():
    labels, groups = np.arange(20) % 2, np.arange(20) // 5
    parts = split(labels, Last(last=5), stratified=False, generator=generator(), groups=groups)
    assert parts.validation.tolist() == [15, 16, 17, 18, 19]
    with pytest.raises(SpecError, match=r"data\.validation: .* divide a group: images 11 and 15 belong together"):
        split(labels, Last(last=6), stratified=False, generator=generator(), groups=groups)


def test_too_few_or_too_large_groups_are_refused():
    labels, groups = np.arange(20) % 2, np.arange(20) // 10
    with pytest.raises(SpecError, match="3 folds for 2 groups"):
        split(labels, Folds(folds=3), stratified=True, generator=generator(), fold=1, groups=groups)
    with pytest.raises(SpecError, match=r"got 0\.1, and no group of the 2 would be taken"):
        split(labels, 0.1, stratified=True, generator=generator(), groups=groups)


def test_groups_are_numbered_as_they_come_whatever_they_are_called():
    assert number_groups(np.array(["b", "a", "b", "c"])).tolist() == [0, 1, 0, 2]
    assert number_groups(np.array([7, -1, 7, 0])).tolist() == [0, 1, 0, 2]
