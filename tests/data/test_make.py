"""Data sets that Assay writes: the variations' own definitions, and no image on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay.data import make, prepare
from assay.data.variations import generator_of, random_background
from assay.errors import SpecError
from assay.spec import Data


def test_random_background_is_the_larger_of_digit_and_uniform_noise():
    images = np.zeros((400, 10, 10, 1), np.uint8)
    images[:, 3:5] = 200
    made = random_background(images, generator_of(1))
    assert made.dtype == np.uint8
    assert (made >= images).all()
    noise = made[:, 5:].ravel()
    counts = np.bincount(noise, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    # P(max(200, noise) = 200) is 201/256.
    assert np.mean(made[:, 3:5] == 200) == pytest.approx(201 / 256, abs=4 * np.sqrt(0.17 / 8000))
    again = random_background(images, generator_of(1))
    assert np.array_equal(made, again)
    assert not np.array_equal(made, random_background(images, generator_of(2)))


def contents(data: Data) -> tuple[list[bytes], list[bytes]]:
    dataset = prepare(data)
    return [i.tobytes() for i in dataset.training().images], [i.tobytes() for i in dataset.test().images]


def csv(folder: Path) -> Data:
    return Data(path=str(folder / "train_data.csv"), test=str(folder / "test_data.csv"))


def test_parts_are_drawn_and_never_overlap(tmp_path):
    make("digits", tmp_path / "a", num_training=200, num_test=400)  # the test split has 359
    training, test = contents(csv(tmp_path / "a"))
    digits = prepare("digits")
    own = {i.tobytes() for i in digits.test().images}
    others = {i.tobytes() for i in digits.training().images}
    assert (len(training), len(test)) == (200, 400)
    assert set(training) <= others
    assert sum(i in own for i in test) >= 359
    assert not set(training) & (set(test) - own)
    make("digits", tmp_path / "b", num_training=200, num_test=400)
    make("digits", tmp_path / "c", num_training=200, num_test=400, seed=1)
    files = [(tmp_path / name / "train_data.csv").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]
    with pytest.raises(SpecError, match="got 1600 test images, and Optical digits"):
        make("digits", tmp_path / "d", num_training=200, num_test=1600)
    with pytest.raises(SpecError, match="got 1439 training images"):
        make("digits", tmp_path / "d", num_training=1439)


def test_everything_is_written_unless_less_is_wanted(tmp_path):
    make("digits", tmp_path)
    made, digits = prepare(csv(tmp_path)), prepare("digits")
    assert np.array_equal(made.training().images, digits.training().images)
    assert np.array_equal(made.training().labels, digits.training().labels)
    assert np.array_equal(made.test().images, digits.test().images)


def test_document_d_s_form(tmp_path):
    make("digits", tmp_path, variation="random-background", num_training=50, num_test=20, test_labels=False)
    rows = [line.split(",") for line in (tmp_path / "train_data.csv").read_text().splitlines()]
    assert {len(row) for row in rows} == {65}
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[:-1])
    assert {row[-1] for row in rows} <= set("0123456789")
    assert {line.count(",") for line in (tmp_path / "test_data.csv").read_text().splitlines()} == {63}
    assert not prepare(csv(tmp_path)).info.is_test_labelled


def test_unknown_words_name_the_nearest(tmp_path):
    with pytest.raises(SpecError, match='did you mean "random-background"'):
        make("digits", tmp_path, variation="random_background")
    with pytest.raises(SpecError, match='"xls" is no known format'):
        make("digits", tmp_path, form="xls")
