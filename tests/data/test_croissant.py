"""Croissant descriptions: what the format requires, and what its own library reads."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from assay.data import make, prepare
from assay.errors import SpecError


@pytest.fixture
def folder(tmp_path):
    paths = make("digits", tmp_path / "out", form="parquet", num_training=30, num_test=12, croissant=True)
    assert paths[-1].name == "croissant.json"
    return tmp_path / "out"


def test_it_holds_what_the_format_requires(folder):
    """Required by the specification 1.0: context, type, conformsTo, name; of files their format, place and hash; of
    records their fields with type and source."""
    values = json.loads((folder / "croissant.json").read_text())
    assert values["@type"] == "sc:Dataset"
    assert values["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert {"name", "description", "distribution", "recordSet", "citeAs"} <= values.keys()
    assert "30 training images and 12 test images of 8 x 8 pixels, grey, of 10 classes" in values["description"]
    ids = set()
    for file in values["distribution"]:
        content = (folder / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
        ids.add(file["@id"])
    assert ids == {"train-file", "test-file"}
    fields = {field["@id"] for records in values["recordSet"] for field in records["field"]}
    assert fields == {
        "classes/label",
        "classes/name",
        *(f"{s}/{f}" for s in ("train", "test") for f in ("image", "label")),
    }
    for records in values["recordSet"][1:]:
        for field in records["field"]:
            assert field["dataType"]
            assert field["source"]["fileObject"]["@id"] in ids


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it is built on
def test_its_own_library_accepts_it_and_reads_the_images(folder):
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed; pip install mlcroissant")
    dataset = croissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records(record_set="train"))
    assert len(records) == 30
    known = prepare("digits").training()
    contents = {image.tobytes(): label for image, label in zip(known.images, known.labels, strict=True)}
    for record in records:
        image = record["train/image"]
        if isinstance(image, bytes):
            image = Image.open(io.BytesIO(image))
        pixels = np.asarray(image.convert("L"))
        assert contents[pixels.tobytes()] == record["train/label"]
    names = {record["classes/label"]: record["classes/name"] for record in dataset.records(record_set="classes")}
    assert len(names) == 10


def test_other_forms_are_refused_and_nothing_is_overwritten(folder, tmp_path):
    with pytest.raises(SpecError, match="Croissant describes Parquet files, and csv was asked for; give --format"):
        make("digits", tmp_path / "other", croissant=True)
    assert not (tmp_path / "other").exists()
    for path in folder.glob("*.parquet"):
        path.unlink()
    with pytest.raises(SpecError, match=r"it holds croissant\.json already"):
        make("digits", folder, form="parquet", croissant=True)
