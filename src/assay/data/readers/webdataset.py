"""Reads WebDataset's tar files: an image and its label under one name, ``0.jpg`` beside ``0.cls`` or ``0.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import NO_MULTI_LABEL
from .content import RawSplits
from .pictures import SUFFIXES
from .shards import Shard, by_split, read_shards
from .trees import Name, Tree, tree_of

_LABELS = ("cls", "json", "txt")
_KEYS = ("label", "cls", "class", "class_id", "category", "target", "y")
_MOST_LABEL_BYTES = 1 << 16


def is_shard(names: Sequence[Name]) -> bool:
    """Whether an archive's files are images with files of labels beside them, under the same names."""
    if not names or len({name[:-1] for name in names}) != 1:
        return False
    images = {_stem(name) for name in names if name[-1].lower().endswith(SUFFIXES)}
    labels = {_stem(name) for name in names if _ending(name) in _LABELS}
    return bool(images) and len(images & labels) * 2 > len(images)


def is_shard_folder(folder: Path) -> bool:
    """Whether a folder holds tar files and nothing but files that describe them."""
    return bool(_shards(folder)) and is_shard(tree_of(_shards(folder)[0]).names())


def read_webdataset(path: Path, reading: Reading, _: Groups | None = None) -> RawSplits:
    """A shard, or a folder of shards: ``train-0000.tar``, ``test-0000.tar``.

    A label is the text of ``.cls`` or ``.txt``, or a key of ``.json``: the one that ``read.label`` names, or ``label``.

    Raises:
        DataError: A shard is damaged, an image has no label, or files are no images.
    """
    sides = by_split(_shards(path), str(path)) if path.is_dir() else {"train": [path]}
    return read_shards(sides, lambda file: _shard(file, reading), reading, str(path))


def _shards(folder: Path) -> list[Path]:
    with disk_errors(folder, "read"), os.scandir(folder) as items:
        files = sorted(item.name for item in items if item.is_file() and not item.name.startswith("."))
        return [folder / name for name in files if name.lower().endswith((".tar", ".tar.gz", ".tgz"))]


def _shard(path: Path, reading: Reading) -> Shard:
    tree = tree_of(path)
    names = tree.names()
    images = [name for name in names if name[-1].lower().endswith(SUFFIXES)]
    beside: dict[str, dict[str, Name]] = {}
    for name in names:
        if _ending(name) in (*_LABELS, reading.label):
            beside.setdefault(_stem(name), {})[_ending(name)] = name
    ending, key = _wanted(reading, [set(beside.get(_stem(name), ())) for name in images], path)
    missing = next((name for name in images if ending not in beside.get(_stem(name), {})), None)
    if missing is not None:
        what = f"{missing[-1]} has no {_stem(missing)}.{ending} beside it"
        raise DataError(Problem(what, "give every image a label", file=str(path)))
    files = [beside[_stem(name)][ending] for name in images]
    labels = [""] * len(images)
    for index, content in tree.contents(files):
        if len(content) > _MOST_LABEL_BYTES:
            raise DataError(Problem("it is too long for a label", "correct it", file=f"{path}, {files[index][-1]}"))
        labels[index] = _label(content, ending, key, f"{path}, {files[index][-1]}")
    return Shard(path, ["/".join(name) for name in images], labels, lambda: _images(tree, images))


def _images(tree: Tree, images: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
    return tree.contents(images)


def _wanted(reading: Reading, endings: Sequence[set[str]], path: Path) -> tuple[str, str | None]:
    """The ending of the files of labels, and the key in them where the study names one."""
    if reading.label is not None:
        if any(reading.label in some for some in endings):
            return reading.label, None
        return "json", reading.label
    known = next((ending for ending in _LABELS if all(ending in some for some in endings)), None)
    if known is None:
        known = next((ending for ending in _LABELS if any(ending in some for some in endings)), None)
    if known is None:
        what = "no image has a label beside it"
        raise DataError(Problem(what, "give files of the same names that end in .cls or .json", file=str(path)))
    return known, None


def _label(content: bytes, ending: str, key: str | None, place: str) -> str:
    text = content.decode("utf-8", "replace").strip()
    if ending != "json":
        return text
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(Problem("it is no JSON", "replace it with an intact copy", file=place)) from None
    if isinstance(values, int | str) and key is None:
        return str(values)
    known = values if isinstance(values, dict) else {}
    name = key or next((name for name in _KEYS if name in known), None)
    if name is None or name not in known:
        what = f"it holds {', '.join(map(str, list(known)[:8])) or 'no keys'}"
        raise DataError(Problem(what, 'name the key of the label: read = { label = "..." }', file=place))
    value = known[name]
    if isinstance(value, list):
        fix = NO_MULTI_LABEL
        raise DataError(Problem(f"{name} is a list", fix, file=place))
    if not isinstance(value, int | str):
        raise DataError(Problem(f"{name} is no text and no whole number", "correct it", file=place))
    return str(value)


def _stem(name: Name) -> str:
    return name[-1].partition(".")[0]


def _ending(name: Name) -> str:
    return name[-1].partition(".")[2].lower()
