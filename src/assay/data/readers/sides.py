"""Which split a name stands for: folders, files, arrays and cells called train, seg_test, validation-set, fold_1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["train", "val", "test", "eval", "fold"]

_WORDS: dict[str, Side] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    # Held out, but for which purpose? Never trained on, whatever it is.
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "eval"),
    **dict.fromkeys(("fold", "folds", "kfold"), "fold"),
}
_PLAIN = {word for word, side in _WORDS.items() if side in ("train", "val", "test")} - {"trn", "tst"}
_ENDINGS = ("set", "sets", "data", "dataset", "images", "image", "imgs", "img", "folder", "split")
_PART = re.compile(r"(?:part|partition|subset|shard|batch|chunk|split|set|cv|k)[-_ ]*\d+", re.IGNORECASE)


def side_of(name: str) -> Side | None:
    """The split that a name stands for; ``None`` where it names none, or several as ``train_test`` does.

    ``eval`` stands for images held out for an unknown purpose, ``fold`` for one part of a cross-validation.
    ``trainval`` is training.
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    pairs = ["".join(pair) for pair in pairwise(words)]
    sides = {side for word in (*words, *pairs) if (side := _side_of_word(word)) is not None}
    if sides == {"train", "val"} or words == ["trainval"]:
        return "train"
    return next(iter(sides)) if len(sides) == 1 else None


def is_plain(name: str) -> bool:
    """Whether a name is the bare word for a split, such as ``Train`` or ``validation``."""
    return name.lower() in _PLAIN


def is_part(name: str) -> bool:
    """Whether a name counts parts of something, such as ``part_2``: of a data set, or of an engine."""
    return _PART.fullmatch(name) is not None


def _side_of_word(word: str) -> Side | None:
    for ending in ("", *_ENDINGS):
        if (side := _WORDS.get(word.removesuffix(ending))) is not None:
            return side
    return None


@dataclass(frozen=True)
class Arrangement:
    """Which of some folders are splits.

    Args:
        splits: The folder of each split: ``train``, ``val``, ``test``.
        left_out: Folders beside the splits that nothing is read from.
        question: Why the folders cannot be told apart, and what to do; ``None`` where they can.
        lone_test: A test split beside class folders, which are the training split.
        classes: Folders that are called as a split is and stand among class folders.
        proposed: With a question, folders that ``data.path`` and ``data.test`` may be.
    """

    splits: Mapping[Side, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    question: tuple[str, str] | None = None
    classes: tuple[str, ...] = ()
    proposed: Mapping[str, str] = field(default_factory=dict)


def arrangement(below: Mapping[str, frozenset[str]]) -> Arrangement:
    """Which of the folders at the top of a tree are splits, and which are classes.

    Args:
        below: The folders within each of them.
    """
    named = {top: side for top in sorted(below) if (side := side_of(top)) is not None}
    others = [top for top in sorted(below) if top not in named]
    called = tuple(named)
    if others:
        # A folder of images called train is a class among folders of images, such as car and ship.
        named = {top: side for top, side in named.items() if below[top]}
        sides = set(named.values())
        if not any(map(is_plain, named)) and not {"train", "test"} <= sides and not {"train", "val"} <= sides:
            named = {}
    if "fold" in named.values() or (len(below) > 1 and all(map(is_part, below)) and _are_alike(below)):
        which = [top for top in sorted(below) if named.get(top, "fold") == "fold"]
        what = f"{listed(which)} look like parts of one data set, not like classes"
        fix = "merge them into one folder for each class, or name one as data.path and another as data.test"
        return Arrangement(question=(what, fix))
    if not named:
        return Arrangement(classes=called)
    chosen: dict[Side, str] = {}
    for side in _NAMES:
        tops = [top for top, its in named.items() if its == side]
        plain = [top for top in tops if is_plain(top)]
        if len(tops) > 1 and len(plain) != 1:
            what = f"{listed(tops)} all look like the {_NAMES[side]} split"
            return Arrangement(question=(what, f"merge them, or name one as data.{_KEYS[side]}"))
        if tops:
            chosen[side] = (plain or tops)[0]
    held_out = [top for top, side in named.items() if side == "eval"]
    if "test" not in chosen and len(held_out) == 1:
        chosen["test"] = held_out[0]
    left_out = tuple(top for top in sorted(below) if top not in chosen.values())
    if "train" not in chosen:
        return _without_training(chosen, left_out, below)
    return Arrangement(chosen, left_out)


_NAMES: dict[Side, str] = {"train": "training", "val": "validation", "test": "test"}
_KEYS: dict[Side, str] = {"train": "path", "val": "path", "test": "test"}


def _without_training(
    chosen: dict[Side, str], left_out: tuple[str, ...], below: Mapping[str, frozenset[str]]
) -> Arrangement:
    test = chosen.get("test")
    if test is not None and "val" not in chosen and len(left_out) > 1 and below[test] <= set(left_out):
        return Arrangement({"test": test})  # class folders with a test split beside them
    tops = [*chosen.values(), *left_out]
    what = f"it holds {listed(tops)}, and none of them is a training split"
    fix = "add a folder train, or name the folder to train on as data.path"
    proposed = {"path": chosen["val"], "test": test} if test is not None and "val" in chosen else {}
    return Arrangement(question=(what, f"{fix}, and that of the test images as data.test"), proposed=proposed)


def _are_alike(below: Mapping[str, frozenset[str]]) -> bool:
    """Whether all folders hold the same folders, at least two."""
    first, *rest = below.values()
    return len(first) > 1 and all(folders == first for folders in rest)


def listed(names: Sequence[str]) -> str:
    """Names as people list them, at most four of them."""
    names = [*names[:3], f"{len(names) - 3:,} more"] if len(names) > 4 else list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def rows_of_splits(words: Sequence[str]) -> dict[str, npt.NDArray[np.int64]] | int:
    """The rows of each split, ``train``, ``val`` and ``test``, in a column that names them.

    Images that are held out for an unknown purpose are the test split where there is no other.

    Returns:
        Indices of rows by split, those without a row left out; or the index of the first row that names no split.
    """
    sides = {word: side_of(word) for word in set(words)}
    if "test" not in sides.values():
        sides = {word: "test" if side == "eval" else side for word, side in sides.items()}
    unknown = next((row for row, word in enumerate(words) if sides[word] not in ("train", "val", "test")), None)
    if unknown is not None:
        return unknown
    named = np.asarray([sides[word] for word in words], dtype=str)
    return {side: rows for side in ("train", "val", "test") if len(rows := np.flatnonzero(named == side))}
