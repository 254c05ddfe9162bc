"""Files that stand for others are named as what they are, with what fetches them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import prepare
from assay.disk import disk_errors
from assay.errors import DataError
from assay.spec import Data

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for k in range(8):
        place = tmp_path / "tree" / "ab"[k % 2] / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * k, np.uint8)).save(place)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.png", LFS, "Git LFS pointer.*git lfs pull"),
        ("x.png", b"/annex/objects/SHA256E-s1--ab.png\n", "git-annex pointer.*git annex get"),
        ("x.png", bytes(5000), "a cloud has not downloaded"),
        ("notes.gdoc", b'{"url": "https://docs.google.com/open?id=1"}', "link to a document in Google Drive"),
        ("x.png", b"", "it is empty"),
    ],
)
def test_a_placeholder_among_images_is_named(name, content, expected, tree):
    (tree / "a" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"a/{name} .*{expected}"):
        prepare(Data(path=str(tree)))


@pytest.mark.parametrize("name", ["data.csv", "data.npz", "data.zip", "data.parquet"])
def test_a_placeholder_in_place_of_the_data_is_named(name, tmp_path):
    for content, expected in ((LFS, "git lfs pull"), (bytes(200), "has not downloaded")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=expected):
            prepare(Data(path=str(tmp_path / name)))


def test_files_that_are_in_icloud_alone_are_no_smaller_data_set(tree):
    (tree / "a" / "0.png").unlink()
    (tree / "a" / ".0.png.icloud").write_bytes(b"bplist00")
    with pytest.raises(DataError, match=r"a/\.0\.png\.icloud stand for files in a cloud.*Download Now"):
        prepare(Data(path=str(tree)))
    info = prepare(Data.of({"path": str(tree), "read": {"skip_bad": True}})).info
    assert info.num_training == 7
    assert "1 file is in a cloud alone and is left out." in info.notes


def test_a_path_that_is_in_icloud_alone_is_said_to_be(tmp_path):
    (tmp_path / ".data.npz.icloud").write_bytes(b"bplist00")
    with pytest.raises(DataError, match="it is in iCloud alone"):
        prepare(Data(path=str(tmp_path / "data.npz")))


@pytest.mark.parametrize("mark", [{"st_file_attributes": 0x400000}, {"st_flags": 0x40000000}])
def test_a_file_whose_download_fails_is_said_to_be_in_a_cloud(mark, tmp_path, monkeypatch):
    own = os.stat

    class Status:
        def __init__(self, status: os.stat_result) -> None:
            self.__dict__.update({key: getattr(status, key) for key in dir(status) if key.startswith("st_")}, **mark)

    place = tmp_path / "cat.png"
    place.write_bytes(b"x")
    monkeypatch.setattr(os, "stat", lambda path, **more: Status(own(path, **more)))
    with pytest.raises(DataError, match=r"content is in a cloud.*keep it on this device"), disk_errors(place, "read"):
        raise OSError(5, "Input/output error", str(place))
