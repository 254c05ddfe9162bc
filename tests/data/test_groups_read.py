"""Groups as files tell them: columns, folders, names, arrays; one content however they are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import assay
from assay.data import open_training, prepare
from assay.errors import DataError, SpecError
from assay.seeds import Streams
from assay.spec import Data, run_fingerprint

RNG = np.random.default_rng(29)
IMAGES = RNG.integers(0, 256, (48, 5, 5), dtype=np.uint8)
LABELS = np.arange(48) % 2
PATIENTS = np.array([f"p{k // 4}" for k in range(48)])
NUMBERS = np.arange(48) // 4


def table(path: Path, order: list[str]) -> Data:
    """A CSV whose columns outside the pixels stand as named: ``*`` is the pixels."""
    names = {"label": LABELS, "patient": PATIENTS, "id": np.arange(48)}
    header = [f"pixel{k}" for k in range(25)]
    lines = []
    for at in range(-1, 48):
        cells: list[str] = []
        for name in order:
            pixels = header if at < 0 else list(map(str, IMAGES[at].reshape(-1)))
            cells += pixels if name == "*" else [name if at < 0 else str(names[name][at])]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")
    return Data(path=str(path), groups="patient")


def listed(folder: Path) -> Data:
    rows = ["file,label,patient"]
    for at, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{at:02}.png")
        rows.append(f"{at:02}.png,{LABELS[at]},{PATIENTS[at]}")
    (folder / "list.csv").write_text("\n".join(rows))
    return Data(path=str(folder / "list.csv"), groups={"column": "patient"})


def zipped(folder: Path) -> Data:
    np.savez(folder / "a.npz", x_train=IMAGES, y_train=LABELS, patient=PATIENTS)
    return Data(path=str(folder / "a.npz"), groups="patient")


def parquet(folder: Path) -> Data:
    import io

    import pyarrow as pa
    from pyarrow import parquet as files

    encoded = []
    for image in IMAGES:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="PNG")
        encoded.append(file.getvalue())
    files.write_table(pa.table({"image": encoded, "label": LABELS, "patient": PATIENTS}), folder / "a.parquet")
    return Data(path=str(folder / "a.parquet"), groups="patient")


@pytest.mark.parametrize(
    "order",
    [["label", "*", "patient"], ["patient", "label", "*"], ["label", "patient", "*"], ["id", "patient", "*", "label"],
     ["*", "patient", "label"]],
)  # fmt: skip
def test_a_column_stands_anywhere_outside_the_pixels(tmp_path, order):
    training = prepare(table(tmp_path / "a.csv", order)).training()
    assert training.groups.tolist() == NUMBERS.tolist()
    assert training.labels.tolist() == LABELS.tolist()
    assert np.array_equal(training.images[..., 0], IMAGES)


def test_the_same_groups_are_the_same_content_in_every_form(tmp_path):
    handed = assay.arrays(IMAGES, LABELS, groups=PATIENTS).content
    assert handed == assay.arrays(IMAGES, LABELS, groups=NUMBERS * 10 + 3).content  # a group's name says nothing
    assert {prepare(form(tmp_path)).info.content for form in (listed, zipped, parquet)} == {handed}
    assert prepare(table(tmp_path / "a.csv", ["label", "*", "patient"])).info.content == handed
    assert handed != assay.arrays(IMAGES, LABELS).content
    assert handed != assay.arrays(IMAGES, LABELS, groups=NUMBERS // 2).content


@pytest.mark.parametrize(
    ("name", "groups"),
    [("{label}/{patient}_{at}.png", {"before": "_"}), ("{label}/{patient}/{at}.png", "folder"),
     ("train/{label}/{patient}/{at}.png", "folder")],
)  # fmt: skip
def test_folders_and_names_tell_groups_across_classes(tmp_path, name, groups):
    belongs = {}
    for at, image in enumerate(IMAGES):
        path = tmp_path / "tree" / name.format(label=LABELS[at], patient=PATIENTS[at], at=at)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        belongs[image.tobytes()] = NUMBERS[at]
    dataset = prepare(Data(path=str(tmp_path / "tree"), groups=groups))
    training = dataset.training()
    pairs = {(belongs[image.tobytes()], group) for image, group in zip(training.images, training.groups, strict=True)}
    assert len(pairs) == 12
    assert any(note.startswith("There are 12 groups by ") for note in dataset.info.notes)


@pytest.mark.parametrize("test", [0.25, 12])
def test_a_drawn_test_split_divides_no_group_and_the_rest_are_numbered_anew(tmp_path, test):
    dataset = prepare(Data(**{**table(tmp_path / "a.csv", ["label", "*", "patient"]).model_dump(), "test": test}))
    belongs = {image.tobytes(): group for image, group in zip(IMAGES, NUMBERS, strict=True)}
    sides = [{belongs[image.tobytes()] for image in part.images} for part in (dataset.training(), dataset.test())]
    assert not sides[0] & sides[1]
    assert (len(sides[0]), len(sides[1])) == (9, 3)
    assert dataset.training().groups.tolist() == (np.arange(36) // 4).tolist()
    assert "in whole groups" in dataset.info.test_split_note


def test_the_last_images_as_a_test_split_may_not_divide_a_group(tmp_path):
    data = table(tmp_path / "a.csv", ["label", "*", "patient"]).model_dump()
    assert prepare(Data(**{**data, "test": "last 8"})).info.num_test == 8
    with pytest.raises(SpecError, match=r"data\.test: the last images would divide a group: images 37 and 39"):
        prepare(Data(**{**data, "test": {"last": 10}}))


def test_groups_of_a_test_table_are_compared_and_may_be_missing(tmp_path):
    data = table(tmp_path / "a.csv", ["label", "*", "patient"])
    lines = (tmp_path / "a.csv").read_text().split()
    (tmp_path / "same.csv").write_text("\n".join(lines[:9]))
    (tmp_path / "bare.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines[:9]))
    notes = prepare(data.model_copy(update={"test": str(tmp_path / "same.csv")})).info.notes
    assert any(note.startswith("2 groups have training and test images") for note in notes)
    bare = prepare(data.model_copy(update={"test": str(tmp_path / "bare.csv")})).info
    assert (bare.num_test, bare.is_test_labelled) == (8, True)


def test_a_run_of_other_groups_is_another_run():
    study = assay.Study(data=Data(name="digits"), network={"layers": ["flatten", "dense classes softmax"]})
    (arm,) = study.expand()

    def run(groups: np.ndarray | None) -> str:
        data = assay.arrays(IMAGES, LABELS, groups=groups)
        return run_fingerprint(arm, data, content=data.content or "", seed=0, vary=())

    assert len({run(None), run(PATIENTS), run(NUMBERS // 2)}) == 3
    assert run(PATIENTS) == run(NUMBERS)


def test_runs_validate_on_whole_groups(tmp_path):
    (tmp_path / "s.toml").write_text(
        """
