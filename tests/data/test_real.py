"""The real data sets, by counts that their authors published and hashes that everybody has."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from assay.data import class_counts, entry, idx_sha256, prepare

# Read at import, before a fixture points the variable to an empty folder.
REAL = Path(os.environ.get("ASSAY_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data").absolute()


def real(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (REAL / name / entry(name).files[0].name).is_file():
        pytest.skip(f"{name} is not in {REAL}; set ASSAY_DATA to a folder that has it")
    monkeypatch.setenv("ASSAY_DATA", str(REAL))


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    dataset = prepare("digits")
    training, test = dataset.training(), dataset.test()
    assert dataset.info.content == "25d7dca5ecb6a6f42542effdb032d7fc1b86bab5f5ee07d259a8e1b91083c6c8"
    assert training.images.shape == (1438, 8, 8, 1)
    assert test.images.shape == (359, 8, 8, 1)
    assert class_counts(training.labels, 10).tolist() == [142, 146, 142, 146, 145, 146, 145, 143, 139, 144]
    assert class_counts(test.labels, 10).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    # Together they are all of scikit-learn's images, each once, scaled from 0..16 to 0..255.
    values, labels = load_digits(return_X_y=True)
    theirs = sorted((int(label), tuple(map(int, row))) for row, label in zip(values, labels, strict=True))
    ours = []
    for part in (training, test):
        back = np.rint(part.images.reshape(-1, 64) * (16 / 255)).astype(int)
        ours += [(int(label), tuple(map(int, row))) for row, label in zip(back, part.labels, strict=True)]
    assert sorted(ours) == theirs
    assert (training.images.min(), training.images.max()) == (0, 255)


def test_mnist_is_mnist(monkeypatch):
    real("mnist", monkeypatch)
    dataset = prepare("mnist")
    training, test = dataset.training(), dataset.test()
    assert training.images.shape == (60_000, 28, 28, 1)
    assert test.images.shape == (10_000, 28, 28, 1)
    assert training.labels[:5].tolist() == [5, 0, 4, 1, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert class_counts(training.labels, 10).tolist() == counts
    assert idx_sha256(training.images[..., 0]) == entry("mnist").sha256[0]
    # The mean of the training images that the literature divides by, 0.1307.
    assert training.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_fashion_mnist_is_fashion_mnist(monkeypatch):
    real("fashion_mnist", monkeypatch)
    dataset = prepare("fashion_mnist")
    training, test = dataset.training(), dataset.test()
    assert training.images.shape == (60_000, 28, 28, 1)
    assert class_counts(training.labels, 10).tolist() == [6000] * 10
    assert class_counts(test.labels, 10).tolist() == [1000] * 10
    assert dataset.info.classes[training.labels[0]] == "Ankle boot"
    assert training.images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)


def test_the_second_opening_is_no_rebuild_and_takes_milliseconds(monkeypatch):
    real("mnist", monkeypatch)
    folder = prepare("mnist").folder
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        prepare("mnist").training()
        seconds.append(time.perf_counter() - started)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert min(seconds) < 0.05
