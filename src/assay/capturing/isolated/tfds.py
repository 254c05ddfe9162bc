"""``tensorflow_datasets.load`` for data sets that Assay's registry has."""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace
from typing import Any

from ...data import entry
from .data import Loaders
from .pipeline import Dataset

_NAMES = {"mnist": "mnist", "fashion_mnist": "fashion_mnist", "cifar10": "cifar10", "cifar100": "cifar100"}
_SPLIT = re.compile(r"(train|test)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


def module(loaders: Loaders) -> ModuleType:
    """A module that answers ``import tensorflow_datasets``."""
    made = ModuleType("tensorflow_datasets")
    made.load = lambda name, **kwargs: _load(loaders, name, **kwargs)  # type: ignore[attr-defined]
    made.as_numpy = _as_numpy  # type: ignore[attr-defined]
    made.disable_progress_bar = lambda: None  # type: ignore[attr-defined]
    return made


def _load(
    loaders: Loaders, name: str, *, split: Any = None, as_supervised: bool = False, with_info: bool = False,
    batch_size: int | None = None, **_: Any,
) -> Any:  # fmt: skip
    plain = str(name).partition(":")[0].partition("/")[0]
    if plain not in _NAMES:
        raise FileNotFoundError(2, "no such data set without a network", plain)
    if not as_supervised:
        raise NotImplementedError("dictionaries of images and labels; give as_supervised=True")
    parts = dict(zip(("train", "test"), loaders.arrays(_NAMES[plain]), strict=True))

    def one(text: str) -> Any:
        match = _SPLIT.fullmatch(str(text))
        if match is None:
            raise ValueError(f"unknown split {text}")
        images, labels = parts[match[1]]
        chosen = slice(*(_place(place, len(images)) for place in (match[2], match[3])))
        pair = (images[chosen], labels[chosen])
        return pair if batch_size == -1 else Dataset(pair, size=batch_size or 0)

    if split is None:
        result: Any = {key: one(key) for key in parts}
    else:
        result = type(split)(map(one, split)) if isinstance(split, list | tuple) else one(split)
    about = entry(_NAMES[plain]).info
    label = SimpleNamespace(num_classes=about.num_classes, names=list(about.classes), int2str=about.classes.__getitem__)
    info = SimpleNamespace(
        features={"label": label, "image": SimpleNamespace(shape=about.shape)},
        splits={key: SimpleNamespace(num_examples=len(pair[0])) for key, pair in parts.items()}, name=plain,
    )  # fmt: skip
    return (result, info) if with_info else result


def _place(text: str | None, count: int) -> int | None:
    if text is None:
        return None
    return round(int(text[:-1]) * count / 100) if text.endswith("%") else int(text)


def _as_numpy(dataset: Any) -> Any:
    return dataset if isinstance(dataset, tuple) else list(dataset.as_numpy_iterator())
