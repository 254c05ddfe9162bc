"""Labels that stand in the names of image files: ``cat.0.jpg``, ``0_123.png``, by a pattern that the study names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, Problem
from ...numerals import counted
from ...spec import Groups, Reading
from .arrays import joined
from .content import Part, RawSplits, validation_note
from .folders import Below, name_groups
from .labels import texts_to_labels
from .name_patterns import compiled
from .pictures import SUFFIXES, decode
from .sides import Side, listed, side_of
from .trees import Name, Tree, tree_of


def read_by_names(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """Image files of a folder or an archive with their labels in their names, as ``read.labels`` says.

    Folders called as splits are the splits; other folders count for nothing. Test images whose names fit the pattern
    nowhere have no labels.

    Raises:
        DataError: The pattern is none, a training image's name does not fit it, or files are no images.
    """
    pattern = compiled(reading.labels or "", str(path))
    tree = _unwrapped(tree_of(path))
    names = [name for name in tree.names() if name[-1].lower().endswith(SUFFIXES)]
    if not names:
        raise DataError(Problem("it holds no image files", "name the folder that holds them", file=str(path)))
    notes: list[str] = []
    sides = _sides(tree, names, notes)
    parts: dict[str, Part] = {}
    for side, some in sides.items():
        parts[side] = _part(tree, some, pattern, side, reading, groups, notes)
    training = parts["train"]
    if "val" in parts:
        training = joined(training, parts["val"])
        notes.append(validation_note("The images of the validation folder"))
    return RawSplits(training, parts.get("test"), None, tuple(dict.fromkeys(notes)), (str(path),))


def _unwrapped(tree: Tree) -> Tree:
    """The tree below folders that wrap everything, as an archive's only one."""
    while True:
        names = tree.names()
        tops = {name[0] for name in names}
        if len(tops) != 1 or any(len(name) < 3 for name in names):
            return tree
        tree = Below(tree, tops.pop())


def _sides(tree: Tree, names: Sequence[Name], notes: list[str]) -> dict[Side, list[Name]]:
    """The image files of each split: by the folders at the top that are called as splits, else all for training."""
    named: dict[Side, list[str]] = {}
    for top in sorted({name[0] for name in names if len(name) > 1}):
        if (side := side_of(top)) is not None:
            named.setdefault("test" if side == "eval" else side, []).append(top)
    if "train" not in named:
        if named and any(side_of(name[0]) is None for name in names):
            what = f"it holds {listed([top for tops in named.values() for top in tops])} and no training split"
            raise DataError(Problem(what, "name the folder to train on as data.path", file=tree.place))
        return {"train": list(names)}
    for side, tops in named.items():
        if len(tops) > 1:
            what = f"{listed(tops)} all look like the {side} split"
            raise DataError(Problem(what, "merge them, or name one as data.path", file=tree.place))
    chosen: dict[Side, list[Name]] = {
        side: [name for name in names if name[0] == named[side][0] and len(name) > 1]
        for side in ("train", "val", "test")
        if side in named
    }
    others = len(names) - sum(map(len, chosen.values()))
    if others:
        notes.append(f"{counted(others, 'image')} beside the splits {'is' if others == 1 else 'are'} left out.")
    return chosen


def _part(
    tree: Tree,
    names: Sequence[Name],
    pattern: re.Pattern[str],
    side: Side,
    reading: Reading,
    groups: Groups | None,
    notes: list[str],
) -> Part:
    matches = [pattern.fullmatch(name[-1].rpartition(".")[0]) for name in names]
    place = tree.place
    if not all(matches):
        if side == "test" and not any(matches):
            images, kept, more = decode(lambda: tree.contents(names), _shown(names), reading, place)
            notes += more
            files = tuple(_shown([names[index] for index in kept]))
            return Part(images, None, f"{place}, {names[0][0]}", names=files)
        index = [match is None for match in matches].index(True)
        count = sum(match is None for match in matches)
        what = f"{names[index][-1]}{f' (and {count - 1:,} more)' if count > 1 else ''} does not fit {reading.labels}"
        raise DataError(Problem(what, "correct the pattern or the name", "data.read.labels", place))
    images, kept, more = decode(lambda: tree.contents(names), _shown(names), reading, place)
    notes += more
    labels = [matches[index]["label"] for index in kept]
    file_groups: Any = None
    if groups is not None and side != "test":
        file_groups = name_groups([names[index] for index in kept], groups, place)
        file_groups = None if file_groups is None else np.asarray(file_groups)
    files = tuple(_shown([names[index] for index in kept]))
    return Part(images, texts_to_labels(labels), place, file_groups, names=files)


def _shown(names: Sequence[Name]) -> list[str]:
    return ["/".join(name) for name in names]
