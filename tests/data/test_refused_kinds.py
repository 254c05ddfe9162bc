"""Sets with several labels an image, and volumes, are refused by that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import arrays, prepare
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(241)
IMAGES = RNG.integers(0, 256, (12, 6, 6), dtype=np.uint8)


def own(path: Path, **values: object) -> None:
    prepare(Data.of({"path": str(path), **values}))


def listed(folder: Path, header: str, cells: list[str]) -> Path:
    for k, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{k}.png")
    (folder / "list.csv").write_text("\n".join([header, *(f"{k}.png,{cell}" for k, cell in enumerate(cells))]))
    return folder / "list.csv"


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("file,label", ["cat", "dog", "cat|dog"] * 4, 'row 4 has the labels "cat|dog" (multi-label)'),
        ("file,label", ["Mass", "Edema;Mass", "Edema"] * 4, 'row 3 has the labels "Edema;Mass" (multi-label)'),
        ("file,tags", ["clear", "cloudy", "clear cloudy"] * 4, 'row 4 has the labels "clear cloudy" (multi-label)'),
        ("file,a,b,c", ["0,1,1", "1,0,0"] * 6, "row 2 is marked in 2 of the columns a, b, c"),
        ("file,Smiling,Young,Male", ["-1,1,1", "1,-1,-1"] * 6, "Smiling, Young, Male mark several labels"),
    ],
)
def test_lists_with_several_labels_an_image(tmp_path, header, cells, message):
    with pytest.raises(DataError) as refused:
        own(listed(tmp_path, header, cells))
    assert message in str(refused.value)
    assert "several labels an image (multi-label) are not read" in str(refused.value)


def test_names_of_several_words_are_one_label(tmp_path):
    own(listed(tmp_path, "file,label", ["golden retriever", "sea lion", "polar bear"] * 4))
    own(listed(tmp_path, "file,label", ['"Smith, John"', '"Doe, Jane"'] * 6))


def test_one_of_several_marks_can_be_learned(tmp_path):
    dataset = prepare(
        Data.of({"path": str(listed(tmp_path, "file,a,b", ["-1,1", "1,-1"] * 6)), "read": {"label": "a"}})
    )
    assert dataset.info.classes == ("-1", "1")


def test_arrays_with_several_labels_an_image_and_volumes():
    with pytest.raises(DataError, match=r"mark several of 3 classes for an image, or none \(multi-label\)"):
        arrays(IMAGES, RNG.integers(0, 2, (12, 3)))
    for shape in ((12, 8, 8, 8), (12, 8, 8, 8, 1)):
        with pytest.raises(DataError, match=r"which are volumes \(3-D\); give slices"):
            arrays(np.zeros(shape, np.uint8), np.arange(12) % 2)


@pytest.mark.parametrize("name", ["brain.nii.gz", "scan.dcm", "x.nrrd"])
def test_volumes_by_their_names(tmp_path, name):
    for label in ("ill", "well"):
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / name).write_bytes(b"x" * 400)
    with pytest.raises(DataError, match=r"it is a volume \(3-D\); give slices as image files"):
        own(tmp_path / "set" / "ill" / name)
    with pytest.raises(DataError, match=r"it holds 2 volumes or medical slices, such as .*; export slices as PNG"):
        own(tmp_path / "set")


def test_a_pipe_between_labels_is_enough(tmp_path):
    with pytest.raises(DataError, match=r'row 3 has the labels "Mass\|Edema" \(multi-label\)'):
        own(listed(tmp_path, "Image Index,Finding Labels", ["Mass", "Mass|Edema", "No Finding"] * 4))
