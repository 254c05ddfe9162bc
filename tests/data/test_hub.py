"""Data sets of the hub: from its cache on this machine; without it, one sentence says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import assay
from assay.data import prepare
from assay.errors import DataError, SpecError
from assay.spec import Data, read_study

RNG = np.random.default_rng(251)
IMAGES = RNG.integers(0, 256, (24, 6, 6), dtype=np.uint8)
LABELS = np.arange(24) % 2
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as the hub's library keeps it: links from a snapshot's names to blobs."""
    folder = tmp_path / "hub" / "datasets--ylecun--tiny"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "blobs").mkdir()
    for number, (side, rows) in enumerate((("train", slice(16)), ("test", slice(16, 24)))):
        table = pa.table({"image": pa.array(IMAGES[rows].tolist()), "label": LABELS[rows]})
        parquet.write_table(table, folder / "blobs" / str(number))
        link = folder / "snapshots" / COMMIT / "tiny" / f"{side}-00000-of-00001.parquet"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder / "blobs" / str(number))
    (folder / "snapshots" / COMMIT / "README.md").write_text("x")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.mark.parametrize("end", ["", "/tiny", f"@{COMMIT}", "@main/tiny"])
def test_a_copy_in_the_hubs_cache_is_read(hub, end):
    dataset = prepare(Data(path=f"hf://datasets/ylecun/tiny{end}"))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[:16])
    assert np.array_equal(dataset.test().labels, LABELS[16:])


def test_a_study_names_it_and_keeps_the_address(hub, tmp_path):
    study = '[data]\npath = "hf://datasets/ylecun/tiny"\n[[arms]]\nname = "a"\nlayers = ["flatten", "dense classes"]\n'
    (tmp_path / "study.toml").write_text(study)
    assert read_study(tmp_path / "study.toml").data.path == "hf://datasets/ylecun/tiny"


@pytest.mark.parametrize(
    "address", ["hf://ylecun/tiny", "hf://datasets/tiny", "hf://datasets/a/b/../../../etc", "hf://datasets/../x/y"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(SpecError, match="give hf://datasets/owner/name"):
        prepare(Data(path=address))


def test_what_is_not_there_says_what_to_do(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(DataError, match=r"not in the hub's cache .*; run pip install 'assay\[hub\]', or download"):
        prepare(Data(path="hf://datasets/ylecun/other"))
    assert assay.Data(path="hf://datasets/ylecun/other").path
