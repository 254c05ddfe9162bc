"""Splits by the names of folders, arrays and cells: used, or asked about, and never taken for classes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from assay.data import Dataset, prepare
from assay.data.readers.sides import side_of
from assay.errors import DataError, SpecError
from assay.spec import Data

RNG = np.random.default_rng(83)
IMAGES = RNG.integers(0, 256, (40, 6, 6), dtype=np.uint8)
LABELS = np.arange(40) % 2


def tree(folder: Path, *names: str) -> Path:
    """An image of its own under each name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (6, 6), dtype=np.uint8)).save(path)
    return folder


def classes_below(*tops: str) -> list[str]:
    return [f"{top}/{name}/{k}.png" for top in tops for name in ("cat", "dog") for k in (1, 2)]


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data(path=str(path), **values))


@pytest.mark.parametrize(
    ("names", "side"),
    [
        ("train Training TRAIN training_set seg_train Final_Training trainset train-images trainImages", "train"),
        ("traindata asl_alphabet_train train2017 TrainingSet trn trainval train_val", "train"),
        ("test Testing test_set seg_test Final_Test testset testData TestImages test-00000-of-00001 tst", "test"),
        ("val valid Validation validation_set dev valset seg_val valid_images", "val"),
        ("eval evaluation holdout hold_out held-out", "eval"),
        ("fold_1 Fold2 folds kfold_3", "fold"),
        ("cat tested testament contest restrain valley devil trained evaluate2d train_test images part_1 street", None),
    ],
)  # fmt: skip
def test_names_of_splits(names, side):
    assert {name: side_of(name) for name in names.split()} == dict.fromkeys(names.split(), side)


@pytest.mark.parametrize(
    ("training", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("Final_Training/Images", "Final_Test/Images"),
        ("trainset", "testset"),
        ("train", "holdout"),
        ("train", "eval"),
        ("data/data/train", "data/data/test"),
    ],
)
def test_folders_called_as_splits_are_splits(tmp_path, training, test):
    folder = tree(tmp_path / "t", *classes_below(training, test), f"{training}/dog/3.png")
    dataset = own(folder)
    assert dataset.info.classes == ("cat", "dog")
    assert dataset.training().labels.tolist() == [0, 0, 1, 1, 1]
    assert dataset.test().labels.tolist() == [0, 0, 1, 1]
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as packed:
        for path in sorted(folder.rglob("*.png")):
            packed.write(path, path.relative_to(tmp_path))
    assert own(tmp_path / "t.zip").info.content == dataset.info.content


@pytest.mark.parametrize(
    ("tops", "message"),
    [
        (("test", "valid"), "it holds valid and test, and none of them is a training split"),
        (("test",), "it holds test, and none of them is a training split"),
        (("test", "pictures"), "it holds test and pictures, and none of them is a training split"),
        (("fold_1", "fold_2", "fold_3"), "fold_1, fold_2 and fold_3 look like parts of one data set"),
        (("part1", "part2"), "part1 and part2 look like parts of one data set"),
        (("train", "test_a", "test_b"), "test_a and test_b all look like the test split"),
    ],
)
def test_splits_that_cannot_be_told_apart_are_asked_about(tmp_path, tops, message):
    with pytest.raises(DataError, match=message) as caught:
        own(tree(tmp_path / "t", *classes_below(*tops)))
    assert "data.path" in str(caught.value) or "data.test" in str(caught.value)
    one, other = f"{tmp_path}/t/{tops[-1]}", f"{tmp_path}/t/{tops[0]}"
    assert own(Path(one), test=other).info.classes == ("cat", "dog")


def test_folders_beside_the_splits_are_named(tmp_path):
    dataset = own(tree(tmp_path / "t", *classes_below("train", "test", "eval", "holdout", "extra"), "train/stray.png"))
    assert (dataset.info.num_training, dataset.info.num_test) == (4, 4)
    assert "Folders beside the splits are left out: eval, extra, holdout (12 files)." in dataset.info.notes
    assert "In train: 1 file beside the class folders is left out (stray.png)." in dataset.info.notes


