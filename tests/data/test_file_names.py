"""Labels in file names: proposed, never guessed in silence, and taken by the pattern that the study names."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import Dataset, prepare
from assay.data.readers.name_patterns import compiled, proposed_patterns
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(227)
IMAGES = RNG.integers(0, 256, (24, 6, 6), dtype=np.uint8)
NAMES = {
    "cat.0.jpg": (lambda k, c: f"{c}.{k}.png", "[label].[id]"),
    "0_123.png": (lambda k, c: f"{len(c)}_{k}.png", "[label]_[id]"),
    "id first": (lambda k, c: f"{k:05}-{c}.png", "[id]-[label]"),
    "a label with the mark in it": (lambda k, c: f"{c.replace('mouse', 'field_mouse')}_{k}.png", "[label]_[id]"),
    "doubled mark": (lambda k, c: f"obj{len(c)}__{k}.png", "[label]__[id]"),
    "no mark": (lambda k, c: f"{c}{k}.png", "[label][id]"),
    "in the middle": (lambda k, c: f"{k}_{c}_2019.png", "[id]_[label]_2019"),
}
CLASSES = ["cat", "mouse"]


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def put(folder: Path, name: str, rows: range = range(24)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in rows:
        Image.fromarray(IMAGES[k]).save(folder / NAMES[name][0](k, CLASSES[k % 2]))
    return folder


def by_class(images: np.ndarray, labels: np.ndarray) -> list[set[bytes]]:
    return [{image.tobytes() for image in images[labels == k]} for k in range(2)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["folder", "zip"])
def test_a_pattern_is_proposed_and_taken(tmp_path, name, place):
    path = put(tmp_path / "images", name)
    if place == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for file in path.iterdir():
                archive.write(file, f"pictures/{file.name}")
        path = tmp_path / "a.zip"
    with pytest.raises(DataError) as refused:
        own(path)
    pattern = NAMES[name][1]
    assert f'if their names hold the labels, give read = {{ labels = "{pattern}" }} (classes ' in str(refused.value)
    proposed = re.search(r'labels = "(.+?)"', str(refused.value))[1]
    training = own(path, read={"labels": proposed}).training()
    assert by_class(training.images[..., 0], training.labels) == by_class(IMAGES, np.arange(24) % 2)


def test_splits_of_such_images_and_test_images_without_labels(tmp_path):
    put(tmp_path / "set" / "train", "cat.0.jpg", range(16))
    put(tmp_path / "set" / "valid", "cat.0.jpg", range(16, 20))
    (tmp_path / "set" / "test1").mkdir()
    for k in range(20, 24):
        Image.fromarray(IMAGES[k]).save(tmp_path / "set" / "test1" / f"{k}.png")
    with pytest.raises(DataError, match=r'labels = "\[label\]\.\[id\]"'):
        own(tmp_path / "set")
    dataset = own(tmp_path / "set", read={"labels": "[label].[id]"})
    assert (dataset.info.num_training, dataset.info.num_test, dataset.info.is_test_labelled) == (20, 4, False)
    assert dataset.info.classes == ("cat", "mouse")


def test_several_places_are_all_proposed_and_nothing_is_made_up(tmp_path):
    names = [f"{age}_{sex}_{k}.jpg" for k, (age, sex) in enumerate([(a, s) for a in range(3) for s in range(2)] * 4)]
    assert proposed_patterns(names) == ["[label]_[part2]_[id]", "[part1]_[label]_[id]"]
    assert proposed_patterns([f"{k:06}.jpg" for k in range(100)]) == []
    assert proposed_patterns([f"IMG_{k}.jpg" for k in range(100)]) == []


def test_names_that_do_not_fit_and_patterns_that_are_none(tmp_path):
    path = put(tmp_path / "images", "cat.0.jpg")
    with pytest.raises(DataError, match=r"cat\.0\.png \(and 23 more\) does not fit \[label\]_\[id\]"):
        own(path, read={"labels": "[label]_[id]"})
    with pytest.raises(DataError, match=r"data\.read\.labels: got .* 2 times \[label\]"):
        own(path, read={"labels": "[label]_[label]"})
    assert compiled("[label]_[id]", "").fullmatch("x" * 5000 + "_" * 5000) is None


def test_groups_from_names_go_with_labels_from_names(tmp_path):
    for k in range(24):
        Image.fromarray(IMAGES[k]).save(
            put(tmp_path / "set", "no mark", range(0)) / f"p{k // 4}_{CLASSES[k % 2]}_{k}.png"
        )
    dataset = own(tmp_path / "set", read={"labels": "[person]_[label]_[id]"}, groups={"before": "_"})
    assert len(np.unique(dataset.training().groups)) == 6
