"""Folders, archives and files of the forms that training reads can be predicted, too."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import dump_svmlight_file

from assay.errors import DataError
from assay.prediction.input_reader import InputReader

RNG = np.random.default_rng(257)
IMAGES = RNG.integers(0, 256, (12, 6, 6), dtype=np.uint8)
LABELS = np.arange(12) % 2


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def predicted(path: Path) -> np.ndarray:
    reader = InputReader((6, 6, 1), "uint8")
    return np.concatenate([batch.images for batch in reader.files([path])])[..., 0]


def table(rows: slice) -> bytes:
    lines = [",".join([*(f"p{k}" for k in range(36)), "label"])]
    flat = IMAGES[rows].reshape(-1, 36)
    lines += [",".join(map(str, [*image, label])) for image, label in zip(flat, LABELS[rows], strict=True)]
    return "\n".join(lines).encode()


def test_folders_and_zips_of_tables_and_arrays(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_bytes(table(slice(8)))
    assert np.array_equal(predicted(folder), IMAGES[:8])
    (folder / "test.csv").write_bytes(table(slice(8, 12)))
    assert np.array_equal(predicted(folder), IMAGES[8:])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"set/{file.name}")
    assert np.array_equal(predicted(tmp_path / "a.zip"), IMAGES[8:])
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "x_train.npy", IMAGES[:8])
    np.save(tmp_path / "arrays" / "x_test.npy", IMAGES[8:])
    assert np.array_equal(predicted(tmp_path / "arrays"), IMAGES[8:])


def test_files_of_other_forms(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x_train"], file["y_train"] = IMAGES, LABELS
    dump_svmlight_file(IMAGES.reshape(12, 36).astype(float), LABELS, str(tmp_path / "b"), zero_based=False)
    cells = [f"{label},{' '.join(map(str, image.reshape(-1)))}" for image, label in zip(IMAGES, LABELS, strict=True)]
    (tmp_path / "c.csv").write_text("\n".join(["emotion,pixels", *cells]))
    for name in ("a.h5", "b", "c.csv"):
        assert np.array_equal(predicted(tmp_path / name), IMAGES), name


def test_a_zip_of_images_with_a_table_is_its_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("labels.csv", "file,label\n0.png,1")
        for k, image in enumerate(IMAGES):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            archive.writestr(f"{k:02}.png", file.getvalue())
    assert np.array_equal(predicted(tmp_path / "a.zip"), IMAGES)


def test_what_holds_nothing_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.md").write_text("x")
    with pytest.raises(DataError, match="it holds no image files"):
        predicted(tmp_path / "empty")