def test_class_folders_with_a_test_split_beside_them(tmp_path):
    dataset = own(tree(tmp_path / "t", "cat/1.png", "dog/1.png", "dog/2.png", *classes_below("test")))
    assert dataset.info.classes == ("cat", "dog")
    assert dataset.training().labels.tolist() == [0, 1, 1]
    assert dataset.info.num_test == 4


def test_vehicles_called_train_are_a_class(tmp_path):
    dataset = own(tree(tmp_path / "t", "car/1.png", "ship/1.png", "train/1.png", "train/2.png"))
    assert dataset.info.classes == ("car", "ship", "train")
    assert "The folder train counts as a class, not as a split." in dataset.info.notes
    assert own(tree(tmp_path / "u", "part_1/1.png", "part_2/1.png")).info.classes == ("part_1", "part_2")


def test_upper_folders_are_the_classes_and_it_is_said(tmp_path):
    names = ["land/car/1.png", "land/bus/1.png", "sea/ship/1.png"]
    dataset = own(tree(tmp_path / "t", *names))
    assert dataset.info.classes == ("land", "sea")
    expected = "The classes are the 2 upper folders; the 3 folders within them (land/bus, land/car, sea/ship) are not"
    assert any(note.startswith(expected) for note in dataset.info.notes)
    notes = own(tree(tmp_path / "u", *classes_below("berlin", "paris"))).info.notes
    assert "Every class folder holds the same folders (cat, dog): are those the classes?" in notes
    assert not any("folders" in note for note in own(tmp_path / "u", groups="folder").info.notes)


def test_held_out_images_in_one_folder_take_their_labels_from_a_table(tmp_path):
    folder = tree(tmp_path / "t", *(f"train/{name}/images/{name}_{k}.png" for name in ("n1", "n2") for k in (1, 2)))
    tree(folder, "val/images/v1.png", "val/images/v2.png", "val/images/v3.png", "test/images/t1.png")
    notes = own(folder).info.notes
    assert own(folder).info.classes == ("n1", "n2")
    assert any(note.startswith("val: 3 validation images are left out, because no") for note in notes)
    (folder / "val" / "val_annotations.txt").write_text("v1.png\tn2\t0\t0\nv2.png\tn1\t0\t0\nv3.png\tn2\t0\t0\n")
    dataset = own(folder)
    assert dataset.training().labels.tolist() == [0, 0, 1, 1, 1, 0, 1]
    assert (dataset.info.num_test, dataset.info.is_test_labelled) == (1, False)
    assert "In val: labels are taken from val_annotations.txt." in dataset.info.notes
    tree(folder, "val/n1/1.png", "val/n3/1.png")
    with pytest.raises(DataError, match="it holds the class folder images, n3, which the training split lacks"):
        own(folder)


def test_the_arrays_of_a_validation_part_are_used_and_others_named(tmp_path):
    np.savez(
        tmp_path / "a.npz", train_images=IMAGES[:20], train_labels=LABELS[:20], valid_images=IMAGES[20:30],
        valid_labels=LABELS[20:30], test_images=IMAGES[30:], test_labels=LABELS[30:], masks=IMAGES[:4],
    )  # fmt: skip
    dataset = own(tmp_path / "a.npz")
    assert (dataset.info.num_training, dataset.info.num_test) == (30, 10)
    assert "Arrays that are left out: masks (4 x 6 x 6)." in dataset.info.notes
    assert any(note.startswith("The images of valid_images count as training images") for note in dataset.info.notes)


