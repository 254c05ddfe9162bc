"""JSON lists of image files: records and lines, Label Studio's exports, COCO's form; Roboflow's exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import Dataset, prepare
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(233)
IMAGES = RNG.integers(0, 256, (12, 6, 6), dtype=np.uint8)
NAMES = np.array(["cat", "dog", "emu"])[np.arange(12) % 3]


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def put(folder: Path, prefix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{prefix}{k}.png")
    return folder


def check(dataset: Dataset, rows: slice = slice(None)) -> None:
    training = dataset.training()
    assert np.array_equal(training.images[..., 0], IMAGES[rows])
    assert np.array_equal(np.asarray(dataset.info.classes)[training.labels], NAMES[rows])


def write(path: Path, values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, values)) if is_lines else json.dumps(values))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["list.json", "metadata.jsonl"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_records_and_lines(tmp_path, name, is_folder):
    put(tmp_path / "set" / "images")
    path = write(
        tmp_path / "set" / name, [{"file_name": f"{k}.png", "label": c, "more": {"x": 1}} for k, c in enumerate(NAMES)]
    )
    check(own(path.parent if is_folder else path))


def task(k: int, choices: list[str], image: str, **more: object) -> dict[str, object]:
    result = {"from_name": "kind", "type": "choices", "value": {"choices": choices}}
    return {"id": k, "annotations": [{"result": [result] if choices else [], **more}], "data": {"image": image}}


@pytest.mark.parametrize("form", ["local", "upload", "upload renamed", "address", "min", "csv"])
def test_label_studio(tmp_path, form):
    prefix = "0a1b2c3d-" if form == "upload" else ""
    put(tmp_path / "set" / "images", prefix)
    address = {
        "local": "/data/local-files/?d=images/{}.png",
        "address": "https://example.com/x/{}.png", "min": "images/{}.png",
    }.get(form, "/data/upload/3/0a1b2c3d-{}.png")  # fmt: skip
    path = tmp_path / "set" / "project-1.json"
    if form == "min":
        write(path, [{"image": address.format(k), "id": k, "choice": name} for k, name in enumerate(NAMES)])
    elif form == "csv":
        path = path.with_suffix(".csv")
        rows = [f"{address.format(k)},{k},{name},1" for k, name in enumerate(NAMES)]
        path.write_text("\n".join(["image,id,choice,annotator", *rows]))
    else:
        tasks = [task(k, [name], address.format(k)) for k, name in enumerate(NAMES)]
        tasks += [task(12, [], address.format(0)), task(13, ["emu"], address.format(0), was_cancelled=True)]
        write(path, tasks)
    dataset = own(path)
    check(dataset)
    if form not in ("min", "csv"):
        assert "2 tasks without a label are left out." in dataset.info.notes
        assert any("looked up under the ends of their names" in note for note in dataset.info.notes)


def test_cocos_form_with_a_class_an_image(tmp_path):
    put(tmp_path / "set" / "images")
    values = {
        "images": [{"id": 100 + k, "file_name": f"images/{k}.png"} for k in range(12)],
        "annotations": [{"id": k, "image_id": 100 + k, "category_id": k % 3} for k in range(12)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(("cat", "dog", "emu"))],
    }
    path = write(tmp_path / "set" / "all.json", values)
    check(own(path))
    values["annotations"][0]["bbox"] = [0, 0, 3, 3]
    with pytest.raises(DataError, match=r"boxes or outlines; .*\(object detection\) are not read"):
        own(write(path, values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([task(0, ["cat", "dog"], "0.png")], r"task 1 has the labels cat, dog; .*\(multi-label\) are not read"),
        (
            [{"file": "0.png", "label": ["cat", "dog"]}],
            r"record 1 has 2 values in label; .*\(multi-label\) are not read",
        ),
        ([task(0, [], "0.png")], "no task has a label of the kind choices"),
        ({"a": 1}, "it is no list of records"),
        ([1, 2], "it is no list of records"),
    ],
)
def test_other_json_is_refused(tmp_path, values, message):
    put(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        own(write(tmp_path / "set" / "x.json", values))
    (tmp_path / "set" / "x.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="it is no JSON"):
        own(tmp_path / "set" / "x.json")


def test_roboflows_exports(tmp_path):
    for side, rows in (("train", range(6)), ("valid", range(6, 9)), ("test", range(9, 12))):
        for k in rows:
            for folder in (tmp_path / "folders" / side / NAMES[k], tmp_path / "classes" / side):
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(IMAGES[k]).save(folder / f"{k}_jpg.rf.{k:032x}.png")
        lines = ["filename, cat, dog, emu"]
        lines += [f"{k}_jpg.rf.{k:032x}.png, " + ", ".join(str(int(NAMES[k] == name)) for name in ("cat", "dog", "emu"))
                  for k in rows]  # fmt: skip
        (tmp_path / "classes" / side / "_classes.csv").write_text("\n".join(lines))
        (tmp_path / "classes" / "README.roboflow.txt").write_text("x")
        (tmp_path / "folders" / "README.dataset.txt").write_text("x")
    check(own(tmp_path / "classes", validation="given"), slice(9))
    for form in ("classes", "folders"):
        dataset = own(tmp_path / form, validation="given")
        assert (dataset.info.num_training, dataset.info.num_test, dataset.info.num_validation) == (9, 3, 3)
        assert np.array_equal(dataset.test().images[:, ..., 0], IMAGES[9:])
