"""A look at a data set before training: its checks in words, with the names of the files that they speak of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..numerals import percent
from .copies import Copies
from .prepare import Dataset
from .survey import Survey, survey
from .suspects import LEAST_VOTES, NEIGHBOURS, Suspect

MOST_LISTED = 20
_FEW_JUDGED = "are not told apart by what they look like, so their labels are not judged"


@dataclass(frozen=True)
class Pair:
    """Two images that are copies of each other.

    Args:
        first, second: What they are called: the names of their files, or their places in their split.
        is_exact: Byte for byte.
        split: ``across`` for a training and a test image, else ``train``.
        labels: Their classes' names, where both are training images.
    """

    first: str
    second: str
    is_exact: bool
    split: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuspectImage:
    """A training image that looks like another class.

    Args:
        name: Its file, or its place among the training images.
        suspect: Its place, and those that it looks like.
        label, likely: Names of its class and of its neighbours'.
        neighbour: What the nearest of them is called.
    """

    name: str
    suspect: Suspect
    label: str
    likely: str
    neighbour: str


@dataclass(frozen=True)
class Look:
    """What a data set's checks say.

    Args:
        survey: The figures.
        across: Test images that are training images too, exact ones first; at most ``MOST_LISTED`` of each kind.
        conflicting: Training images that are there again with another label, likewise.
        suspects: Labels that deserve a second look, the clearest first.
        judgement: How suspicious labels are found, or why none is looked for, in a sentence or two.
    """

    survey: Survey
    across: tuple[Pair, ...]
    conflicting: tuple[Pair, ...]
    suspects: tuple[SuspectImage, ...]
    judgement: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """Balance and warnings, a sentence each."""
        return (self.survey.balance, *self.survey.warnings)


def look(dataset: Dataset) -> Look:
    """Checks a data set, once, and names what was found.

    Raises:
        DataError: The memory maps are damaged or gone.
    """
    results, info = survey(dataset), dataset.info
    names = {side: dataset.names_of(side) for side in ("train", "test")}

    def name(side: str, index: int) -> str:
        known = names[side]
        return known[index] if known else f"{'training' if side == 'train' else 'test'} image {index:,}"

    labels = dataset.training().labels

    def pairs(copies: Copies, *, is_exact: bool, split: str) -> Iterator[Pair]:
        for side, first, other_side, second in copies.pairs:
            kinds: tuple[str, ...] = ()
            if side == other_side == "train":
                kinds = (info.classes[labels[first]], info.classes[labels[second]])
            if side != other_side if split == "across" else len(set(kinds)) > 1:
                yield Pair(name(side, first), name(other_side, second), is_exact, split, kinds)

    def some(split: str) -> tuple[Pair, ...]:
        kinds = ((results.exact, True), (results.near, False))
        return tuple(
            pair
            for copies, is_exact in kinds
            for _, pair in zip(range(MOST_LISTED), pairs(copies, is_exact=is_exact, split=split), strict=False)
        )

    suspects = tuple(
        SuspectImage(
            name("train", one.index),
            one,
            info.classes[one.label],
            info.classes[one.neighbours_label],
            name("train", one.neighbour),
        )
        for one in results.suspects.images
    )
    return Look(results, some("across"), some("train"), suspects, _judgement(results, info.num_classes))


def _judgement(results: Survey, num_classes: int) -> str:
    judged, agreement = len(results.suspects.judged), results.suspects.agreement
    if not judged:
        return (
            f"Only {percent(agreement, 0)} of images have a nearest neighbour of their own class: the classes "
            f"{_FEW_JUDGED} "
            "before training. After a study, assay data show --study names the labels that its networks doubt."
        )
    how = (
        f"An image is suspicious where at least {LEAST_VOTES} of the {NEIGHBOURS} training images that look most like "
        f"it have one other label and none has its own; {percent(agreement, 0)} of nearest neighbours agree."
    )
    left = num_classes - judged
    return how if not left else f"{how} {left:,} of {num_classes:,} classes {_FEW_JUDGED}."
