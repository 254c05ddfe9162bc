"""Every form that is written is read as the same content, grey and colour."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from assay.data import arrays_folder, make, prepare
from assay.data.make import FORMS
from assay.data.prepare import keep
from assay.data.readers.content import Content, Rows
from assay.errors import SpecError
from assay.spec import Data

RNG = np.random.default_rng(7)


def source(channels: int) -> Data:
    """A data set of 12 classes (so that "10" must not sort before "2") in the cache."""
    parts = []
    for count in (48, 24):
        images = RNG.integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)
        parts.append((Rows(images), Rows(RNG.permutation(np.arange(count) % 12))))
    content = Content(parts[0], parts[1], tuple(map(str, range(12))), (), "")
    return Data(content=keep(content, "made", "Made").info.content)


def written(folder: Path, form: str) -> Data:
    match form:
        case "csv" | "tsv":
            names = [f"train_data.{form}", f"test_data.{form}"]
        case "amat":
            names = ["train.amat", "test.amat"]
        case "list":
            names = ["train.csv", "test.csv"]
        case "npz":
            names = ["data.npz"]
        case _:
            names = ["."]
    places = [str(folder / name) for name in names]
    return Data(path=places[0], test=places[1] if len(places) > 1 else None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_reader_reads_what_every_writer_writes(tmp_path, form, channels):
    data = source(channels)
    make(data, tmp_path / "out", form=form)
    made, original = prepare(written(tmp_path / "out", form)), prepare(data)
    for theirs, ours in ((made.training(), original.training()), (made.test(), original.test())):
        # Folders are read class by class; within a class the order stays.
        order = np.argsort(ours.labels, kind="stable") if form == "folders" else np.arange(len(ours))
        by_name = np.lexsort((np.arange(len(ours)), [str(label) for label in ours.labels]))
        order = by_name if form == "folders" else order
        assert theirs.labels.tolist() == ours.labels[order].tolist()
        assert np.array_equal(theirs.images, ours.images[order])
    assert made.info.classes == original.info.classes
    if form != "folders":
        assert made.info.content == original.info.content
        assert made.folder == arrays_folder(original.info.content)


@pytest.mark.parametrize("form", ["csv", "tsv", "amat", "idx", "npz"])
def test_unlabelled_test_images_stay_unlabelled(tmp_path, form):
    make(source(1), tmp_path / "out", form=form, test_labels=False)
    info = prepare(written(tmp_path / "out", form)).info
    assert (info.num_test, info.is_test_labelled) == (24, False)


def test_forms_that_need_labels_say_so(tmp_path):
    with pytest.raises(SpecError, match="folders cannot be written without labels"):
        make(source(1), tmp_path / "out", form="folders", test_labels=False)


@pytest.mark.parametrize("archive", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("top", ["", "pictures/"])
def test_archives_are_read_like_the_folder_that_was_packed(tmp_path, archive, top):
    make(source(1), tmp_path / "out", form="folders")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    RNG.shuffle(files)
    path = tmp_path / archive
    if archive.endswith("zip"):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("__MACOSX/._x", b"x")
            for file in files:
                packed.write(file, top + str(file.relative_to(tmp_path / "out")))
    else:
        with tarfile.open(path, "w:gz" if archive.endswith("gz") else "w") as packed:
            for file in files:
                packed.add(file, top + str(file.relative_to(tmp_path / "out")))
    content = prepare(Data(path=str(tmp_path / "out"))).info.content
    assert prepare(Data(path=str(path))).info.content == content


def test_a_tree_without_splits_and_one_with_validation(tmp_path):
    make(source(3), tmp_path / "out", form="folders")
    tree = prepare(Data(path=str(tmp_path / "out" / "train"), test=0.25))
    assert (tree.info.num_training, tree.info.num_test) == (36, 12)
    apart = prepare(Data(path=str(tmp_path / "out" / "train"), test=str(tmp_path / "out" / "test")))
    assert apart.info.content == prepare(Data(path=str(tmp_path / "out"))).info.content
    (tmp_path / "out" / "test").rename(tmp_path / "out" / "val")
    joined = prepare(Data(path=str(tmp_path / "out")))
    assert (joined.info.num_training, joined.info.num_test) == (72, 0)
    assert any("The images of val count as training images" in note for note in joined.info.notes)


def test_a_source_with_a_test_split_takes_no_other(tmp_path):
    make(source(1), tmp_path / "out", form="npz")
    for test in (0.2, str(tmp_path / "out" / "data.npz")):
        with pytest.raises(SpecError, match="leave test out"):
            prepare(Data(path=str(tmp_path / "out" / "data.npz"), test=test))


def test_every_read_key_is_declared_with_its_help():
    from assay.spec import Reading

    for key, field in Reading.model_fields.items():
        assert field.description, key
        assert field.description.endswith("."), key
