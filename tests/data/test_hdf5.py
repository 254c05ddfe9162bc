"""HDF5 and MATLAB files: pixels and labels as h5py and SciPy read them; links, bombs and damage are refused."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from assay.data import Dataset, prepare
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(211)
IMAGES = RNG.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def check(dataset: Dataset, images: np.ndarray, labels: np.ndarray) -> None:
    training = dataset.training()
    assert np.array_equal(training.images, images)
    assert np.array_equal(np.asarray(dataset.info.classes)[training.labels], labels.astype(str))


def write(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
    return path


@pytest.mark.parametrize(
    "names", [("x_train", "y_train"), ("train/data", "train/target"), ("train_set_x", "train_set_y"), ("images", "ans"),
              ("Images", "Labels"), ("train_img", "train_labels")],
)  # fmt: skip
def test_arrays_and_groups_under_the_usual_names(tmp_path, names):
    path = write(tmp_path / "a.h5", **{names[0]: IMAGES, names[1]: LABELS[None] if "set" in names[0] else LABELS})
    read = {"read": {"image": "train_img", "label": "train_labels"}} if "img" in names[0] else {}
    with h5py.File(path) as file:
        check(own(path, **read), file[names[0]][()], LABELS)


def test_a_test_split_in_a_group_and_texts_as_labels(tmp_path):
    words = np.array(["ant", "bee", "cow"])[LABELS]
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        for side, rows in (("train", slice(20)), ("test", slice(20, 30))):
            file[f"{side}/images"] = IMAGES[rows]
            file.create_dataset(f"{side}/labels", data=words[rows].tolist(), dtype=h5py.string_dtype())
    dataset = own(path)
    check(dataset, IMAGES[:20], words[:20])
    assert np.array_equal(dataset.test().images, IMAGES[20:])


def test_pcam_has_images_and_labels_in_files_of_their_own(tmp_path):
    for side, rows in (("train", slice(18)), ("valid", slice(18, 24)), ("test", slice(24, 30))):
        stem = f"camelyonpatch_level_2_split_{side}"
        write(tmp_path / f"{stem}_x.h5", x=IMAGES[rows])
        write(tmp_path / f"{stem}_y.h5", y=(LABELS[rows] % 2).reshape(-1, 1, 1, 1))
    alone = own(tmp_path / "camelyonpatch_level_2_split_train_x.h5")
    check(alone, IMAGES[:18], LABELS[:18] % 2)
    assert any("Labels are taken from camelyonpatch_level_2_split_train_y.h5" in note for note in alone.info.notes)
    folder = own(tmp_path, validation="given")
    check(folder, IMAGES[:24], LABELS[:24] % 2)
    assert folder.training().validation.tolist() == [False] * 18 + [True] * 6
    assert np.array_equal(folder.test().images, IMAGES[24:])


def test_svhn_counts_images_along_the_last_axis_and_calls_zero_ten(tmp_path):
    digits = np.arange(30) % 10
    images = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    stored = np.where(digits == 0, 10, digits).astype(np.uint8)
    arrays = {"X": images.transpose(1, 2, 3, 0), "y": stored[:, None]}
    savemat(tmp_path / "train_32x32.mat", arrays, do_compression=True)
    savemat(tmp_path / "test_32x32.mat", {"X": images.transpose(1, 2, 3, 0)[..., 10:20], "y": stored[10:20, None]})
    dataset = own(tmp_path)
    check(dataset, images, digits)
    assert np.array_equal(dataset.test().labels, digits[10:20])
    assert any("label 10 stands for the digit 0" in note for note in dataset.info.notes)
    stored_again = loadmat(tmp_path / "train_32x32.mat")["X"]
    assert np.array_equal(dataset.training().images[7], stored_again[..., 7])


def test_other_matlab_files(tmp_path):
    grey = IMAGES[..., 0]
    savemat(tmp_path / "mnist-original.mat", {"data": grey.reshape(30, 64).T, "label": LABELS[None].astype(float)})
    dataset = own(tmp_path / "mnist-original.mat")
    check(dataset, grey[..., None], LABELS)
    assert any("MATLAB kept them by columns" in note for note in dataset.info.notes)
    by_class = {f"{side}{k}": grey[k == LABELS].reshape(10, 64) for side in ("train", "test") for k in range(3)}
    savemat(tmp_path / "mnist_all.mat", by_class)
    order = np.argsort(LABELS, kind="stable")
    check(own(tmp_path / "mnist_all.mat"), grey[order][..., None], LABELS[order])
    savemat(tmp_path / "s.mat", {"dataset": {"images": grey}})
    with pytest.raises(DataError, match=r"dataset \(struct\) is no array of numbers: save images and labels as arrays"):
        own(tmp_path / "s.mat")


def test_matlab_from_7_3_on_is_hdf5_with_its_axes_turned(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["X"] = IMAGES.transpose(1, 2, 3, 0).T  # MATLAB's own axes, stored the other way round
        file["y"] = LABELS[None].astype(float)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    check(own(path), IMAGES, LABELS)


def test_links_and_what_is_not_there_are_refused(tmp_path):
    write(tmp_path / "other.h5", x_train=IMAGES, y_train=LABELS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x_train"] = h5py.ExternalLink("other.h5", "x_train")
        file["y_train"] = LABELS
    with pytest.raises(DataError, match="it is one array without labels"):
        own(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x_train", (10**6, 10**3, 10**3), dtype="u1", chunks=(1, 10**3, 10**3))
        file["y_train"] = LABELS
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("x_train", data=np.zeros((4000, 100, 100), "u1"), compression="gzip", compression_opts=9)
        file["y_train"] = np.arange(4000) % 2
    tracemalloc.start()
    with pytest.raises(DataError, match=r"it declares 1,000,000,000,000 bytes"):
        own(tmp_path / "b.h5")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    (tmp_path / "d.h5").write_bytes(b"anything")
    with pytest.raises(DataError, match="it is no HDF5 or MATLAB file"):
        own(tmp_path / "d.h5")
    os.mkfifo(tmp_path / "e.mat")
    with pytest.raises(DataError, match="this is a pipe"):
        own(tmp_path / "e.mat")


def test_a_matlab_bomb_is_refused_before_memory_is_taken(tmp_path, monkeypatch):
    import psutil

    savemat(tmp_path / "a.mat", {"X": np.zeros((2000, 100, 100), "u1"), "y": np.arange(2000)}, do_compression=True)
    free = psutil.virtual_memory()._replace(available=1 << 20)
    monkeypatch.setattr("assay.data.readers.limits._ALWAYS_BYTES", 1 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"its images take 0\.0 GiB, and 0\.0 GiB of memory are free"):
        own(tmp_path / "a.mat")
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
