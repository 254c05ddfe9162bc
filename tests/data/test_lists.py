"""Tables of image files as people have them: ids, images in other folders, Windows paths, one-hot columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import Dataset, prepare
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(101)
IMAGES = RNG.integers(0, 256, (8, 6, 6), dtype=np.uint8)
LABELS = ["cat", "dog"] * 4


def saved(folder: Path, ending: str = ".png", stem: str = "{}", images: np.ndarray = IMAGES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / (stem.format(index) + ending))


def written(path: Path, header: str, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]))
    return path


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data(path=str(path), **values))


@pytest.mark.parametrize(
    ("folder", "ending", "stem", "cell", "note"),
    [
        ("imgs", ".png", "{}", "imgs\\{}.png", None),
        ("", ".png", "00{}a", "00{}a", "The table's images lie beside the table and end in .png."),
        ("", ".PNG", "{}", "{}", "The table's images lie beside the table and end in .PNG."),
        ("train_images", ".png", "{}", "{}.png", "The table's images lie in train_images."),
        ("data/images", ".png", "{}", "{}", "The table's images lie in data/images and end in .png."),
    ],
)
def test_images_are_found_where_they_lie(tmp_path, folder, ending, stem, cell, note):
    saved(tmp_path / folder, ending, stem)
    rows = [f"{cell.format(index)},{label}" for index, label in enumerate(LABELS)]
    dataset = own(written(tmp_path / "labels.csv", "id,breed", *rows))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)
    assert dataset.training().labels.tolist() == [0, 1] * 4
    assert dataset.info.classes == ("cat", "dog")
    notes = [line for line in dataset.info.notes if line.startswith("The table's images")]
    assert notes == ([] if note is None else [note])
    Image.fromarray(IMAGES[0]).save(tmp_path / folder / f"{stem.format(0)}{ending}")  # a change of a file is noticed
    assert own(tmp_path / "labels.csv").info.content == dataset.info.content


def test_the_same_names_in_two_folders(tmp_path):
    saved(tmp_path / "train_images")
    saved(tmp_path / "test_images", images=IMAGES[::-1])
    rows = [f"{index}.png,{label}" for index, label in enumerate(LABELS)]
    dataset = own(written(tmp_path / "train.csv", "id,kind", *rows))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)
    message = r"0\.png may be test_images/0\.png and train_images/0\.png; put the table into the folder"
    with pytest.raises(DataError, match=message):
        own(written(tmp_path / "labels.csv", "id,kind", *rows))


def test_a_missing_file_is_named(tmp_path):
    saved(tmp_path / "imgs", images=IMAGES[:4])
    rows = [f"{index}.png,{label}" for index, label in enumerate(LABELS)]
    with pytest.raises(DataError, match=r"imgs/4\.png: the table names this file, and it is not there"):
        own(written(tmp_path / "labels.csv", "id,kind", *rows))


def test_one_hot_columns_are_classes_and_several_labels_are_refused(tmp_path):
    saved(tmp_path)
    rows = [f"{index}.png, {int(label == 'cat')}, {int(label == 'dog')}, 0" for index, label in enumerate(LABELS)]
    path = written(tmp_path / "_classes.csv", "filename, cat, dog, owl", *rows)
    dataset = own(path)
    assert dataset.info.classes == ("cat", "dog")
    assert dataset.training().labels.tolist() == [0, 1] * 4
    assert "The columns cat, dog, owl are one-hot: each is a class." in dataset.info.notes
    written(path, "filename, cat, dog, owl", *rows[:3], "3.png, 1, 1, 0")
    with pytest.raises(DataError, match=r"row 5 is marked in 2 of the columns cat, dog, owl; .*multi-label"):
        own(path)
    written(path, "filename,age,weight", *(f"{index}.png,{index},7" for index in range(8)))
    with pytest.raises(DataError, match=r"2 columns may be the label; name it: .* one of age, weight"):
        own(path)
    assert own(path, read={"label": "age"}).info.num_classes == 8


def test_wide_or_numeric_tables_stay_tables_of_pixels(tmp_path):
    saved(tmp_path, stem="x{}")
    rows = [",".join(map(str, [*image.ravel(), index % 2])) for index, image in enumerate(IMAGES)]
    dataset = own(written(tmp_path / "a.csv", ",".join([*(f"p{k}" for k in range(36)), "label"]), *rows))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)


@pytest.mark.parametrize("column", ["Usage", "split"])
def test_pixels_in_one_cell_are_images(tmp_path, column):
    words = ["Training"] * 6 + ["PublicTest", "PrivateTest"]
    rows = [f"{index % 2},{' '.join(map(str, image.ravel()))},{words[index]}" for index, image in enumerate(IMAGES)]
    path = written(tmp_path / "faces.csv", f"emotion,pixels,{column}", *rows)
    dataset = own(path)
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[:6])
    assert dataset.training().labels.tolist() == [0, 1] * 3
    assert np.array_equal(dataset.test().images[..., 0], IMAGES[6:])
    assert "A cell is 6 x 6 pixels." in dataset.info.notes
    written(path, f"emotion,pixels,{column}", *rows[:3], rows[3].replace(" ", " 7 ", 1), *rows[4:])
    with pytest.raises(DataError, match="row 5 has 37 pixels in its cell, or one that is no number; the first has 36"):
        own(path)
    written(path, f"emotion,pixels,{column}", *rows[:3], rows[3].replace(",", ",x", 1), *rows[4:])
    with pytest.raises(DataError, match="row 5 has 36 pixels in its cell, or one that is no number"):
        own(path)