[data]
name = "digits"
validation = "3-fold"
[network]
layers = ["flatten", "dense classes softmax"]
[training]
epochs = 1
[seeds]
count = 1
"""
    )
    study = assay.load(tmp_path / "s.toml", data=assay.arrays(IMAGES, LABELS, groups=PATIENTS))
    from assay.runner import make_plan
    from assay.train.engine import split_of

    dataset = prepare(study.data)
    tasks = make_plan(study, dataset, tmp_path / "store").tasks
    assert len(tasks) == 3
    for task in tasks:
        again = type(task).from_json(task.to_json())
        parts = split_of(again, open_training(again.images, again.labels, again.groups))
        assert not set(NUMBERS[parts.training]) & set(NUMBERS[parts.validation])
    held = [split_of(task, dataset.training()).validation for task in tasks]
    assert sorted(np.concatenate(held).tolist()) == list(range(48))
    assert Streams(0).key("split") == tasks[0].streams.key("split")


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ("doctor", r'a\.csv, data\.groups: there is no column "doctor"; known: label, pixel0'),
        ("folder", r"a\.csv, data\.groups: nothing in it says what belongs together by folder; groups are a column"),
        ({"before": "_"}, r'data\.groups: nothing in it says what belongs together by file name before "_"'),
    ],
)
def test_what_a_table_does_not_tell_is_refused(tmp_path, groups, told):
    data = table(tmp_path / "a.csv", ["label", "*", "patient"])
    with pytest.raises(DataError, match=told):
        prepare(Data(path=data.path, groups=groups))


def test_names_that_tell_no_group_are_shown(tmp_path):
    for at, image in enumerate(IMAGES[:8]):
        path = tmp_path / "tree" / str(LABELS[at]) / (f"a_{at}.png" if at < 6 else f"{at}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    with pytest.raises(DataError, match=r'6\.png \(and 1 more\) has nothing before "_" in its name'):
        prepare(Data(path=str(tmp_path / "tree"), groups={"before": "_"}))
    with pytest.raises(DataError, match=r"lies right in its class folder, so its group is not known; put each group"):
        prepare(Data(path=str(tmp_path / "tree"), groups="folder"))


def test_an_empty_cell_and_arrays_of_another_length_are_refused(tmp_path):
    data = table(tmp_path / "a.csv", ["label", "*", "patient"])
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace(",p1\n", ",\n", 1))
    with pytest.raises(DataError, match=r"row 6 has an empty group"):
        prepare(data)
    with pytest.raises(DataError, match=r"there are 48 images, and the groups are 47; give one group for each image"):
        assay.arrays(IMAGES, LABELS, groups=PATIENTS[1:])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "mnist", "groups": "x"}, "this belongs to path"),
        ({"path": "a", "groups": 3}, "groups: got 3; give a column"),
        ({"path": "a", "groups": {"column": "x", "folder": True}}, "groups are given by exactly one of"),
        ({"path": "a", "groups": {"befor": "_"}}, 'did you mean "before"'),
    ],
)
def test_groups_that_cannot_be_are_refused(values, told):
    with pytest.raises(SpecError, match=told):
        Data.of(values)