@pytest.mark.parametrize("name", ["a.parquet", "train-0.parquet"])
def test_a_split_column_of_a_parquet_file_is_used(tmp_path, name):
    words = ["train", "test", "validation", "train"] * 10
    columns = {"image": pa.array(IMAGES.tolist()), "label": LABELS, "split": words}
    parquet.write_table(pa.table(columns), tmp_path / name)
    dataset = own(tmp_path if name.startswith("train") else tmp_path / name)
    is_test = np.asarray(words) == "test"
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[~is_test])
    assert np.array_equal(dataset.test().images[..., 0], IMAGES[is_test])
    assert any("count as training images" in note for note in dataset.info.notes)
    parquet.write_table(pa.table({**columns, "split": ["test"] * 40}), tmp_path / name)
    with pytest.raises(DataError, match='no row has "train" in the column split'):
        own(tmp_path / name)
    parquet.write_table(pa.table({**columns, "split": ["left", "right"] * 20}), tmp_path / name)
    assert 'The column split is left out: "left" is no split.' in own(tmp_path / name).info.notes


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ({"size": [3, 3]}, "data.read.size: this has no meaning for NumPy files; remove it"),
        ({"channels": 1, "skip_bad": True}, "data.read.channels.*\n.*data.read.skip_bad"),
        ({"header": True}, "data.read.header: this has no meaning for NumPy files"),
    ],
)
def test_read_keys_of_other_forms_are_refused(tmp_path, read, message):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.asarray(["cat", "dog"])[LABELS])
    with pytest.raises(SpecError, match=message):
        own(tmp_path / "a.npz", read=read)
    folder = tree(tmp_path / "t", *classes_below("train", "test"))
    with pytest.raises(SpecError, match=r"data\.read\.shape: this has no meaning for folders of images"):
        own(folder, read={"shape": [6, 6]})
    # A key that the form of the test split takes is not refused.
    mixed = own(tmp_path / "a.npz", test=str(folder / "test"), read={"size": [6, 6]})
    assert mixed.info.num_test == 4


def test_every_image_needs_a_label(tmp_path):
    tree(tmp_path, *(f"{k}.png" for k in range(4)))
    (tmp_path / "list.csv").write_text("file,label\n0.png,a\n1.png,b\n2.png, \n3.png,a\n")
    with pytest.raises(DataError, match="row 4 has no label; give every image one"):
        own(tmp_path / "list.csv")
    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.asarray(["a", "b", "", "a"] * 10))
    with pytest.raises(DataError, match="image 3 has no label"):
        own(tmp_path / "a.npz")


def test_values_far_below_white_are_doubted(tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES // 16, y=LABELS)
    doubt = "Values reach 15 of 255 only: where 15 stands for white, scale them by 255 / 15."
    assert doubt in own(tmp_path / "a.npz").info.notes
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    assert not any("of 255 only" in note for note in own(tmp_path / "a.npz").info.notes)


@pytest.mark.parametrize(
    ("header", "width", "message"),
    [
        ("", 4, "its rows have 5 cells, which are hardly images of 2 x 2 pixels"),
        ("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,kind\n", 16, "its columns are called a, b, c, ..., which are hardly images"),
    ],
)
def test_measurements_are_not_taken_for_pixels(tmp_path, header, width, message):
    rows = [[*RNG.integers(0, 50, width), k % 2] for k in range(30)]
    (tmp_path / "a.csv").write_text(header + "\n".join(",".join(map(str, row)) for row in rows))
    with pytest.raises(DataError, match=message):
        own(tmp_path / "a.csv")
    side = int(width**0.5)
    label = {"label": "last"}
    assert own(tmp_path / "a.csv", read={"shape": [side, side], **label}).info.shape == (side, side, 1)


def test_the_last_images_of_a_sorted_file_are_no_validation_split(tmp_path):
    from assay.data import split_for

    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.sort(LABELS))
    data = Data(path=str(tmp_path / "a.npz"), validation="last 25%")
    with pytest.raises(SpecError, match="the last 10 images in file order are all of one class, number 1") as caught:
        split_for(prepare(data).training(), data, seed=0, vary=["split"])
    assert caught.value.problems[0].key == "data.validation"
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    assert len(split_for(prepare(data).training(), data, seed=0, vary=["split"]).validation) == 10


def test_large_photos_are_noted_with_what_they_cost(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "t" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(tmp_path / "t" / name / "1.png")
    expected = (
        "Images of 300 x 400 take 0.4 MB each, 1 MB in all; read = { size = [96, 96] } brings image files to 0.03"
    )
    assert any(note.startswith(expected) for note in own(tmp_path / "t").info.notes)
    assert not any(note.startswith("Images of") for note in own(tmp_path / "t", read={"size": [96, 96]}).info.notes)


def test_the_cache_moves_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "elsewhere"))
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    assert own(tmp_path / "a.npz").folder.is_relative_to(tmp_path / "elsewhere" / "arrays")
