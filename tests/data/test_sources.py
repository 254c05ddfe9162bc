"""Files of one's own: one content whatever the format, kept, watched, and with the test split apart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from assay.data import info_of, prepare, sources
from assay.data.readers.delimited import write_delimited
from assay.errors import DataError, SpecError
from assay.spec import Data

RNG = np.random.default_rng(11)
IMAGES = RNG.integers(0, 256, (60, 6, 6, 1), dtype=np.uint8)
LABELS = np.arange(60) % 3


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_delimited(tmp_path / "train.csv", IMAGES[:40], LABELS[:40])
    write_delimited(tmp_path / "test.csv", IMAGES[40:], LABELS[40:])
    write_delimited(tmp_path / "unlabelled.csv", IMAGES[40:], None)
    return tmp_path / "train.csv"


def test_a_table_with_a_test_table(table):
    dataset = prepare(Data(path=str(table), test=str(table.with_name("test.csv"))))
    assert np.array_equal(dataset.training().images, IMAGES[:40])
    assert dataset.training().labels.tolist() == LABELS[:40].tolist()
    assert np.array_equal(dataset.test().images, IMAGES[40:])
    assert dataset.test().labels.tolist() == LABELS[40:].tolist()
    assert dataset.info.shape == (6, 6, 1)
    assert dataset.info.classes == ("0", "1", "2")
    assert (dataset.info.num_training, dataset.info.num_test) == (40, 20)
    assert dataset.info.name == "train.csv"
    assert isinstance(dataset.training().images, np.memmap)


def test_a_share_is_drawn_for_each_class_from_the_content_alone(table, tmp_path):
    dataset = prepare(Data(path=str(table), test=0.25))
    training, test = dataset.training(), dataset.test()
    assert (len(training), len(test)) == (30, 10)
    assert np.bincount(test.labels).tolist() in ([4, 3, 3], [3, 4, 3], [3, 3, 4])
    both = np.concatenate([training.images, test.images])
    assert {image.tobytes() for image in both} == {image.tobytes() for image in IMAGES[:40]}
    assert not {i.tobytes() for i in training.images} & {i.tobytes() for i in test.images}
    write_delimited(tmp_path / "again.csv.gz", IMAGES[:40], LABELS[:40], label="first", values="bytes", header=True)
    again = prepare(Data(path=str(tmp_path / "again.csv.gz"), test=0.25))
    assert again.info.content == dataset.info.content
    assert again.folder == dataset.folder
    assert prepare(Data(path=str(table), test=0.5)).info.content != dataset.info.content


@pytest.mark.parametrize(("test", "said"), [(None, "it has no test split"), ("unlabelled.csv", "have no labels")])
def test_what_has_no_scored_test_split_is_not_revealed(table, test, said):
    place = None if test is None else str(table.with_name(test))
    dataset = prepare(Data(path=str(table), test=place))
    assert len(dataset.training()) == 40
    with pytest.raises(DataError, match=said) as caught:
        dataset.test()
    assert caught.value.problems[0].key == "data.test"


def test_the_second_time_nothing_is_read(table, monkeypatch):
    data = Data(path=str(table), test=0.2)
    first = prepare(data)

    def refuse(_: object) -> None:
        raise AssertionError("the source was read again")

    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_source", refuse)
        assert prepare(data) == first
        assert info_of(data) == first.info
    os.utime(table)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_source", refuse)
        with pytest.raises(AssertionError, match="read again"):
            prepare(data)
    assert prepare(data) == first


def test_changed_files_are_read_again(table):
    data = Data(path=str(table))
    before = prepare(data).info.content
    write_delimited(table, IMAGES[:40][::-1], LABELS[:40])
    after = prepare(data)
    assert after.info.content != before
    assert np.array_equal(after.training().images, IMAGES[:40][::-1])
    with pytest.raises(DataError, match="SHA-256 should be"):
        prepare(Data(path=str(table), content=before))
    assert prepare(Data(content=after.info.content)).training().labels.tolist() == LABELS[:40].tolist()
    with pytest.raises(DataError, match=r"are not \(or no longer\) in the cache"):
        prepare(Data(content="0" * 64))


def test_damaged_maps_are_built_again(table):
    data = Data(path=str(table))
    path = prepare(data).training_files()[0]
    path.write_bytes(b"")
    assert np.array_equal(prepare(data).training().images, IMAGES[:40])


@pytest.mark.parametrize(
    ("labels", "classes", "note"),
    [
        (LABELS + 1, ("1", "2", "3"), "Labels are numbered in this order: 1 = 0, 2 = 1, 3 = 2."),
        (np.array(["b", "a", "c"])[LABELS], ("a", "b", "c"), "Labels are numbered in this order: a = 0, b = 1, c = 2."),
        (LABELS * 1.0, ("0", "1", "2"), None),
    ],
)
def test_labels_are_numbered_and_the_numbering_told(tmp_path, labels, classes, note):
    write_delimited(tmp_path / "a.csv", IMAGES, labels)
    dataset = prepare(Data(path=str(tmp_path / "a.csv")))
    assert dataset.info.classes == classes
    assert [classes[label] for label in dataset.training().labels] == [str(x).removesuffix(".0") for x in labels]
    assert (note in dataset.info.notes) == (note is not None)


def test_wanted_classes_name_the_labels_and_bound_them(tmp_path):
    write_delimited(tmp_path / "a.csv", IMAGES, LABELS)
    data = {"path": str(tmp_path / "a.csv")}
    assert prepare(Data(**data, read={"classes": ("x", "y", "z")})).info.classes == ("x", "y", "z")
    four = prepare(Data(**data, read={"classes": 4})).info
    assert four.num_classes == 4
    assert any("No training image has the class 3" in note for note in four.notes)
    with pytest.raises(DataError, match=r"image 3 and 19 more has the label 2, and the classes are 0 to 1"):
        prepare(Data(**data, read={"classes": 2}))


def test_classes_that_only_the_test_split_has_are_refused(tmp_path):
    write_delimited(tmp_path / "a.csv", IMAGES[:20], LABELS[:20] % 2)
    write_delimited(tmp_path / "b.csv", IMAGES[20:], LABELS[20:])
    with pytest.raises(DataError, match=r"b\.csv: image 1 and .* has the label 2, which no training image has"):
        prepare(Data(path=str(tmp_path / "a.csv"), test=str(tmp_path / "b.csv")))
    write_delimited(tmp_path / "c.csv", IMAGES[:20], LABELS[:20] * 0)
    with pytest.raises(DataError, match="every image has the same label, 0"):
        prepare(Data(path=str(tmp_path / "c.csv"), read={"label": "last"}))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "there are no data"),
        ({"name": "mnist", "test": 0.2}, "this belongs to path"),
        ({"path": "a", "test": 1.5}, "give a file, a folder, a share such as 0.2, a count"),
        ({"path": "a", "read": {"size": [0, 3]}}, "1 to 4096 pixels"),
        ({"path": "a", "read": {"classes": 1}}, "at least 2 classes"),
        ({"path": "a", "content": "xyz"}, "give the 64 digits"),
    ],
)
def test_specs_that_cannot_be_are_refused(values, told):
    with pytest.raises(SpecError, match=told):
        Data.of(values)


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(DataError, match=r"there is no such file or folder; check data\.path"):
        prepare(Data(path=str(tmp_path / "none.csv")))
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(DataError, match="no form of data that Assay reads"):
        prepare(Data(path=str(tmp_path / "a.docx")))


def test_the_note_holds_no_data(table, tmp_path):
    prepare(Data(path=str(table)))
    (note,) = (tmp_path / "cache" / "assay" / "sources").iterdir()
    assert set(json.loads(note.read_bytes())) == {"content", "watched", "stamp", "info"}


def test_no_task_knows_where_the_test_split_is(table, tmp_path):
    from assay.runner import make_plan
    from assay.spec import Study

    data = Data(path=str(table), test=str(table.with_name("test.csv")))
    study = Study(data=data, network={"layers": ["flatten", "dense classes softmax"]})
    for task in make_plan(study, prepare(data), tmp_path / "store").tasks:
        told = json.dumps(task.to_json())
        assert "train-images.npy" in told
        assert "test.csv" not in told
        assert type(task).from_json(task.to_json()) == task
