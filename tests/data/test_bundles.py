"""Folders of tables, arrays, Parquet and IDX files; remedies for what lies there; lines that are no rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from assay.data import Dataset, prepare, write_idx
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(103)
IMAGES = RNG.integers(0, 256, (24, 6, 6), dtype=np.uint8)
LABELS = np.arange(24) % 2
HEADER = ",".join([*(f"p{k}" for k in range(36)), "label"])


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data(path=str(path), **values))


def table(path: Path, rows: slice, *, labels: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [HEADER if labels else HEADER.removesuffix(",label")]
    for image, label in zip(IMAGES[rows], LABELS[rows], strict=True):
        lines.append(",".join(map(str, [*image.ravel(), label] if labels else image.ravel())))
    path.write_text("\n".join(lines))


def check(dataset: Dataset, num_training: int = 16, num_test: int = 8) -> None:
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[:num_training])
    assert dataset.training().labels.tolist() == LABELS[:num_training].tolist()
    assert dataset.info.num_test == num_test


def test_a_folder_of_tables_is_its_training_and_test_table(tmp_path):
    folder = tmp_path / "wrapped" / "inner"
    table(folder / "train.csv", slice(16))
    check(own(folder), num_test=0)
    table(folder / "test.csv", slice(16, 24))
    (folder / "sample_submission.csv").write_text("id,label\n1,0\n")
    (folder / "classes.csv").write_text("0,cat\n1,dog\n")
    dataset = own(tmp_path / "wrapped")
    check(dataset)
    assert "Tables that are left out: classes.csv, sample_submission.csv." in dataset.info.notes
    table(folder / "test.csv", slice(16, 24), labels=False)
    assert not own(tmp_path / "wrapped").info.is_test_labelled
    table(folder / "val.csv", slice(16, 20))
    given = own(folder, validation="given")
    assert given.training().validation.tolist() == [False] * 16 + [True] * 4
    (folder / "train.csv").rename(folder / "pixels.csv")
    with pytest.raises(DataError, match=r"none is plainly the training split; name one as data.path"):
        own(folder)


def test_splits_with_a_table_beside_their_images(tmp_path):
    for top, rows in (("train", range(8)), ("valid", range(8, 16)), ("test", range(16, 24))):
        (tmp_path / top).mkdir()
        lines = ["filename, cat, dog"]
        for row in rows:
            Image.fromarray(IMAGES[row]).save(tmp_path / top / f"{row}.png")
            lines.append(f"{row}.png, {1 - LABELS[row]}, {LABELS[row]}")
        (tmp_path / top / "_classes.csv").write_text("\n".join(lines))
    dataset = own(tmp_path, validation="given")
    check(dataset)
    assert dataset.info.classes == ("cat", "dog")
    assert dataset.info.num_validation == 8


def test_tables_of_a_competition_with_images_beside_them(tmp_path):
    for top, rows in (("train_images", range(16)), ("test_images", range(16, 24))):
        (tmp_path / top).mkdir()
        for row in rows:
            Image.fromarray(IMAGES[row]).save(tmp_path / top / f"id{row}.png")
    (tmp_path / "train.csv").write_text("\n".join(["id,kind", *(f"id{row},{LABELS[row]}" for row in range(16))]))
    (tmp_path / "test.csv").write_text("\n".join(["id", *(f"id{row}" for row in range(16, 24))]))
    dataset = own(tmp_path)
    check(dataset, num_test=0)
    assert "test.csv is left out: it has fewer columns than train.csv, so no labels." in dataset.info.notes


def test_folders_of_arrays_and_lone_arrays(tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    for name, values in (("x_train", IMAGES[:16]), ("y_train", LABELS[:16]), ("x_test", IMAGES[16:])):
        np.save(folder / f"{name}.npy", values)
    np.save(folder / "y_test.npy", LABELS[16:])
    check(own(folder))
    alone = own(folder / "x_train.npy")
    check(alone, num_test=0)
    assert "Labels are taken from y_train.npy." in alone.info.notes
    np.save(tmp_path / "labels-of-all.npy", LABELS)
    np.save(tmp_path / "scans.npy", IMAGES)
    with pytest.raises(DataError, match=r'give read = \{ labels = "labels-of-all.npy" \}'):
        own(tmp_path / "scans.npy")
    check(own(folder / "x_train.npy", read={"labels": "y_train.npy"}), num_test=0)


def test_a_hub_folder_with_a_level_for_its_configuration(tmp_path):
    for name, rows in (("train-00000-of-00001", slice(16)), ("test-00000-of-00001", slice(16, 24))):
        columns = {"image": pa.array(IMAGES[rows].tolist()), "label": LABELS[rows]}
        for top in ("mnist", "other"):
            (tmp_path / "repo" / top).mkdir(parents=True, exist_ok=True)
            parquet.write_table(pa.table(columns), tmp_path / "repo" / top / f"{name}.parquet")
    with pytest.raises(DataError, match=r'it holds mnist and other, each with Parquet files; name one.*"repo/mnist"'):
        own(tmp_path / "repo")
    for file in (tmp_path / "repo" / "other").iterdir():
        file.unlink()
    (tmp_path / "repo" / "other").rmdir()
    (tmp_path / "repo" / "README.md").write_text("x")
    check(own(tmp_path / "repo"))


def test_idx_files_in_folders_of_their_names(tmp_path):
    for name, values in (
        ("train-images-idx3-ubyte", IMAGES[:16]), ("train-labels-idx1-ubyte", LABELS[:16].astype(np.uint8)),
        ("t10k-images-idx3-ubyte", IMAGES[16:]), ("t10k-labels-idx1-ubyte", LABELS[16:].astype(np.uint8)),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        write_idx(tmp_path / name / name, values)
    check(own(tmp_path))


def test_remedies_are_for_what_lies_there(tmp_path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (tmp_path / "pointer.csv").write_text(pointer)
    with pytest.raises(DataError, match=r"it is a Git LFS pointer, .*git lfs pull"):
        own(tmp_path / "pointer.csv")
    for name in ("cat", "dog"):
        (tmp_path / "t" / name).mkdir(parents=True)
        (tmp_path / "t" / name / "1.png").write_text(pointer)
    with pytest.raises(DataError, match=r"2 of 2 files are no images: .*it is a Git LFS pointer"):
        own(tmp_path / "t")


@pytest.mark.parametrize("packed", [False, True])
def test_lines_of_blanks_and_comments_are_no_rows(tmp_path, packed):
    import gzip

    table(tmp_path / "a.csv", slice(24))
    header, *rows = (tmp_path / "a.csv").read_text().split("\n")
    text = "\n".join(["# made by us, 24 images", "# second", header, *rows[:9], "   ", *rows[9:], " \t", ""])
    path = tmp_path / ("b.csv.gz" if packed else "b.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    check(own(path), 24, 0)
    path = tmp_path / "c.csv"  # a header that begins with a hash
    path.write_text("\n".join([f"#{header}", *rows]))
    check(own(path), 24, 0)
