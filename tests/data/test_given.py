"""The source's own validation part: training images by default, kept apart where a study asks for it by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

import assay
from assay.analysis.scores import is_split_drawn, validates_on_same_images
from assay.data import open_training, prepare, split_for
from assay.data.splits import num_learned
from assay.errors import SpecError
from assay.runner import make_plan
from assay.spec import Data
from assay.spec.fingerprint import run_fingerprint
from assay.store import open_reader
from assay.train.engine import split_of

RNG = np.random.default_rng(97)
IMAGES = RNG.integers(0, 256, (48, 6, 6), dtype=np.uint8)
LABELS = np.arange(48) // 6 % 3
PART = np.asarray((["train"] * 4 + ["valid"] + ["test"]) * 8)
FOLDERS = {"train": "train", "valid": "val_set", "test": "test"}


def npz(folder: Path) -> Path:
    arrays = {}
    for word in FOLDERS:
        arrays |= {f"x_{word}": IMAGES[word == PART], f"y_{word}": LABELS[word == PART]}
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def tree(folder: Path) -> Path:
    for index, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        path = folder / "tree" / FOLDERS[PART[index]] / str(label) / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder / "tree"


def listed(folder: Path) -> Path:
    rows = ["file,label,split"]
    for index, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{index}.png")
        rows.append(f"{index}.png,{LABELS[index]},{PART[index]}")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def hub(folder: Path) -> Path:
    for word in FOLDERS:
        chosen = {"image": pa.array(IMAGES[word == PART].tolist()), "label": LABELS[word == PART]}
        parquet.write_table(pa.table(chosen), folder / f"{word}-0.parquet")
    return folder


def one_parquet(folder: Path) -> Path:
    parquet.write_table(
        pa.table({"image": pa.array(IMAGES.tolist()), "label": LABELS, "split": PART}), folder / "a.parquet"
    )
    return folder / "a.parquet"


def split_with(data: Data, seed: int) -> tuple[set[bytes], set[bytes]]:
    training = prepare(data).training()
    parts = split_for(training, data, seed=seed, vary=["split"])
    images = training.images
    return {images[k].tobytes() for k in parts.training}, {images[k].tobytes() for k in parts.validation}


@pytest.mark.parametrize("write", [npz, tree, listed, hub, one_parquet])
def test_the_given_part_is_the_validation_split_of_every_seed(tmp_path, write):
    data = Data(path=str(write(tmp_path)), validation="given")
    expected = tuple({image.tobytes() for image in IMAGES[word == PART]} for word in ("train", "valid"))
    assert split_with(data, 0) == split_with(data, 1) == expected
    info = prepare(data).info
    assert (info.num_training, info.num_validation, info.num_test) == (40, 8, 8)
    assert info.record()["num_validation"] == 8
    assert num_learned(data, info) == 32
    assert "The validation images are the source's own: 8 of 40." in info.notes
    drawn = prepare(data.model_copy(update={"validation": 0.1})).info
    assert any("count as training images" in note and 'validation = "given"' in note for note in drawn.notes)
    assert not any("count as training images" in note for note in info.notes)


def test_studies_that_do_not_ask_for_it_keep_their_content_and_fingerprints(tmp_path):
    path = npz(tmp_path)
    joined = [np.concatenate([array[PART == "train"], array[PART == "valid"]]) for array in (IMAGES, LABELS)]
    by_hand = assay.arrays(*joined, test=(IMAGES[PART == "test"], LABELS[PART == "test"]))
    drawn, given = prepare(Data(path=str(path))).info, prepare(Data(path=str(path), validation="given")).info
    assert drawn.content == by_hand.content != given.content
    assert "num_validation" not in drawn.record()
    assert Data(name="digits").identity() == {"validation": 0.1, "stratified": True, "scaling": "unit"}


def test_per_class_images_are_drawn_from_those_that_the_part_leaves(tmp_path):
    data = Data(path=str(tree(tmp_path)), validation="given", training="3 per class")
    assert data.is_drawn
    (first, held), (second, held_again) = split_with(data, 0), split_with(data, 1)
    assert held == held_again == {image.tobytes() for image in IMAGES[PART == "valid"]}
    assert len(first) == len(second) == 9
    assert first != second
    assert not first & held


def test_a_test_split_is_drawn_beside_it(tmp_path):
    joined = {"x_train": IMAGES[:36], "y_train": LABELS[:36], "x_val": IMAGES[36:], "y_val": LABELS[36:]}
    np.savez(tmp_path / "a.npz", **joined)
    data = Data(path=str(tmp_path / "a.npz"), test=0.25, validation="given")
    training, held = split_with(data, 0)
    assert held <= {image.tobytes() for image in IMAGES[36:]}
    assert training <= {image.tobytes() for image in IMAGES[:36]}
    assert len(training) + len(held) == 36
    test_images = prepare(data).test().images
    assert np.array_equal(test_images, prepare(data.model_copy(update={"validation": 0.1})).test().images)


def test_data_without_such_a_part_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    for data in (Data(path=str(tmp_path / "a.npz"), validation="given"), Data(name="digits", validation="given")):
        with pytest.raises(SpecError, match="has no validation part of its own; give a share") as caught:
            prepare(data)
        assert caught.value.problems[0].key == "data.validation"
    one_class = {"x_val": IMAGES[LABELS == 1], "y_val": LABELS[LABELS == 1]}
    np.savez(tmp_path / "b.npz", x_train=IMAGES, y_train=LABELS, **one_class)
    with pytest.raises(SpecError, match="the source's own validation images are all of one class, number 1"):
        split_with(Data(path=str(tmp_path / "b.npz"), validation="given"), 0)


def test_groups_on_both_sides_are_told(tmp_path):
    arrays = {"x_train": IMAGES[:36], "y_train": LABELS[:36], "x_val": IMAGES[36:], "y_val": LABELS[36:]}
    data = assay.arrays(
        IMAGES[:36], LABELS[:36], validation=(arrays["x_val"], arrays["y_val"]), groups=np.arange(48) % 40
    )
    notes = prepare(data).info.notes
    assert any(note.startswith("8 groups have training and validation images") for note in notes)
    assert split_with(data.model_copy(update={"validation": "given"}), 3)[1] == {x.tobytes() for x in IMAGES[36:]}


STUDY = """
[data]
path = "a.npz"
validation = "given"
[network]
layers = ["flatten", "dense classes softmax"]
[training]
epochs = 2
[seeds]
count = 2
"""


def test_a_study_is_validated_on_it_and_retrained_on_all(tmp_path):
    npz(tmp_path)
    (tmp_path / "s.toml").write_text(STUDY)
    study = assay.load(tmp_path / "s.toml")
    dataset = prepare(study.data)
    task = make_plan(study, dataset, tmp_path / "store").tasks[0]
    again = type(task).from_json(task.to_json())
    training = open_training(again.images, again.labels, again.groups, again.validation)
    assert split_of(again, training).validation.tolist() == list(range(32, 40))
    result = assay.run(study, store=tmp_path / "store", workers=1)
    with open_reader(tmp_path / "store") as reader:
        record = reader.study(study.name)
    assert validates_on_same_images(record)
    assert not is_split_drawn(record)
    scores = [run.kept.validation_accuracy for run in record.runs]
    assert [score * 8 for score in scores] == pytest.approx([round(score * 8) for score in scores])
    assert len(result.reveal(retrain=study.expand()[0].name)) >= 2
    ids = {
        run_fingerprint(study.expand()[0], data, content=dataset.info.content, seed=0, vary=("split",), fold=None)
        for data in (study.data, study.data.model_copy(update={"validation": 0.2}))
    }
    assert len(ids) == 2
    (tmp_path / "s.toml").write_text('claim = "new training sets"\n' + STUDY)
    with pytest.raises(SpecError, match="every seed trains on the same images"):
        assay.load(tmp_path / "s.toml")


def test_guessing_is_measured_on_the_given_part(tmp_path):
    """A run that says the most common class of training images alone is right for that class's validation images."""
    labels = {"train": np.repeat([0, 1], [32, 8]), "valid": np.repeat([0, 1], [6, 14])}
    arrays = {f"y_{word}": values for word, values in labels.items()}
    arrays |= {f"x_{word}": RNG.integers(0, 256, (len(values), 6, 6), np.uint8) for word, values in labels.items()}
    np.savez(tmp_path / "shares.npz", **arrays)
    data = Data(path=str(tmp_path / "shares.npz"), validation="given")
    assert prepare(data).record(is_given=True)["largest_class"] == 0.3
    drawn = prepare(data.model_copy(update={"validation": 0.1})).record()
    assert drawn["largest_class"] == 38 / 60
    study = assay.Study(
        name="shares", data=data, network=assay.Network(layers=("flatten", "dense classes softmax")),
        training={"epochs": 1}, seeds={"count": 1},
    )  # fmt: skip
    assert make_plan(study, prepare(data), tmp_path / "store").data["largest_class"] == 0.3
